"""What is harmed: Apache Kafka, ClickHouse with its data on disk, and workers that reach both through proxies."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from clickhouse_connect.driver.client import Client
from kafka import KafkaAdminClient

from chaos.cluster import Cluster
from chaos.plan import SESSION_TIMEOUT
from chaos.proxy import Network, Proxy
from chaos.workers import Supervisor, Worker
from deploy.local.clickhouse import ClickHouse
from deploy.local.parts import Parts
from pipeline.config import Settings
from pipeline.connections import address_of
from pipeline.kafka import client_options, ensure_topics
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import migrate

READY_SECONDS = 90.0
POLL_SECONDS = 0.1
PARTITIONS = 6
ABANDON_SECONDS = 12
"""So short that tasks are given up whose claim is late, and come back."""
WORKER_TIMEOUT, JUDGE_TIMEOUT = 15, 600
"""Seconds without a sign of life of ClickHouse: for the workers, and for the questions at the end of a long run."""
ROWS_HELD = 2_000
"""So few that late verdicts find their task gone from memory."""


class NotReady(RuntimeError):
    """The stack did not start."""


class Lab(Parts):
    """`with Lab(brokers=3, workers=2) as lab`: everything runs, and the workers have their partitions.

    `settings` and `client` reach it directly: nothing that is done to the workers' connections disturbs them.
    """

    def __init__(self, brokers: int, workers: int, folder: Path | None = None) -> None:
        """`folder` keeps the workers' logs; without it they are removed."""
        super().__init__()
        self._brokers, self._workers, self._folder = brokers, workers, folder
        self._numbers = iter(range(1, 2**31))

    def _start(self) -> None:
        enter = self._exit.enter_context
        scratch = Path(enter(tempfile.TemporaryDirectory(prefix="trueup-chaos-")))
        self.folder = self._folder or scratch
        self.folder.mkdir(parents=True, exist_ok=True)
        self.network = enter(Network())
        self.cluster = enter(Cluster(self._brokers, self.network))
        data = scratch / "clickhouse"
        data.mkdir()
        self.clickhouse = enter(ClickHouse(data))
        self.settings = _settings(self._brokers, self.cluster.bootstrap, self.clickhouse.url)
        migrate(address_of(self.settings), retention_days=0)
        ensure_topics(self.settings)
        self.client: Client = connect(address_of(self.settings))
        self.supervisor = enter(Supervisor())
        for _ in range(self._workers):
            self.supervisor.add(self.new_worker())
        until(lambda: all(worker.ready for worker in self.supervisor.present()), READY_SECONDS, "the workers are ready")

    def new_worker(self) -> Worker:
        """One that is not started yet."""
        given = self.settings
        kafka = given.kafka.model_copy(update={"bootstrap": self.cluster.proxied})
        clickhouse = given.clickhouse.model_copy(update={"timeout": WORKER_TIMEOUT})
        settings = given.model_copy(update={"kafka": kafka, "clickhouse": clickhouse})
        return Worker(f"worker-{next(self._numbers)}", settings, self.network.proxy(self.clickhouse.port), self.folder)

    @property
    def proxies(self) -> dict[str, Proxy]:
        """What they connect -> those of the workers to the brokers, and of each worker to ClickHouse."""
        brokers = {f"workers to broker {number}": proxy for number, proxy in self.cluster.proxies.items()}
        return brokers | {f"{worker.name} to ClickHouse": worker.clickhouse for worker in self.supervisor.present()}

    def leader(self, partition: int) -> int:
        """The broker that leads a partition of agent.actions."""
        admin = KafkaAdminClient(**client_options(self.settings))
        try:
            (topic,) = admin.describe_topics([self.settings.kafka.actions_topic])
        finally:
            admin.close()
        (leader,) = (each["leader_id"] for each in topic["partitions"] if each["partition_index"] == partition)
        return int(leader)

    def signal_clickhouse(self, number: signal.Signals) -> None:
        """To the server and its keeper alike."""
        if self.clickhouse.pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.clickhouse.pid, number)

    def restart_clickhouse(self) -> None:
        """Start it again on its data, after it was killed."""
        self.clickhouse.stop()
        self.clickhouse.start()


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Return when it holds. Raises NotReady after `seconds`."""
    deadline, patience = time.monotonic() + seconds, threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise NotReady(f"not within {seconds:.0f} s: {what}")
        patience.wait(POLL_SECONDS)


def _settings(brokers: int, bootstrap: str, clickhouse: str) -> Settings:
    return Settings.model_validate(
        {
            "kafka": {
                "bootstrap": bootstrap,
                "partitions": PARTITIONS,
                "replication": brokers,
                "session_timeout": SESSION_TIMEOUT,
            },
            "clickhouse": {"url": clickhouse, "timeout": JUDGE_TIMEOUT, "retention_days": 0},
            "worker": {"commit": 0.5, "clock": 1, "rows_held": ROWS_HELD},
            "abandon_after": ABANDON_SECONDS,
        }
    )
