"""Kafka by SCRAM over TLS, ClickHouse by TLS and a user who may do no more than needed; no secret is told."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from typer.testing import CliRunner, Result

from chaos.proxy import proxied
from deploy.kafka import distribution
from deploy.local.kafka import Kafka
from pipeline.cli.app import app
from pipeline.cli.exits import code_of
from pipeline.config import ConfigError, Settings, load
from pipeline.connections import client_of
from pipeline.doctor import examine
from pipeline.kafka import Unreachable, ensure_topics
from sinks.clickhouse.audit import audit
from sinks.port import Barred, Transient
from tests.deploy.composed import ROOT, Composed
from tests.e2e.lab import now_ns
from tests.e2e.rig import WorkerProcess, eventually
from tests.otlp import span, traces

Sections = dict[str, dict[str, Any]]


@dataclass
class World:
    """Where the secured servers are, and with which secrets."""

    folder: Path
    sections: Sections
    secrets: list[str]
    other_authority: Path

    def settings(self, **changes: Mapping[str, Any]) -> Sections:
        """The right settings, with changes by section."""
        return {name: {**values, **changes.get(name, {})} for name, values in self.sections.items()}

    def file(self, **changes: Mapping[str, Any]) -> Path:
        path = self.folder / "trueup.yaml"
        path.write_text(yaml.safe_dump(self.settings(**changes)))
        return path


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for the loopback address, and its key."""
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(pem)], check=True, capture_output=True)
    return pem, key


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A broker behind SCRAM and TLS, and ClickHouse with the users of deploy/clickhouse, behind TLS; migrated."""
    if reason := distribution.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("secure")
    with ExitStack() as stack:
        kafka = stack.enter_context(Kafka(secure=True))
        assert kafka.credentials is not None
        composed = Composed(folder)
        stack.callback(composed.stop)
        secrets = Path(composed.here("/run/secrets"))
        subprocess.run([ROOT / "deploy/compose/secrets.sh", secrets], check=True)
        port = urlsplit(composed.start_clickhouse()).port
        assert port is not None
        pem, key = certificate(folder, "clickhouse")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pem, key)
        proxy = stack.enter_context(proxied(port, context))
        kafka_password = folder / "kafka_password"
        kafka_password.write_text(f"{kafka.credentials.password}\n")
        sections: Sections = {
            "kafka": {
                "bootstrap": kafka.bootstrap,
                "partitions": 2,
                "session_timeout": 6,
                "security_protocol": "SASL_SSL",
                "sasl_username": kafka.credentials.username,
                "sasl_password_file": str(kafka_password),
                "ssl_ca_file": str(kafka.credentials.certificate),
            },
            "clickhouse": {
                "url": f"https://127.0.0.1:{proxy.port}",
                "user": "trueup",
                "password_file": str(secrets / "clickhouse_password"),
                "ca_file": str(pem),
            },
            "worker": {"commit": 0.25, "clock": 1},
        }
        told = [kafka.credentials.password, *(path.read_text() for path in secrets.iterdir())]
        world = World(folder, sections, told, certificate(folder, "other")[0])
        migrator = {"user": "trueup_migrate", "password_file": str(secrets / "clickhouse_migrate_password")}
        run = CliRunner().invoke(app, ["migrate", "--config", str(world.file(clickhouse=migrator))])
        assert run.exit_code == 0, run.output
        yield world


@pytest.fixture(scope="module")
def worker(world: World) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(world.settings(), world.folder, {})
    worker.until_ready()
    yield worker
    worker.stop()


def trueup(world: World, *words: str, **changes: Mapping[str, Any]) -> Result:
    return CliRunner().invoke(app, [*words, "--config", str(world.file(**changes))], catch_exceptions=False)


def request(folder: Path, task: str) -> str:
    """A file with the telemetry of a task."""
    path = folder / f"{task}.jsonl"
    values = {"trueup.task.id": task, "trueup.task.outcome": "success"}
    path.write_bytes(traces(span(values, at=now_ns()), resource={"trueup.workflow": "secure"}))
    return str(path)


def test_telemetry_goes_all_the_way_and_every_command_works(world: World, worker: WorkerProcess) -> None:
    assert trueup(world, "replay", request(world.folder, "over-the-wire")).exit_code == 0
    told = json.loads(trueup(world, "task", "over-the-wire", "--output", "json").stdout)
    assert told["task"]["claim"] == "success"
    assert trueup(world, "report").exit_code == 0
    assert trueup(world, "audit").exit_code == 0
    assert trueup(world, "deadletter", "list").exit_code == 0


def test_the_doctor_finds_nothing_wrong(world: World, worker: WorkerProcess) -> None:
    trueup(world, "replay", request(world.folder, "for-the-doctor"))
    checks = {check.name: check for check in examine(load(world.file()))}
    assert [check for check in checks.values() if not check.ok] == []
    assert checks["rights"].finding == "trueup may read and append"
    assert checks["topic otlp_spans"].finding == "2 partitions, kept for 7d"


def test_no_secret_can_be_read_from_outside(world: World, worker: WorkerProcess) -> None:
    trueup(world, "replay", request(world.folder, "secretly"))
    process = Path(f"/proc/{worker.pid}")
    outside = [
        worker.text,
        str(worker.ready()),
        worker.get("/metrics").decode(),
        (process / "cmdline").read_text(),
        (process / "environ").read_text(),
        trueup(world, "config", "show").output,
        trueup(world, "doctor").output,
    ]
    for secret in world.secrets:
        assert secret
        assert not [text for text in outside if secret in text]


def test_secrets_of_the_environment_are_taken_and_masked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Path(world.sections["kafka"]["sasl_password_file"]).read_text().strip()
    file = world.file(kafka={"sasl_password_file": None})
    monkeypatch.setenv("TRUEUP_KAFKA__SASL_PASSWORD", secret)
    ensure_topics(load(file))
    shown = CliRunner().invoke(app, ["config", "show", "--config", str(file)]).output
    assert "sasl_password: '**********'" in shown
    assert secret not in shown


Refusal = tuple[Mapping[str, Any], type[Exception], str]
KAFKA_REFUSALS: dict[str, Callable[[World], Refusal]] = {
    "a wrong password": lambda w: (
        {"sasl_password_file": w.sections["clickhouse"]["password_file"]},
        Unreachable,
        "hangs up on 'trueup'.*kafka.sasl_password_file",
    ),
    "an unknown user": lambda w: ({"sasl_username": "nobody"}, Unreachable, "hangs up on 'nobody'"),
    "another authority": lambda w: ({"ssl_ca_file": str(w.other_authority)}, ConfigError, "kafka.ssl_ca_file"),
    "no file of an authority": lambda w: ({"ssl_ca_file": "/no/such.pem"}, ConfigError, "/no/such.pem cannot be used"),
    "no TLS": lambda w: ({"security_protocol": "SASL_PLAINTEXT"}, ConfigError, "speaks TLS.*kafka.security_protocol"),
    "no login": lambda w: ({"security_protocol": "SSL"}, Unreachable, "SASL_SSL"),
    "no password file": lambda w: ({"sasl_password_file": "/no/such"}, ConfigError, "/no/such: No such file"),
}


@pytest.mark.parametrize("name", KAFKA_REFUSALS)
def test_kafka_that_does_not_let_us_in_is_told_with_the_setting_to_change(world: World, name: str) -> None:
    changes, kind, told = KAFKA_REFUSALS[name](world)
    with pytest.raises(kind, match=told) as raised:
        ensure_topics(Settings(**world.settings(kafka=changes)))  # type: ignore[arg-type]
    assert code_of(raised.value) == (2 if kind is ConfigError else 3)
    assert not [secret for secret in world.secrets if secret in str(raised.value)]


CLICKHOUSE_REFUSALS: dict[str, Callable[[World], Refusal]] = {
    "a wrong password": lambda w: (
        {"password_file": w.sections["kafka"]["sasl_password_file"]},
        Barred,
        "Authentication failed.*clickhouse.password_file",
    ),
    "another authority": lambda w: ({"ca_file": str(w.other_authority)}, Transient, "certificate verify failed"),
    "no TLS": lambda w: ({"url": w.sections["clickhouse"]["url"].replace("https", "http")}, Transient, "onnection"),
    "a database that is not there": lambda w: ({"database": "elsewhere"}, Barred, "trueup migrate|grant"),
}


@pytest.mark.parametrize("name", CLICKHOUSE_REFUSALS)
def test_clickhouse_that_does_not_let_us_in_is_told_with_the_setting_to_change(world: World, name: str) -> None:
    changes, kind, told = CLICKHOUSE_REFUSALS[name](world)
    with pytest.raises(kind, match=told) as raised:
        client_of(Settings(**world.settings(clickhouse=changes)))  # type: ignore[arg-type]
    assert not [secret for secret in world.secrets if secret in str(raised.value)]


def test_a_worker_waits_for_its_right_password_and_takes_it_without_a_restart(world: World) -> None:
    """As when a secret is rotated: the file changes while the worker runs."""
    right = Path(world.sections["clickhouse"]["password_file"]).read_text()
    file = world.folder / "rotated"
    file.write_text("not-yet-the-right-one")
    group = {"group": "rotated"}
    worker = WorkerProcess(world.settings(clickhouse={"password_file": str(file)}, kafka=group), world.folder, {})
    try:
        told = eventually(lambda: "does not let" in str(worker.ready()) and worker.ready(), "/readyz says why")
        assert "clickhouse.password_file" in told["why"][0]
        (line,) = worker.logged("ClickHouse does not let the worker in")
        assert "clickhouse.password_file" in line["fix"]
        file.write_text(right)
        worker.until_ready()
        assert worker.logged("ClickHouse is back")
        assert "not-yet-the-right-one" not in worker.text
    finally:
        worker.stop()


def test_nothing_differs_in_the_end(world: World, worker: WorkerProcess) -> None:
    settings = load(world.file())
    eventually(lambda: audit(client_of(settings)).skipped == 0, "the rows rest")
    assert audit(client_of(settings)).total == 0
