"""What a person needs to know of a dead letter: what its reason means, what to do, and its payload readable."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from pipeline.config import Settings
from schemas.words import Reason

MEANING: dict[Reason, tuple[str, str]] = {
    Reason.NOT_OTLP: (
        "the bytes, or the fields of the record, are not OTLP",
        "send ExportTraceServiceRequest to {spans} and ExportLogsServiceRequest to {logs}, as protobuf or JSON; "
        "the detail says where they stop to be that",
    ),
    Reason.NO_IDENTITY: (
        "the ids of a span are missing, or the task of an event, or the workflow of a period's cost",
        "set what the detail names; a sender's exporter must write ids of 16 and 8 bytes that are not all zero",
    ),
    Reason.UNKNOWN_EVENT: (
        "the event name begins as ours do and is none of them",
        "correct the name at the sender; docs/events.md lists them",
    ),
    Reason.INVALID_ATTRIBUTE: (
        "an attribute of the contract has a value that it cannot have",
        "correct the attribute at the sender, or let `aliases` name another one that is right",
    ),
    Reason.TIME_OUT_OF_RANGE: (
        "it happened too long before, or after, its message was sent",
        "set the sender's clock, or raise limits.oldest_days or limits.future_minutes",
    ),
    Reason.LIMIT_EXCEEDED: ("it is larger than a limit allows", "raise the limit that the detail names"),
    Reason.NOT_AN_ACTION_MESSAGE: (
        "a message of {actions}, or a line of one, is not of a worker's making",
        "let only workers write to {actions}; it cannot be replayed, send the telemetry it came from again, "
        "then discard it",
    ),
    Reason.TASK_FULL: (
        "its task has as many events as one may have: most likely the agent uses one task id for all it does",
        "give each task an id of its own; or raise limits.task_events, and send the telemetry again; then discard it",
    ),
}
"""Reason -> what it means, and what to do. Names in braces are topics."""


def explain(settings: Settings, reason: str) -> tuple[str, str]:
    """What a reason means, and what to do about it."""
    k = settings.kafka
    if reason not in list(Reason):
        return "a reason that this version does not know", "use the version of the worker that wrote it"
    meaning, fix = MEANING[Reason(reason)]
    topics = {"spans": k.spans_topic, "logs": k.logs_topic, "actions": k.actions_topic}
    return meaning.format(**topics), fix.format(**topics)


def readable(payload: str) -> Any:
    """A payload (Base64) as JSON if it is that, else as text; bytes that are no text are written as escapes."""
    try:
        data = base64.b64decode(payload, validate=True)
    except binascii.Error:
        return payload
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return data.decode(errors="backslashreplace")
