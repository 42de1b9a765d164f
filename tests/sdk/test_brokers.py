"""The exporters with real brokers: Tansu, which every machine has, and Apache Kafka, where it is installed."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.admin import NewTopic
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from trueup.drops import DropReason
from trueup.settings import KafkaSettings
from trueup.telemetry import Telemetry
from trueup.testing import attributes_of

from deploy.kafka import distribution
from deploy.local.broker import Broker
from deploy.local.kafka import Kafka
from deploy.local.process import free_port

pytestmark = pytest.mark.e2e

PATIENCE = 60.0


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture(scope="module")
def apache_kafka() -> Callable[..., Kafka]:
    """Makes a cluster with the given options; skips where Apache Kafka is not on the machine."""
    if reason := distribution.missing():
        pytest.skip(reason)
    return Kafka


def settings_for(bootstrap: str, **options: Any) -> KafkaSettings:
    """Topics of the test's own, so that tests can share a broker."""
    name = uuid.uuid4().hex
    return KafkaSettings(bootstrap=bootstrap, spans_topic=f"spans-{name}", logs_topic=f"logs-{name}", **options)


def with_topics(settings: KafkaSettings, **connection: Any) -> KafkaSettings:
    """The settings, after their topics were created: Apache Kafka does not create them by itself here."""
    admin = KafkaAdminClient(**({"bootstrap_servers": settings.bootstrap} | connection))
    admin.create_topics([NewTopic(name, 2, 1) for name in (settings.spans_topic, settings.logs_topic)])
    admin.close()
    return settings


def messages(topic: str, count: int, **connection: Any) -> list[bytes]:
    """The first `count` messages of a topic, or fewer if they do not come in time."""
    consumer = KafkaConsumer(topic, **connection, auto_offset_reset="earliest", consumer_timeout_ms=20_000)
    values: list[bytes] = []
    while len(values) < count:
        try:
            values.append(next(consumer).value)
        except StopIteration:
            break
    consumer.close()
    return values


def task_ids(settings: KafkaSettings, *expected: str, **connection: Any) -> list[str]:
    """The task ids of the spans in Kafka, as soon as the expected ones are among them."""
    consumer = KafkaConsumer(
        settings.spans_topic,
        **({"bootstrap_servers": settings.bootstrap} | connection),
        auto_offset_reset="earliest",
        consumer_timeout_ms=20_000,
    )
    found: list[str] = []
    for message in consumer:
        request = ExportTraceServiceRequest.FromString(message.value)
        spans = [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
        found += [str(attributes_of(span.attributes)["trueup.task.id"]) for span in spans]
        if set(expected) <= set(found):
            break
    consumer.close()
    return found


def work(telemetry: Telemetry, *names: str) -> None:
    for name in names:
        with telemetry.task(name, agent="refund-agent") as task:
            task.claim("success")


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_spans_and_events_arrive_as_otlp(broker: Broker, compression: str) -> None:
    settings = settings_for(broker.bootstrap, compression=compression)
    with Telemetry("refund-agent", workflow="refunds", kafka=settings) as telemetry:
        with telemetry.task("t1", case_type="refund") as task:
            task.claim("success")
        telemetry.verified("t1", "failure", verifier="ledger-check")
        assert telemetry.flush(PATIENCE)
        assert telemetry.dropped.total() == 0
    (spans,) = messages(settings.spans_topic, 1, bootstrap_servers=broker.bootstrap)
    (logs,) = messages(settings.logs_topic, 1, bootstrap_servers=broker.bootstrap)
    resource = ExportTraceServiceRequest.FromString(spans).resource_spans[0]
    assert attributes_of(resource.resource.attributes)["service.name"] == "refund-agent"
    assert attributes_of(resource.scope_spans[0].spans[0].attributes)["trueup.task.outcome"] == "success"
    record = ExportLogsServiceRequest.FromString(logs).resource_logs[0].scope_logs[0].log_records[0]
    assert record.event_name == "trueup.task.verified"
    assert attributes_of(record.attributes)["trueup.verdict"] == "failure"


def test_a_request_of_the_largest_size_is_accepted(broker: Broker) -> None:
    settings = settings_for(broker.bootstrap, compression="none", max_request_size=200_000)
    with Telemetry("agent", kafka=settings) as telemetry:
        for number in range(400):
            telemetry.tracer.start_span("s", attributes={"trueup.task.id": str(number), "text": "x" * 3000}).end()
        assert telemetry.flush(PATIENCE)
        assert telemetry.dropped.total() == 0
    names = [str(number) for number in range(400)]
    assert sorted(task_ids(settings, *names), key=int) == names


def test_a_broker_that_starts_after_the_agent_gets_everything() -> None:
    port = free_port()
    settings = settings_for(f"127.0.0.1:{port}")
    with Telemetry("agent", kafka=settings) as telemetry:
        work(telemetry, "before")
        assert not telemetry.flush(0.1)
        with Broker(port):
            work(telemetry, "after")
            assert telemetry.flush(PATIENCE)
            assert task_ids(settings, "before", "after") == ["before", "after"]
        assert telemetry.dropped.total() == 0


def test_a_broker_that_forgot_everything_is_recovered_from() -> None:
    """After a restart Tansu knows no topics, and acknowledges what it then loses: only what follows is looked for."""
    with Broker() as broker:
        port = broker.port
        settings = settings_for(broker.bootstrap, delivery_timeout=0.5)
        telemetry = Telemetry("agent", kafka=settings)
        work(telemetry, "before")
        assert telemetry.flush(PATIENCE)
    work(telemetry, "while it was away")
    with Broker(port) as broker:
        with suppress(ValueError):  # the exporter was first, and made it with another number of partitions
            broker.create_topics({settings.spans_topic: 3})
        assert telemetry.flush(PATIENCE)
        work(telemetry, "after")
        assert telemetry.flush(PATIENCE)
        assert "after" in task_ids(settings, "after")
        telemetry.shutdown()
        assert telemetry.dropped.total() == 0


def test_a_process_that_ends_at_once_delivers(broker: Broker, run_script: Callable[..., Any]) -> None:
    settings = settings_for(broker.bootstrap)
    result = run_script(
        """
import trueup
trueup.configure("agent")
with trueup.task("short") as task:
    task.claim("success")
""",
        TRUEUP_KAFKA_BOOTSTRAP=settings.bootstrap,
        TRUEUP_KAFKA_SPANS_TOPIC=settings.spans_topic,
        TRUEUP_KAFKA_EXIT_TIMEOUT="30",
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert task_ids(settings, "short") == ["short"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_forked_workers_deliver_beside_their_parent(broker: Broker, run_script: Callable[..., Any]) -> None:
    settings = settings_for(broker.bootstrap)
    result = run_script(
        """
import os, trueup
telemetry = trueup.configure("agent")
with trueup.task("parent before"):
    pass
assert telemetry.flush(30)
child = os.fork()
with trueup.task("child" if child == 0 else "parent after"):
    pass
telemetry.shutdown(30)
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert telemetry.dropped.total() == 0
""",
        TRUEUP_KAFKA_BOOTSTRAP=settings.bootstrap,
        TRUEUP_KAFKA_SPANS_TOPIC=settings.spans_topic,
    )
    assert (result.returncode, result.stderr) == (0, "")
    names = ["child", "parent after", "parent before"]
    assert sorted(task_ids(settings, *names)) == names


def test_apache_kafka_may_restart_and_hang_and_nothing_is_lost(
    apache_kafka: Callable[..., Kafka], tmp_path: Path
) -> None:
    with apache_kafka(data=tmp_path) as kafka:
        settings = with_topics(settings_for(kafka.bootstrap, delivery_timeout=2))
        telemetry = Telemetry("agent", kafka=settings)
        work(telemetry, "before")
        assert telemetry.flush(PATIENCE)
        kafka.kill(1)
        work(telemetry, "while it was away")
        kafka.restart(1)
        assert telemetry.flush(PATIENCE)
        kafka.pause(1)
        work(telemetry, "while it hung")
        assert not telemetry.flush(0.5)
        kafka.resume(1)
        work(telemetry, "after")
        assert telemetry.flush(PATIENCE)
        telemetry.shutdown()
        assert telemetry.dropped.total() == 0
        names = {"before", "while it was away", "while it hung", "after"}
        assert set(task_ids(settings, *names)) == names


def test_what_apache_kafka_finds_too_large_is_counted(apache_kafka: Callable[..., Kafka]) -> None:
    with apache_kafka(message_max_bytes=20_000) as kafka:
        settings = with_topics(settings_for(kafka.bootstrap, compression="none"))
        with Telemetry("agent", kafka=settings) as telemetry:
            telemetry.tracer.start_span("large", attributes={"text": "x" * 50_000}).end()
            assert telemetry.flush(PATIENCE)
            work(telemetry, "small")
            assert telemetry.flush(PATIENCE)
            assert telemetry.dropped == {DropReason.TOO_LARGE: 1}
        assert task_ids(settings, "small") == ["small"]


def test_apache_kafka_behind_tls_and_a_password(apache_kafka: Callable[..., Kafka], tmp_path: Path) -> None:
    with apache_kafka(secure=True) as kafka:
        connection = kafka.client_settings
        password = tmp_path / "password"
        password.write_text(connection["sasl_plain_password"])
        environ = {
            "TRUEUP_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "TRUEUP_KAFKA_SECURITY_PROTOCOL": connection["security_protocol"],
            "TRUEUP_KAFKA_SASL_MECHANISM": connection["sasl_mechanism"],
            "TRUEUP_KAFKA_SASL_USERNAME": connection["sasl_plain_username"],
            "TRUEUP_KAFKA_SASL_PASSWORD_FILE": str(password),
            "TRUEUP_KAFKA_SSL_CAFILE": connection["ssl_cafile"],
        }
        settings = with_topics(KafkaSettings.from_env(environ), **connection)
        with Telemetry("agent", kafka=settings) as telemetry:
            work(telemetry, "secret")
            assert telemetry.flush(PATIENCE)
        assert task_ids(settings, "secret", **connection) == ["secret"]
