"""Whether a span failed, and by what. An exception by which a framework hands over control is no failure."""

from __future__ import annotations

from schemas.mapping.reader import Fields
from schemas.mapping.table import INTERRUPT_MESSAGES, INTERRUPTS
from schemas.otlp import SpanRecord

OTHER = "_OTHER"
"""OpenTelemetry's `error.type` where nothing tells the class of an error."""

_INTERRUPTS = frozenset(row.exception for row in INTERRUPTS)


def ending(span: SpanRecord, fields: Fields) -> tuple[str, bool]:
    """(error type, whether it waits): how a span ended. Empty: it did not fail; what waits did not either.

    The error type is `error.type`, else the class of the exception event, else `_OTHER`.
    """
    told = fields.get("error_type")
    error = told[:256] if isinstance(told, str) else OTHER if span.failed else ""
    if not (error or span.events):
        return "", False
    kinds = [event.attributes.get("exception.type") for event in span.events if event.name == "exception"]
    raised = next((kind[:256] for kind in kinds if isinstance(kind, str)), "")
    if error == OTHER:
        error = raised or OTHER
    if _hands_over(error or raised) or (error == OTHER and _says_so(span)):
        return "", True
    return error, False


def _hands_over(exception: str) -> bool:
    return exception.rpartition(".")[2] in _INTERRUPTS


def _says_so(span: SpanRecord) -> bool:
    messages = (event.attributes.get("exception.message") for event in span.events if event.name == "exception")
    return any(isinstance(message, str) and message.startswith(INTERRUPT_MESSAGES) for message in messages)
