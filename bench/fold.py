"""One hop: canonical events on Kafka to durable rows in ClickHouse, by one worker."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from bench.lab import Commits, Lab
from bench.work import Work, messages
from schemas.units import MICRO
from sinks.clickhouse.audit import audit

EVENTS_PER_MESSAGE = 1_000


@dataclass
class Throughput:
    """A backlog worked off by one worker, between its first and its last commit."""

    events: int
    seconds: float
    per_second: float
    cpu_per_million: dict[str, float]
    """CPU seconds per million events: of the worker, ClickHouse, and the broker."""
    peak_memory: int
    """Bytes of the worker."""
    audit_differences: int
    rows: int
    """Events in ClickHouse at the end."""


class Backlog:
    """How many events each partition holds up to which offset."""

    def __init__(self) -> None:
        self._upto: dict[int, list[int]] = {}

    def add(self, partition: int, events: int) -> None:
        """A message follows in a partition."""
        upto = self._upto.setdefault(partition, [0])
        upto.append(upto[-1] + events)

    def events(self, offsets: dict[int, int]) -> int:
        """The events below these offsets."""
        return sum(upto[min(offsets.get(partition, 0), len(upto) - 1)] for partition, upto in self._upto.items())

    @property
    def total(self) -> int:
        """All events."""
        return sum(upto[-1] for upto in self._upto.values())


def run(events: int, open_tasks: int, seed: int) -> dict[str, object]:
    """Measure it."""
    with Lab() as lab:
        topic, backlog = lab.settings.kafka.actions_topic, Backlog()
        work = Work(seed, time.time_ns() // 1_000 - 3_600 * MICRO, open_tasks)

        def sent():  # type: ignore[no-untyped-def]
            for partition, n, payload in messages(
                work.events(), events, lab.settings.kafka.partitions, EVENTS_PER_MESSAGE
            ):
                backlog.add(partition, n)
                yield partition, payload

        lab.send(topic, sent())
        result = drain(lab, topic, backlog)
        found = audit(lab.client)
        result.audit_differences, result.rows = found.total, found.events
        return asdict(result)


def drain(lab: Lab, topic: str, backlog: Backlog) -> Throughput:
    """Start the worker, and measure from its first commit to its last."""
    commits = Commits(lab.settings, lab.settings.kafka.group)
    try:
        worker = lab.start_worker()
        began, first = commits.until(topic, bool, lambda: worker.running)
        before = lab.processes.usage()
        ended, last = commits.until(topic, lambda at: backlog.events(at) == backlog.total, lambda: worker.running)
        used = lab.processes.usage().since(before)
    finally:
        commits.close()
    n, seconds = backlog.total - backlog.events(first), ended - began
    per_million = {name: round(cpu / n * MICRO, 2) for name, cpu in used.items()}
    return Throughput(n, round(seconds, 2), round(n / seconds), per_million, lab.processes.peak_memory("worker"), -1, 0)
