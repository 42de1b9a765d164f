"""What the alerter tells about itself: when it evaluated last, what it did, and how its receivers are doing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.alerter.engine import Ticked
from pipeline.notify.receipt import Tally

SILENT_IS_UNREADY = 60.0
"""Seconds without an evaluation after which the alerter says that it is not ready."""

Tallies = Callable[[], Sequence[Tally]]


class Telling:
    """Health and metrics of one alerter. Its own registry: nothing global. `tallies`: of its receivers."""

    def __init__(self, tallies: Tallies) -> None:
        self._at: float | None = None
        self._why = "it has not evaluated yet"
        self._objectives = 0
        self.registry = CollectorRegistry()
        self._evaluations = Counter("trueup_evaluations", "of all objectives together", registry=self.registry)
        self._transitions = Counter("trueup_alert_transitions", "by change", ["change"], registry=self.registry)
        objectives = Gauge("trueup_objectives", "evaluated", registry=self.registry)
        objectives.set_function(lambda: self._objectives)
        age = Gauge("trueup_evaluation_age_seconds", "since the last evaluation", registry=self.registry)
        age.set_function(lambda: -1.0 if self._at is None else time.monotonic() - self._at)
        self.registry.register(_Receivers(tallies))

    def ticked(self, ticked: Ticked) -> None:
        """An evaluation has succeeded."""
        self._at, self._why, self._objectives = time.monotonic(), "", ticked.objectives
        self._evaluations.inc()
        for line in ticked.transitions:
            self._transitions.labels(line.change).inc()

    def failed(self, why: str) -> None:
        """An evaluation has failed."""
        self._why = why

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether it has evaluated lately, and why not."""
        age = None if self._at is None else time.monotonic() - self._at
        ready = age is not None and age < SILENT_IS_UNREADY
        return ready, {"ready": ready, "why": [self._why] if self._why else [], "evaluated_seconds_ago": age}


class _Receivers(Collector):
    """How each receiver is doing, read when somebody asks."""

    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies

    def collect(self) -> Iterator[Metric]:
        told = self._tallies()
        for name in ("sent", "failed", "retried", "dropped", "repeated"):
            counter = CounterMetricFamily(f"trueup_notifications_{name}", "by receiver", labels=["receiver"])
            for tally in told:
                counter.add_metric([tally.receiver], getattr(tally, name))
            yield counter
        waiting = GaugeMetricFamily("trueup_notifications_waiting", "by receiver", labels=["receiver"])
        for tally in told:
            waiting.add_metric([tally.receiver], tally.waiting)
        yield waiting
