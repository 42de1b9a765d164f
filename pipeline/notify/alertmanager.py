"""Prometheus Alertmanager, API v2.

An alert there is its labels, so they hold only what stays the same during an episode: an owner may change. It ends when
nobody mentions it before its `endsAt`; the delivery repeats firing alerts, each time with an `endsAt` that is `hold`
away. A severity is a label, because routes need it: when it changes, the alert with the old one is ended in the same
request.
"""

from __future__ import annotations

import re
from typing import Any

from pipeline.notify.clock import MICRO, SYSTEM, Clock
from pipeline.notify.document import encoded, timestamp
from pipeline.notify.escape import web_url
from pipeline.notify.http import Endpoint
from pipeline.notify.notification import Audience, Notification, Status
from pipeline.slo.windows import Severity

PATH = "/api/v2/alerts"
ALERTNAMES = {Audience.WORKFLOW: "TrueupObjective", Audience.PLATFORM: "TrueupPlatform"}
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_]")


class Alertmanager:
    """A receiver; `hold` is in seconds."""

    def __init__(self, endpoint: Endpoint, hold: float, clock: Clock = SYSTEM) -> None:
        self._endpoint = endpoint
        self._hold = round(hold * MICRO)
        self._clock = clock

    def send(self, notification: Notification) -> None:
        """Post the alert as it is now. Raises Retryable or Rejected."""
        self._endpoint.post(encoded(alerts(notification, self._clock.wall(), self._hold)))

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()


def alerts(notification: Notification, now: int, hold: int) -> list[dict[str, Any]]:
    """The body of the request: the alert, and the one with the severity that it had before. Times in microseconds.

    A clock that is ahead of ours must not make an alert begin later than it ends, which Alertmanager refuses.
    """
    begun = min(notification.started_at, now)
    ended = max(begun, min(notification.ended_at or now, now))
    firing = notification.status is Status.FIRING
    made = [_alert(notification, notification.severity, begun, now + hold if firing else ended)]
    if notification.replaced is not None and notification.replaced is not notification.severity:
        made.append(_alert(notification, notification.replaced, begun, ended))
    return made


def _alert(notification: Notification, severity: Severity | None, begun: int, ends: int) -> dict[str, Any]:
    alert: dict[str, Any] = {
        "labels": _labels(notification, severity),
        "annotations": _annotations(notification),
        "startsAt": timestamp(begun),
        "endsAt": timestamp(ends),
    }
    link = web_url(notification.link)
    return {**alert, "generatorURL": link} if link else alert


def _labels(notification: Notification, severity: Severity | None) -> dict[str, str]:
    return _named(
        {
            **notification.labels,
            "alertname": ALERTNAMES[notification.audience],
            "alert_key": notification.key,
            "audience": str(notification.audience),
            "severity": str(severity or ""),
            "workflow": notification.workflow,
            "slo": notification.slo,
            "objective": notification.objective,
        }
    )


def _annotations(notification: Notification) -> dict[str, str]:
    return _named(
        {
            **notification.annotations,
            "summary": notification.title,
            "description": "\n".join(notification.text),
            "runbook_url": notification.runbook,
            "dashboard_url": notification.link,
            "owner": notification.owner,
            "contact": notification.contact,
            "escalation": notification.escalation,
            "failed_tasks": "\n".join(f"{task.text} {task.url}".strip() for task in notification.failed_tasks),
        }
    )


def _named(values: dict[str, str]) -> dict[str, str]:
    """With names that Prometheus allows, and without what is empty, which it takes for absent."""
    allowed = {_NOT_IN_A_NAME.sub("_", name): value for name, value in values.items() if value}
    return {f"_{name}" if name[:1].isdigit() else name: value for name, value in allowed.items() if name}
