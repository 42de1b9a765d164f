"""A notification as JSON: the body of a webhook's message and of a message in Kafka. docs/notifications.md tells it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.notify.notification import Notification

VERSION = "1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp(micros: int) -> str:
    """RFC 3339 in UTC, of microseconds since the Unix epoch."""
    return (_EPOCH + timedelta(microseconds=micros)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def document(notification: Notification) -> dict[str, Any]:
    """Everything about a notification, in JSON's types. Fields are added, not changed, within a version."""
    return {
        "version": VERSION,
        "id": notification.transition_id,
        "key": notification.key,
        "status": str(notification.status),
        "severity": notification.severity and str(notification.severity),
        "replaced": notification.replaced and str(notification.replaced),
        "audience": str(notification.audience),
        "title": notification.title,
        "text": list(notification.text),
        "started_at": timestamp(notification.started_at),
        "ended_at": None if notification.ended_at is None else timestamp(notification.ended_at),
        "workflow": notification.workflow,
        "slo": notification.slo,
        "objective": notification.objective,
        "owner": notification.owner,
        "contact": notification.contact,
        "escalation": notification.escalation,
        "link": notification.link,
        "runbook": notification.runbook,
        "failed_tasks": [{"text": task.text, "url": task.url} for task in notification.failed_tasks],
        "labels": dict(notification.labels),
        "annotations": dict(notification.annotations),
        "targets": {str(severity): sorted(names) for severity, names in notification.targets.items()},
    }


def encoded(value: Any) -> bytes:
    """Compact JSON in ASCII, which any text can be written in, even half of a surrogate pair."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")
