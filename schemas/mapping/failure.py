"""Whether a span failed, and by what. An exception by which a framework hands over control is no failure."""

from __future__ import annotations

from schemas.mapping.reader import Fields
from schemas.mapping.table import INTERRUPT_MESSAGES, INTERRUPTS
from schemas.otlp import SpanRecord

OTHER = "_OTHER"
"""OpenTelemetry's `error.type` where nothing tells the class of an error."""

_INTERRUPTS = frozenset(row.exception for row in INTERRUPTS)


def error_type(span: SpanRecord, fields: Fields) -> str:
    """`error.type`, else the class of the exception event, else `_OTHER`; empty for a span that did not fail."""
    told = fields.get("error_type")
    if not span.failed and not isinstance(told, str):
        return ""
    if isinstance(told, str) and told != OTHER:
        return told[:256]
    return _exception(span) or OTHER


def _exception(span: SpanRecord) -> str:
    for event in span.events:
        kind = event.attributes.get("exception.type")
        if event.name == "exception" and isinstance(kind, str):
            return kind[:256]
    return ""


def interrupted(span: SpanRecord, error: str) -> bool:
    """Whether what looks like the failure `error` is a hand-over of control."""
    if error != OTHER:
        return error.rpartition(".")[2] in _INTERRUPTS
    messages = (event.attributes.get("exception.message") for event in span.events if event.name == "exception")
    return any(isinstance(message, str) and message.startswith(INTERRUPT_MESSAGES) for message in messages)
