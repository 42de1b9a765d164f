"""OTLP/JSON requests to test with, as an exporter writes them: hexadecimal ids, 64-bit integers as strings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
NOW_NS = 1_795_000_000_000_000_000
"""A moment of November 2026."""
SECOND_NS = 1_000_000_000


def any_value(value: Any) -> dict[str, Any]:
    """A value as an OTLP AnyValue; a map that has one already stays as it is."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value if math.isfinite(value) else str(value)}
        case str():
            return {"stringValue": value}
        case list():
            return {"arrayValue": {"values": [any_value(v) for v in value]}}
        case _:
            return dict(value)


def attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes of a span, a record or a resource."""
    return [{"key": key, "value": any_value(value)} for key, value in values.items()]


def span(values: Mapping[str, Any] | None = None, *, at: int = NOW_NS, **fields: Any) -> dict[str, Any]:
    """A root span of a second that ends at `at`; `fields` replace or add what OTLP names so."""
    return {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "work",
        "startTimeUnixNano": str(at - SECOND_NS),
        "endTimeUnixNano": str(at),
        "attributes": attributes(values or {}),
        **fields,
    }


def record(event_name: str, values: Mapping[str, Any] | None = None, *, at: int = NOW_NS, **fields: Any) -> Any:
    """A log record."""
    return {
        "timeUnixNano": str(at),
        "eventName": event_name,
        "traceId": TRACE,
        "attributes": attributes(values or {}),
        **fields,
    }


def traces(*spans: Mapping[str, Any], resource: Mapping[str, Any] | None = None) -> bytes:
    """An ExportTraceServiceRequest."""
    scoped = {"scope": {"name": "test"}, "spans": list(spans)}
    return _encode({"resourceSpans": [{"resource": _resource(resource), "scopeSpans": [scoped]}]})


def logs(*records: Mapping[str, Any], resource: Mapping[str, Any] | None = None) -> bytes:
    """An ExportLogsServiceRequest."""
    scoped = {"scope": {"name": "test"}, "logRecords": list(records)}
    return _encode({"resourceLogs": [{"resource": _resource(resource), "scopeLogs": [scoped]}]})


def _resource(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"attributes": attributes({"service.name": "agent", **(values or {})})}


_encode = msgspec.json.encode
