"""What was not delivered, and why: counted for programs, and said to people at most once a minute."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from enum import StrEnum

from opentelemetry import metrics

from trueup.forks import survive_fork

logger = logging.getLogger(__name__)

WARNING_INTERVAL = 60.0
"""Seconds between two warnings of one kind."""


class DropReason(StrEnum):
    """Why a span, log record or event was dropped: a closed set, because it labels a metric."""

    QUEUE_FULL = "queue_full"
    """The bounded queue was full: Kafka is away for long, or slower than the agent."""
    TOO_LARGE = "too_large"
    """A single span or record is larger than the largest request."""
    BROKER_UNREACHABLE = "broker_unreachable"
    """Kafka could not be reached before the shutdown's timeout."""
    DELIVERY_FAILED = "delivery_failed"
    """Kafka refused it, or did not acknowledge it before the shutdown's timeout."""
    AFTER_SHUTDOWN = "after_shutdown"
    """It was exported after the exporter was shut down."""
    ENCODING = "encoding"
    """It cannot be written as OTLP."""
    INVALID = "invalid"
    """The call's arguments are not allowed by the telemetry contract."""
    INTERNAL = "internal"
    """An unexpected error in this library; the log has its traceback."""


class RareWarning:
    """Lets a warning through at most once an interval, so that trouble does not flood the agent's log."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, interval: float = WARNING_INTERVAL) -> None:
        self._clock = clock
        self._interval = interval
        self._next = float("-inf")

    def due(self) -> bool:
        """Whether to warn now; True starts the next interval. Two threads at once may both be told so."""
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + self._interval
        return True


class Drops:
    """Counts what one exporter (or one telemetry handle) dropped. Safe to use from any thread.

    Also counted by the metric `trueup.sdk.dropped` (attributes `reason`, `signal`), if the application
    has a MeterProvider.
    """

    def __init__(self, signal: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._signal = signal
        self._warning = RareWarning(clock)
        self._metric = metrics.get_meter("trueup").create_counter(
            "trueup.sdk.dropped",
            unit="{item}",
            description="Spans, log records and events that were not delivered.",
        )
        self._reset()
        survive_fork(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[DropReason] = Counter()
        self._untold: Counter[DropReason] = Counter()

    def forked(self) -> None:
        """A forked child counts from 0."""
        self._reset()

    def add(self, reason: DropReason, count: int = 1, detail: str = "") -> None:
        """Count `count` dropped items; `detail` is shown if this is the minute's first warning."""
        if count <= 0:
            return
        with self._lock:
            self._counts[reason] += count
            self._untold[reason] += count
        self._metric.add(count, {"reason": reason.value, "signal": self._signal})
        if self._warning.due():
            self._tell(detail)

    def tell_rest(self) -> None:
        """Warn of what was dropped since the last warning, if anything was."""
        self._tell("")

    @property
    def counts(self) -> Counter[DropReason]:
        """How many items were dropped for each reason so far: a copy; reasons without drops count 0."""
        with self._lock:
            return Counter(self._counts)

    def _tell(self, detail: str) -> None:
        with self._lock:
            untold, self._untold = self._untold, Counter()
        if untold:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(untold.items()))
            logger.warning("dropped %s: %s%s", self._signal, reasons, f" ({detail})" if detail else "")
