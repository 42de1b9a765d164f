"""Counting what was dropped, and warning of it."""

from __future__ import annotations

import logging
import threading

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from trueup.drops import WARNING_INTERVAL, DropReason, Drops


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_reason_without_drops_counts_zero() -> None:
    drops = Drops("spans")
    drops.add(DropReason.QUEUE_FULL, 3)
    assert drops.counts[DropReason.QUEUE_FULL] == 3
    assert drops.counts["queue_full"] == 3  # type: ignore[index]  # a reason is a string too
    assert drops.counts[DropReason.TOO_LARGE] == 0


def test_the_counts_are_a_copy() -> None:
    drops = Drops("spans")
    drops.counts[DropReason.INVALID] += 1
    assert drops.counts.total() == 0


def test_warns_once_a_minute_and_then_of_everything_since(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    drops = Drops("spans", clock)
    drops.add(DropReason.QUEUE_FULL, 2, "the queue holds 16777216 bytes")
    drops.add(DropReason.QUEUE_FULL, 3)
    drops.add(DropReason.TOO_LARGE, 1)
    assert [record.getMessage() for record in caplog.records] == [
        "dropped spans: 2 queue_full (the queue holds 16777216 bytes)"
    ]
    clock.now += WARNING_INTERVAL
    drops.add(DropReason.QUEUE_FULL, 1)
    assert caplog.records[-1].getMessage() == "dropped spans: 4 queue_full, 1 too_large"
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_tells_the_rest_when_asked(caplog: pytest.LogCaptureFixture) -> None:
    drops = Drops("spans", Clock())
    drops.add(DropReason.QUEUE_FULL)
    drops.add(DropReason.QUEUE_FULL, 9)
    drops.tell_rest()
    drops.tell_rest()
    assert [r.getMessage() for r in caplog.records] == ["dropped spans: 1 queue_full", "dropped spans: 9 queue_full"]


def test_nothing_is_lost_when_many_threads_count() -> None:
    drops = Drops("spans")

    def count() -> None:
        for _ in range(200):
            drops.add(DropReason.INVALID)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drops.counts[DropReason.INVALID] == 1600


def test_drops_are_an_opentelemetry_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr(metrics, "get_meter", provider.get_meter)
    Drops("log records").add(DropReason.TOO_LARGE, 4)
    data = reader.get_metrics_data()
    assert data is not None
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    (point,) = metric.data.data_points
    assert isinstance(point, NumberDataPoint)
    assert (metric.name, point.value) == ("trueup.sdk.dropped", 4)
    assert point.attributes == {"reason": "too_large", "signal": "log records"}
    provider.shutdown()
