"""Every command of docker-compose.yml and of the images does its work, run here instead of in containers.

What is measured at the end came in over OTLP and went through all of them: collector, Kafka, worker, ClickHouse.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.collector import build
from deploy.local.process import StartError, free_port
from tests.deploy.composed import ROOT, SERVICES, Composed, dockerfile_words

APPLICATION = ROOT / "deploy" / "Dockerfile"
COLLECTOR = ROOT / "deploy" / "collector" / "Dockerfile"
TRUEUP = Path(sys.executable).with_name("trueup")


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def composed(requires_kafka: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """Kafka, its topics, ClickHouse and its tables: what the worker and the collector wait for."""
    services = Composed(tmp_path_factory.mktemp("compose"))
    try:
        subprocess.run([ROOT / "deploy/compose/secrets.sh", services.here("/run/secrets")], check=True)
        services.start_kafka()
        services.start_clickhouse()
        yield services
    finally:
        services.stop()


@pytest.fixture(scope="module")
def topics(composed: Composed) -> dict[str, int]:
    """What kafka-init leaves behind: topics and their partitions. It runs twice, as after a restart."""
    service = composed.environment("kafka-init")
    environment = {**service, "KAFKA_TOPICS_COMMAND": str(composed.script("kafka-topics.sh"))}
    for _ in range(2):
        ran = composed.run(SERVICES["kafka-init"]["command"], environment)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    admin = KafkaAdminClient(bootstrap_servers=composed.kafka)
    described = admin.describe_topics(admin.list_topics())
    admin.close()
    return {topic["name"]: len(topic["partitions"]) for topic in described}


@pytest.fixture(scope="module")
def tables(composed: Composed) -> None:
    """What migrate leaves behind. It runs twice, as after a restart."""
    for _ in range(2):
        ran = trueup(composed, "migrate", *SERVICES["migrate"]["command"])
        assert ran.returncode == 0, ran.stderr


def trueup(composed: Composed, service: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The application image's entry point with a service's environment."""
    (program,) = dockerfile_words(APPLICATION, "ENTRYPOINT")
    assert program == TRUEUP.name
    return composed.run([str(TRUEUP), *arguments], composed.environment(service))


def query(composed: Composed, sql: str, user: str, secret: str) -> httpx2.Response:
    password = Path(composed.here(f"/run/secrets/{secret}")).read_text()
    headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
    return httpx2.post(composed.here("http://clickhouse:8123"), content=sql, headers=headers)


def test_the_health_check_of_kafka_passes_while_it_runs_and_fails_without_it(composed: Composed) -> None:
    kind, script, *arguments = SERVICES["kafka"]["healthcheck"]["test"]
    command = [str(composed.script(Path(script).name)), *arguments]

    assert kind == "CMD"
    assert composed.run(command, {}).returncode == 0
    assert composed.run([*command[:-1], "127.0.0.1:1"], {}).returncode != 0


def test_kafka_answers_on_the_published_port_too(composed: Composed) -> None:
    admin = KafkaAdminClient(bootstrap_servers=composed.kafka_host)
    brokers = admin.describe_cluster()["brokers"]
    admin.close()

    assert [f"{broker['host']}:{broker['port']}" for broker in brokers] == [composed.kafka_host]


def test_the_topics_are_created_with_their_partitions(topics: dict[str, int]) -> None:
    assert topics == {"otlp_spans": 12, "otlp_logs": 12, "agent.actions": 12, "agent.deadletter": 1}


def test_a_topic_that_nobody_created_is_refused(composed: Composed, topics: dict[str, int]) -> None:
    admin = KafkaAdminClient(bootstrap_servers=composed.kafka)
    try:
        described = admin.describe_topics(["misspelt"])
    except KafkaError as error:
        described = [{"error_code": error.errno}]
    admin.close()

    assert described[0]["error_code"] == 3  # UNKNOWN_TOPIC_OR_PARTITION


def test_the_health_check_of_clickhouse_passes_while_it_runs_and_fails_without_it(composed: Composed) -> None:
    if shutil.which("wget") is None:
        pytest.skip("no wget on this machine; apt-get install wget")
    kind, *command = SERVICES["clickhouse"]["healthcheck"]["test"]

    assert kind == "CMD"
    assert composed.run(command, {}).returncode == 0
    assert composed.run([*command[:-1], "http://127.0.0.1:1/ping"], {}).returncode != 0


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE trueup.mine (a UInt8) ENGINE = MergeTree ORDER BY a",
        "DROP TABLE trueup.raw_events",
        "ALTER TABLE trueup.raw_events DELETE WHERE 1",
        "TRUNCATE TABLE trueup.raw_events",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM system.users",
        "CREATE USER mine",
    ],
)
def test_the_user_of_the_worker_cannot(composed: Composed, tables: None, sql: str) -> None:
    answer = query(composed, sql, "trueup", "clickhouse_password")

    assert "ACCESS_DENIED" in answer.text


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE trueup.raw_events",
        "DROP DATABASE trueup",
        "CREATE TABLE trueup.mine (a String) ENGINE = URL('http://127.0.0.1:1/', 'LineAsString')",
        "CREATE DATABASE another",
        "CREATE USER mine",
        "GRANT SELECT ON *.* TO trueup",
    ],
)
def test_the_user_of_the_migrations_cannot(composed: Composed, tables: None, sql: str) -> None:
    answer = query(composed, sql, "trueup_migrate", "clickhouse_migrate_password")

    assert "ACCESS_DENIED" in answer.text


def test_a_wrong_password_is_refused(composed: Composed) -> None:
    answer = query(composed, "SELECT 1", "trueup", "clickhouse_migrate_password")

    assert "AUTHENTICATION_FAILED" in answer.text


def test_clickhouse_has_no_default_user(tmp_path: Path) -> None:
    services = Composed(tmp_path)
    subprocess.run([ROOT / "deploy/compose/secrets.sh", services.here("/run/secrets")], check=True)
    try:
        with pytest.raises(StartError, match=r"default: Authentication failed"):
            services.start_clickhouse(engine_user="<clickhouse/>")
    finally:
        services.stop()


def test_clickhouse_does_not_start_without_its_passwords(tmp_path: Path) -> None:
    services = Composed(tmp_path)
    try:
        with pytest.raises(StartError, match=r"no password in .*run deploy/compose/secrets.sh"):
            services.start_clickhouse()
    finally:
        services.stop()


def test_clickhouse_reads_our_settings(composed: Composed) -> None:
    answer = httpx2.post(
        composed.here("http://clickhouse:8123"),
        content="SELECT value FROM system.server_settings WHERE name = 'mlock_executable'",
    )

    assert answer.text == "0\n"


def test_an_agents_span_goes_all_the_way_and_every_health_check_passes(
    composed: Composed, topics: dict[str, int], tables: None
) -> None:
    if reason := build.missing():
        pytest.skip(reason)
    otlp = start_collector(composed)
    worker_environment = composed.environment("worker")
    worker_environment |= {"TRUEUP_HTTP__PORT": composed.worker_port.partition(":")[2]}
    worker_healthy = [sys.executable, *dockerfile_words(APPLICATION, "HEALTHCHECK")[1:]]
    assert composed.run(worker_healthy, {}).returncode != 0

    composed.start("worker", [str(TRUEUP), *SERVICES["worker"]["command"]], worker_environment)
    wait_until(lambda: composed.run(worker_healthy, {}).returncode == 0)
    assert httpx2.post(f"{otlp}/v1/traces", content=a_finished_task(), headers=PROTOBUF).status_code == 200

    wait_until(lambda: finished_tasks(composed) == 1)


def test_the_alerter_is_healthy_with_the_rights_of_its_user(
    composed: Composed, topics: dict[str, int], tables: None
) -> None:
    service = SERVICES["alerter"]
    healthy = [sys.executable, *service["healthcheck"]["test"][2:]]
    assert composed.run(healthy, {}).returncode != 0

    environment = composed.environment("alerter") | {"TRUEUP_ALERTER__PORT": composed.alerter_port.partition(":")[2]}
    composed.start("alerter", [str(TRUEUP), *service["command"]], environment)
    wait_until(lambda: composed.run(healthy, {}).returncode == 0)


PROTOBUF = {"Content-Type": "application/x-protobuf"}


def start_collector(composed: Composed) -> str:
    """The collector's image command on free ports, until its health check passes; where it takes OTLP over HTTP."""
    folder = str(COLLECTOR.parent)
    composed.replaced |= {"/etc/trueup-collector": folder, "/usr/local/bin/trueup-collector": str(build.locate())}
    ports = {name: free_port() for name in ("GRPC", "HTTP", "HEALTH")}
    composed.replaced["127.0.0.1:13133"] = f"127.0.0.1:{ports['HEALTH']}"
    environment = composed.environment("collector") | {
        f"TRUEUP_COLLECTOR_{name}_PORT": str(port) for name, port in ports.items()
    }
    environment["TRUEUP_COLLECTOR_HOST"] = "127.0.0.1"
    words = [*dockerfile_words(COLLECTOR, "ENTRYPOINT"), *dockerfile_words(COLLECTOR, "CMD")]
    composed.start("collector", [composed.here(word) for word in words], environment)
    healthy = dockerfile_words(COLLECTOR, "HEALTHCHECK")
    if shutil.which(healthy[0]):
        wait_until(lambda: composed.run(healthy, {}).returncode == 0)
    return f"http://127.0.0.1:{ports['HTTP']}"


def a_finished_task() -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="trueup.workflow").value.string_value = "refunds"
    span = resource.scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="refund")
    span.start_time_unix_nano = time.time_ns() - 1_000_000_000
    span.end_time_unix_nano = time.time_ns()
    span.attributes.add(key="trueup.task.id").value.string_value = "task-1"
    span.attributes.add(key="trueup.task.outcome").value.string_value = "success"
    # Enough of the same that the collector compresses the message, and the worker has to read that.
    span.attributes.add(key="note").value.string_value = "again " * 500
    return request.SerializeToString()


def finished_tasks(composed: Composed) -> int:
    ran = trueup(composed, "worker", "report", "--output", "json")
    assert ran.returncode == 0, ran.stderr
    return sum(row["counts"]["tasks_finished"] for row in json.loads(ran.stdout)["rows"])
