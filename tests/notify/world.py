"""What the tests of notifications share: a notification, a clock that is told the time, receivers that do as told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from pipeline.notify.clock import MICRO, Clock
from pipeline.notify.notification import Link, Notification, Status
from pipeline.notify.receipt import Receipt
from pipeline.slo.windows import Severity

START = 1_795_000_000 * MICRO
"""2026-11-18T11:06:40Z."""


def notification(key: str = "0123456789abcdef", at: int = 1, **changes: Any) -> Notification:
    """A page of a workflow; `at` makes its transition another one."""
    values: dict[str, Any] = {
        "key": key,
        "transition_id": f"{key}-1-{at}-fired",
        "status": Status.FIRING,
        "severity": Severity.PAGE,
        "title": "Page: refunds: verified success burns 14x its budget",
        "text": ("60 of 80 tasks failed in the last hour.", "Budget left: 12%."),
        "started_at": START,
        "workflow": "refunds",
        "slo": "refunds-quality",
        "objective": "verified-success",
        "owner": "Ada Lovelace",
        "contact": "ada@example.com",
        "escalation": "#agents-oncall",
        "link": "https://trueup.example/alerts/1",
        "runbook": "https://runbooks.example/refunds",
        "failed_tasks": (Link("task-1", "https://trueup.example/tasks/1"), Link("task-2")),
        "labels": {"team": "payments"},
        "annotations": {"dashboard": "board 7"},
    }
    return Notification(**{**values, **changes})


def resolved(key: str = "0123456789abcdef", at: int = 2, **changes: Any) -> Notification:
    """The end of the same alert, ten minutes after its start."""
    values = {"transition_id": f"{key}-1-{at}-resolved", "status": Status.RESOLVED, "ended_at": START + 600 * MICRO}
    return notification(key, **{**values, **changes})


@dataclass
class Time:
    """A clock that stands until it is moved."""

    seconds: float = 1_000.0

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.seconds, lambda: START + round((self.seconds - 1_000) * MICRO))


@dataclass
class Told:
    """A receiver that keeps what it is sent, and raises what it is told to: None is no error."""

    answers: Iterable[Exception | None] = ()
    sent: list[Notification] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        self._answers = iter(self.answers)

    def send(self, notification: Notification) -> None:
        error = next(self._answers, None)
        if error is not None:
            raise error
        self.sent.append(notification)

    def close(self) -> None:
        self.closed = True


@dataclass
class Receipts:
    """Receipts as they come, from any thread."""

    all: list[Receipt] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._came = threading.Condition()

    def __call__(self, receipt: Receipt) -> None:
        with self._came:
            self.all.append(receipt)
            self._came.notify_all()

    def wait(self, wanted: Callable[[list[Receipt]], bool], seconds: float = 20.0) -> list[Receipt]:
        """What has come once it is as wanted; fails after `seconds`."""
        with self._came:
            assert self._came.wait_for(lambda: wanted(self.all), seconds), f"these receipts came: {self.all}"
            return list(self.all)
