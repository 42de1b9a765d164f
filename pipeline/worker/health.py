"""Is the worker ready, and what has it done."""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge

from pipeline.normalise.normaliser import Packed
from pipeline.worker.folding import Arrival, Folding

BLOCKED_IS_UNREADY = 10.0
"""Seconds of a store that is away after which the worker says that it is not ready."""


class Health:
    """What the worker tells about itself. Its own registry: nothing global."""

    def __init__(self, folding: Folding) -> None:
        self._folding = folding
        self._beats: dict[str, float] = {}
        self._partitions = 0
        self._stopping = ""
        self._buried = Counts[str]()
        self.registry = CollectorRegistry()
        self._records = Counter("trueup_records", "OTLP records read", registry=self.registry)
        self._made = Counter("trueup_events", "canonical events made", registry=self.registry)
        self._foreign = Counter("trueup_foreign_records", "log records that are none of ours", registry=self.registry)
        self._dead = Counter(
            "trueup_dead_letters", "records that became one, by reason", ["reason"], registry=self.registry
        )
        limited = "events that lost a dimension's value to `other`: limits.dimension_values"
        self._limited = Counter("trueup_limited_events", limited, ["dimension"], registry=self.registry)
        self._messages = Counter("trueup_messages_folded", "messages of agent.actions folded", registry=self.registry)
        self._rebalances = Counter("trueup_rebalances", "assignments of partitions", registry=self.registry)
        Gauge("trueup_events_folded", "events folded, duplicates included", registry=self.registry).set_function(
            lambda: folding.events
        )
        Gauge("trueup_clickhouse_away_seconds", "0 when it takes writes", registry=self.registry).set_function(
            self._away
        )

    def normalised(self, packed: Packed) -> None:
        """Count a batch of the first stage."""
        self._records.inc(packed.counts["records"])
        self._made.inc(packed.counts["events"])
        self._foreign.inc(packed.counts["foreign"])
        for dimension, events in packed.limited.items():
            self._limited.labels(dimension).inc(events)
        for dead in packed.dead_letters:
            self._dead.labels(dead.reason).inc()

    def folded(self, arrivals: Sequence[Arrival]) -> None:
        """Count a batch of the second stage."""
        self._messages.inc(len(arrivals))
        for reason, dead in list(self._folding.dead.items()):
            self._dead.labels(reason).inc(dead - self._buried[reason])
            self._buried[reason] = dead

    def beat(self, stage: str) -> None:
        """A stage has finished a batch."""
        self._beats[stage] = time.monotonic()

    def assigned(self, partitions: int) -> None:
        """The group gave this worker so many partitions."""
        self._partitions = partitions
        self._rebalances.inc()

    def stopping(self, why: str) -> None:
        """The worker is about to stop, and why."""
        self._stopping = why

    def _away(self) -> float:
        outage = self._folding.patient.outage
        return 0.0 if outage is None else time.monotonic() - outage.since

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether it does its work, and why not."""
        away, outage = self._away(), self._folding.patient.outage
        why = [self._stopping] if self._stopping else []
        if not self._partitions:
            why.append("the consumer group has assigned no partition yet")
        if outage is not None and (outage.barred or away > BLOCKED_IS_UNREADY):
            said = "does not let the worker in" if outage.barred else "has been away"
            why.append(f"ClickHouse {said} for {away:.0f} s: {outage.error}. Events wait in Kafka")
        return not why, {"ready": not why, "why": why, "partitions": self._partitions}
