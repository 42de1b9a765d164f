"""From the moment an agent's spans are produced to Kafka until their window can be queried, at a steady rate.

Every task has a case type of its own, so its window appears in the `windows` view once its root span has gone all
the way. A reader asks the view again and again for case types it has not seen; a task's latency is from just before
its request is handed to the Kafka producer until the answer that first holds its window. It includes the producer's
linger and on average half of the reader's period.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from bench.lab import Lab
from bench.otlp import request_of
from bench.work import EVENTS_PER_TASK, Work
from pipeline.config import Settings
from pipeline.connections import client_of
from pipeline.kafka import producer
from schemas.event import Event
from schemas.words import SPANS

READ_EVERY = 0.1
PATIENCE = 60.0
WARM_UP = 3.0
"""Seconds at the start that do not count: the worker loads its partitions."""
_PREFIX = "latency-"


@dataclass(frozen=True)
class Latency:
    """Milliseconds from produced to queryable."""

    spans_per_second: int
    seconds: float
    tasks: int
    p50_ms: int
    p99_ms: int
    longest_ms: int


class _Reader(threading.Thread):
    """Notes when each case type first appears in `windows`."""

    def __init__(self, client: Client) -> None:
        super().__init__(name="reader", daemon=True)
        self._client, self._stop_reading = client, threading.Event()
        self.seen: dict[str, float] = {}

    def run(self) -> None:
        sql = "SELECT DISTINCT case_type FROM windows WHERE startsWith(case_type, {prefix:String})"
        while not self._stop_reading.wait(READ_EVERY):
            rows = self._client.query(sql, parameters={"prefix": _PREFIX}).result_rows
            now = time.monotonic()
            for (case_type,) in rows:
                self.seen.setdefault(case_type, now)

    def stop(self) -> None:
        self._stop_reading.set()
        self.join()


def run(per_second: int, seconds: float, seed: int) -> Latency:
    """Measure it. Raises RuntimeError if a task does not land."""
    with Lab(_settings()) as lab:
        lab.start_worker()
        reader = _Reader(client_of(lab.settings))
        reader.start()
        began = time.monotonic()
        sent, spans = _send(lab, per_second, seconds, seed)
        took = time.monotonic() - began
        deadline = time.monotonic() + PATIENCE
        while (left := len(sent.keys() - reader.seen.keys())) and time.monotonic() < deadline:
            time.sleep(READ_EVERY)
        reader.stop()
    if left:
        raise RuntimeError(f"{left} of {len(sent)} tasks have not landed in {PATIENCE:.0f} s")
    counted = [name for name, at in sent.items() if at - began > WARM_UP]
    waited = sorted(round((reader.seen[name] - sent[name]) * 1_000) for name in counted)
    return Latency(
        round(spans / took), round(took, 1), len(waited), waited[len(waited) // 2], waited[len(waited) * 99 // 100],
        waited[-1],
    )  # fmt: skip


def _settings() -> Settings:
    """With room for a case type a task: beyond the limit, they would all be `other`."""
    given = Settings()
    return given.model_copy(update={"limits": given.limits.model_copy(update={"dimension_values": 1_000_000})})


def _send(lab: Lab, per_second: int, seconds: float, seed: int) -> tuple[dict[str, float], int]:
    """Case type -> when its task was handed to the producer; and how many spans were sent."""
    sent: dict[str, float] = {}
    spans = 0
    kafka = producer(lab.settings)
    work, began = Work(seed, 0, 1), time.monotonic()
    try:
        while (now := time.monotonic()) - began < seconds:
            if spans > (now - began) * per_second:
                time.sleep(EVENTS_PER_TASK / per_second / 4)
                continue
            name = f"{_PREFIX}{len(sent)}"
            events = _task(work, name)
            spans += len(events)
            payload = request_of(events)
            sent[name] = time.monotonic()
            kafka.send(lab.settings.kafka.spans_topic, payload)
        kafka.flush()
    finally:
        kafka.close()
    return sent, spans


def _task(work: Work, case_type: str) -> list[Event]:
    """The spans of a task that ends now."""
    now = time.time_ns() // 1_000
    events = [event for event in work.task(now - 20_000_000, 18_000_000) if event.kind in SPANS]
    for event in events:
        if event.root:
            event.case_type = case_type
    return events
