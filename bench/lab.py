"""The local stack under measurement: broker, ClickHouse and the worker, each a process of its own."""

from __future__ import annotations

import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from clickhouse_connect.driver.client import Client
from kafka import KafkaAdminClient

from bench.usage import Processes
from deploy.local.broker import Broker
from deploy.local.clickhouse import ClickHouse
from deploy.local.parts import Parts
from deploy.local.process import ChildProcess, free_port
from pipeline.config import Settings
from pipeline.connections import address_of
from pipeline.kafka import client_options, ensure_topics, producer
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import migrate

READY_SECONDS = 60.0
STALLED_SECONDS = 120.0
POLL_SECONDS = 0.05


class Lab(Parts):
    """`with Lab() as lab`: broker and ClickHouse run with the default settings; `start_worker` starts the worker."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        self._given = settings or Settings()
        self.processes = Processes()

    def _start(self) -> None:
        self.folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="trueup-bench-")))
        self.broker = self._exit.enter_context(Broker())
        clickhouse = self._exit.enter_context(ClickHouse())
        self.processes.add("broker", _keeper(self.broker))
        self.processes.add("clickhouse", _keeper(clickhouse))
        given = self._given
        self.settings = given.model_copy(
            update={
                "kafka": given.kafka.model_copy(update={"bootstrap": self.broker.bootstrap}),
                "clickhouse": given.clickhouse.model_copy(update={"url": clickhouse.url}),
                "worker": given.worker.model_copy(update={"commit": 0.25}),
                "http": given.http.model_copy(update={"port": free_port()}),
            }
        )
        address = address_of(self.settings)
        migrate(address, retention_days=self.settings.clickhouse.retention_days)
        ensure_topics(self.settings)
        self.client: Client = connect(address)

    def start_worker(self) -> ChildProcess:
        """Start `trueup worker` and wait until it owns its partitions."""
        config = self.folder / "trueup.yaml"
        config.write_text(yaml.safe_dump(self.settings.model_dump(mode="json", exclude_none=True)))
        worker = self.start_process("worker", ["-m", "pipeline.cli", "worker", "--config", str(config)])
        worker.wait_until(self._ready, READY_SECONDS)
        self.processes.add("worker", worker.pid)
        return worker

    def start_process(
        self, name: str, arguments: list[str], environment: Mapping[str, str] | None = None
    ) -> ChildProcess:
        """A Python program of this environment, stopped with the lab."""
        process = ChildProcess(name, [sys.executable, *arguments], environment)
        self._exit.callback(process.stop)
        return process

    def send(self, topic: str, messages: Iterable[tuple[int | None, bytes]], **options: Any) -> None:
        """Send (partition, payload) and return when the broker has all."""
        kafka = producer(self.settings, **options)
        try:
            waiting = []
            for partition, payload in messages:
                waiting.append(kafka.send(topic, payload, partition=partition))
                if len(waiting) >= 2000:
                    _acknowledged(waiting)
            kafka.flush()
            _acknowledged(waiting)
        finally:
            kafka.close()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.settings.http.port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Commits:
    """Watches how far a consumer group has committed."""

    def __init__(self, settings: Settings, group: str) -> None:
        self._group = group
        self._admin = KafkaAdminClient(**client_options(settings))

    def now(self, topic: str) -> dict[int, int]:
        """Partition -> next offset to read, where the group has committed one."""
        found = self._admin.list_group_offsets(self._group)[self._group]
        return {tp.partition: held.offset for tp, held in found.items() if tp.topic == topic and held.offset > 0}

    def until(
        self, topic: str, reached: Callable[[dict[int, int]], bool], alive: Callable[[], bool]
    ) -> tuple[float, dict[int, int]]:
        """(monotonic seconds, offsets) when the commits are such that `reached`. Raises RuntimeError if they stop."""
        last, since = None, time.monotonic()
        while True:
            offsets, now = self.now(topic), time.monotonic()
            if reached(offsets):
                return now, offsets
            if offsets != last:
                last, since = offsets, now
            if now - since > STALLED_SECONDS or not alive():
                raise RuntimeError(f"the consumers of {topic} stopped at {offsets}")
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """Leave Kafka."""
        self._admin.close()


def _acknowledged(waiting: list[Any]) -> None:
    for future in waiting:
        future.get(timeout=120)
    waiting.clear()


def _keeper(server: Broker | ClickHouse) -> int:
    process = server._process
    if process is None:
        raise RuntimeError("the server does not run")
    return process.pid
