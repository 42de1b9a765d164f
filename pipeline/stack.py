"""The whole of Trueup on this machine: broker, ClickHouse engine, worker, alerter; for `up`, `try` and `demo`."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml
from clickhouse_connect.driver.client import Client
from pydantic import SecretStr
from pydantic_core import to_jsonable_python

from deploy.local.broker import Broker
from deploy.local.clickhouse import ClickHouse
from deploy.local.parts import Parts
from deploy.local.process import ChildProcess, free_port, require_free_port
from pipeline.config import Settings, variable
from pipeline.connections import address_of
from pipeline.kafka import ensure_topics
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import migrate

READY_SECONDS = 60.0

_NEXT_EPOCH = """SELECT toInt32(max(epoch)) + (count() > 0) FROM
    (SELECT epoch FROM raw_events UNION ALL SELECT epoch FROM envelope_rows)"""
_WITHOUT_SECURITY = {
    "security_protocol": "PLAINTEXT",
    "sasl_username": "",
    "sasl_password": None,
    "sasl_password_file": None,
    "ssl_ca_file": None,
}
"""The servers are this process's own children, on loopback: what guards the user's Kafka is not theirs."""


class Stack(Parts):
    """`with Stack(settings) as stack`: everything runs, `stack.settings` says where. Raises StartError.

    Ports are those of the settings, 0 for free ones. Without `data`, ClickHouse's tables are temporary;
    Kafka's log always is, so a restart with `data` keeps results and begins a new epoch of the log. The alerter
    runs only `with_alerter`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        data: Path | None = None,
        kafka_port: int = 0,
        clickhouse_port: int = 0,
        with_alerter: bool = False,
    ) -> None:
        super().__init__()
        self._given, self._data = settings, data
        self._kafka_port, self._clickhouse_port = kafka_port, clickhouse_port
        self._with_alerter = with_alerter
        self.worker: ChildProcess | None = None
        self.alerter: ChildProcess | None = None

    def _start(self) -> None:
        http = self._given.http
        require_free_port("The worker", http.host, http.port, _fix("http.port"))
        if self._with_alerter:
            require_free_port("The alerter", http.host, self._given.alerter.port, _fix("alerter.port"))
        with _uninterrupted():
            folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="trueup-")))
        broker = self._exit.enter_context(Broker(self._kafka_port))
        clickhouse = self._exit.enter_context(ClickHouse(self._data, self._clickhouse_port))
        self.settings = self._given.model_copy(
            update={
                "kafka": self._given.kafka.model_copy(
                    update={"bootstrap": broker.bootstrap, "session_timeout": 6.0, **_WITHOUT_SECURITY}
                ),
                "clickhouse": self._given.clickhouse.model_copy(
                    update={
                        "url": clickhouse.url,
                        "user": "default",
                        "password": None,
                        "password_file": None,
                        "ca_file": None,
                    }
                ),
                "worker": self._given.worker.model_copy(update={"commit": min(self._given.worker.commit, 0.25)}),
                "alerter": self._given.alerter.model_copy(update={"port": self._given.alerter.port or free_port()}),
                "http": self._given.http.model_copy(update={"port": self._given.http.port or free_port()}),
            }
        )
        if self._data is not None:
            self._new_epoch()
        self.config = folder / "trueup.yaml"
        self.config.write_text(yaml.safe_dump(_plain(self.settings)))
        address = address_of(self.settings)
        migrate(address, retention_days=self.settings.clickhouse.retention_days)
        ensure_topics(self.settings)
        self.worker = self._child("worker")
        if self._with_alerter:
            self.alerter = self._child("alerter")
        self.client: Client = connect(address)

    def _child(self, command: str) -> ChildProcess:
        """A process of ours, until the stack ends."""
        arguments = [sys.executable, "-P", "-m", "pipeline.cli", command, "--config", str(self.config)]
        child = ChildProcess(f"the {command}", arguments, _without_settings(os.environ))
        self._exit.callback(child.stop)
        return child

    def _new_epoch(self) -> None:
        """The broker's log starts anew, so positions of an earlier run must not be compared with it.

        Raw events are written first and envelopes last, and a message may have only either of them.
        """
        migrate(address_of(self.settings), retention_days=self.settings.clickhouse.retention_days)
        client = connect(address_of(self.settings))
        used = int(str(client.command(_NEXT_EPOCH)))
        self.settings = self.settings.model_copy(
            update={"kafka": self.settings.kafka.model_copy(update={"epoch": max(self.settings.kafka.epoch, used)})}
        )

    @property
    def health_url(self) -> str:
        """Where the worker tells how it is."""
        http = self.settings.http
        return f"http://{http.host}:{http.port}"

    @property
    def alerter_url(self) -> str:
        """Where the alerter tells how it is."""
        return f"http://{self.settings.http.host}:{self.settings.alerter.port}"

    def wait_until_ready(self) -> None:
        """Return when the worker has its partitions: before that, nothing lands. And the alerter evaluates.

        Raises StartError.
        """
        for child, url in ((self.worker, self.health_url), (self.alerter, self.alerter_url)):
            if child is not None:
                child.wait_until(partial(_answers, f"{url}/readyz"), READY_SECONDS)

    def last_words(self) -> str:
        """The last lines that the worker wrote; of the alerter, if only that has stopped."""
        stopped = self.alerter if self.alerter is not None and not self.alerter.running else None
        child = stopped if stopped is not None and self.worker is not None and self.worker.running else self.worker
        return child.tail() if child else ""

    @property
    def alive(self) -> bool:
        """Whether the worker still runs, and the alerter if there is one."""
        children = [self.worker, *([self.alerter] if self._with_alerter else [])]
        return all(child is not None and child.running for child in children)


def _without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of our processes: its settings are in their file already, and would beat what is there."""
    return {name: value for name, value in environment.items() if not name.upper().startswith("TRUEUP_")}


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits: between the making of a folder and the note that it must go, it would leave the folder behind."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _fix(setting: str) -> str:
    return f"end that process, or set {setting} to another port ({variable(setting)}), 0 for a free one"


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310 - our own worker's http address
            return int(answer.status) == 200
    except OSError:
        return False


def _plain(settings: Settings) -> dict[str, Any]:
    """The settings as YAML has them, secrets of receivers included: the file is in a folder of this user alone."""
    plain: dict[str, Any] = to_jsonable_python(_revealed(settings.model_dump(exclude_none=True)))
    return plain


def _revealed(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {name: _revealed(inner) for name, inner in value.items()}
    return [_revealed(inner) for inner in value] if isinstance(value, list) else value
