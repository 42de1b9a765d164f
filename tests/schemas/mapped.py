"""Requests through the decoder and the mapper, as the first stage does it."""

from __future__ import annotations

from typing import Any

from schemas.event import Event
from schemas.mapping.records import Mapper
from schemas.otlp import decode
from tests.otlp import NOW_NS, logs, record, span, traces

RECEIVED = NOW_NS // 1_000 + 5_000_000
"""Kafka's timestamp of the messages, in microseconds: five seconds after what they tell of."""
CHAT = {"gen_ai.operation.name": "chat"}


def events_of(
    payload: bytes, signal: str = "traces", mapper: Mapper | None = None, received: int = RECEIVED
) -> list[Event]:
    """Every event of a request. Raises Rejected for its first bad record."""
    mapper = mapper or Mapper()
    return [event for r in decode(payload, signal) for event in mapper.events(r, received)]


def of_span(
    values: dict[str, Any] | None = None, *, mapper: Mapper | None = None, resource: Any = None, **fields: Any
) -> Event:
    """The event of one span."""
    (event,) = events_of(traces(span(values, **fields), resource=resource), "traces", mapper)
    return event


def of_log(
    name: str,
    values: dict[str, Any] | None = None,
    *,
    mapper: Mapper | None = None,
    resource: Any = None,
    **fields: Any,
) -> Event:
    """The event of one log record."""
    (event,) = events_of(logs(record(name, values, **fields), resource=resource), "logs", mapper)
    return event
