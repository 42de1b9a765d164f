"""One hop: canonical events on Kafka to durable rows in ClickHouse, by one worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from kafka import TopicPartition

from bench.lab import Commits, Lab
from bench.usage import Usage
from bench.work import Work, messages
from pipeline.replay.land import wait_until_landed
from schemas.units import MICRO
from sinks.clickhouse.audit import audit

EVENTS_PER_MESSAGE = 2_400
"""About what the normaliser packs when it has much to do, on average: `bench.hops` tells."""


@dataclass(frozen=True)
class Result:
    """A backlog worked off by one worker, from when it owns its partitions until all is committed."""

    events: int
    seconds: float
    per_second: int
    cpu_per_million: dict[str, float]
    """CPU seconds per million events, by process."""
    worker_peak_bytes: int
    audit_differences: int = -1
    landed: int = 0
    """Distinct events in ClickHouse at the end."""
    events_per_message: int = 0
    """Of `agent.actions`, on average."""


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

    def ends(self, topic: str) -> dict[TopicPartition, int]:
        """The end of each partition."""
        return {TopicPartition(topic, partition): len(upto) - 1 for partition, upto in self._upto.items()}


def run(events: int, open_tasks: int, seed: int, per_message: int = EVENTS_PER_MESSAGE) -> Result:
    """Measure it."""
    with Lab() as lab:
        topic, backlog = lab.settings.kafka.actions_topic, Backlog()
        work = Work(seed, time.time_ns() // 1_000 - 3_600 * MICRO, open_tasks)

        def sent() -> Iterator[tuple[int, bytes]]:
            partitions = lab.settings.kafka.partitions
            for partition, n, payload in messages(work.events(), events, partitions, per_message):
                backlog.add(partition, n)
                yield partition, payload

        lab.send(topic, sent())
        return finish(lab, drain(lab, topic, backlog))


def drain(lab: Lab, topic: str, backlog: Backlog, *, both_hops: bool = False) -> Result:
    """Start the worker, and measure from when it owns its partitions until all is durable."""
    commits = Commits(lab.settings, lab.settings.kafka.group)
    try:
        worker = lab.start_worker()
        began, before = time.monotonic(), lab.processes.usage()
        if both_hops:
            wait_until_landed(lab.settings, backlog.ends(topic), alive=lambda: worker.running)
            ended = time.monotonic()
        else:
            ended, _ = commits.until(topic, lambda at: backlog.events(at) == backlog.total, lambda: worker.running)
        after = lab.processes.usage()
    finally:
        commits.close()
    return _result(lab, backlog.total, ended - began, before, after)


def _result(lab: Lab, events: int, seconds: float, before: Usage, after: Usage) -> Result:
    per_million = {name: round(cpu / events * MICRO, 2) for name, cpu in after.since(before).items()}
    peak = lab.processes.peak_memory("worker")
    return Result(events, round(seconds, 2), round(events / seconds), per_million, peak)


def finish(lab: Lab, result: Result) -> Result:
    """The result with what an audit of ClickHouse finds."""
    found = audit(lab.client)
    per_message = lab.client.command("SELECT round(avg(events)) FROM envelopes WHERE events > 0")
    told = {
        "audit_differences": found.total,
        "landed": found.events,
        "events_per_message": int(float(str(per_message))),
    }
    return Result(**{**vars(result), **told})
