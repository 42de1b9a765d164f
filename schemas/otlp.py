"""OTLP as it comes off Kafka, decoded to plain records; protobuf and JSON look the same afterwards.

OTLP/JSON is not protobuf-JSON: ids are hexadecimal, enums integers, 64-bit integers decimal strings
(https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Attributes = dict[str, Any]


class NotOtlp(ValueError):
    """The bytes are not an OTLP export request; the text says where they stop to be one."""


@dataclass(slots=True)
class Source:
    """Where records come from: their resource's attributes, and the instrumentation scope."""

    attributes: Attributes
    scope: str = ""


@dataclass(slots=True)
class SpanEvent:
    """An event within a span (an exception, an evaluation)."""

    name: str
    time_ns: int
    attributes: Attributes


@dataclass(slots=True)
class SpanRecord:
    """A span. Ids are lower-case hexadecimal; an absent one is empty. Times in nanoseconds."""

    source: Source
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start_ns: int
    end_ns: int
    failed: bool
    attributes: Attributes
    events: list[SpanEvent] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class LogRecord:
    """A log record. The body is not read: it may hold content, and the contract does not use it."""

    source: Source
    event_name: str
    time_ns: int
    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass(slots=True)
class Malformed:
    """A record whose fields have the wrong shape; the rest of its request is fine."""

    detail: str
    item: Any


Record = SpanRecord | LogRecord | Malformed


def decode(payload: bytes, signal: str) -> list[Record]:
    """The records of an export request. `signal`, `traces` or `logs`, says which protobuf message it is.

    JSON says so itself. Raises NotOtlp when nothing of the payload can be read.
    """
    if payload.startswith(b"{"):
        return _from_json(payload)
    if payload[:64].lstrip().startswith(b"{"):
        with suppress(NotOtlp):  # protobuf begins with a line feed and "{" if its first group has 123 bytes
            return _from_json(payload)
    request = ExportTraceServiceRequest() if signal == "traces" else ExportLogsServiceRequest()
    try:
        request.ParseFromString(payload)
    except DecodeError as error:
        raise NotOtlp(f"neither JSON nor OTLP protobuf of {signal}: {error}") from None
    if payload and not request.ListFields():
        raise NotOtlp(f"protobuf, but no export request of {signal}")
    return list(_protobuf_spans(request) if signal == "traces" else _protobuf_logs(request))


# --- protobuf ------------------------------------------------------------------------------------


def _protobuf_spans(request: Any) -> Iterator[SpanRecord]:
    for group in request.resource_spans:
        resource = _protobuf_attributes(group.resource.attributes)
        for scoped in group.scope_spans:
            source = Source(resource, scoped.scope.name)
            for s in scoped.spans:
                yield SpanRecord(
                    source,
                    s.trace_id.hex(),
                    s.span_id.hex(),
                    s.parent_span_id.hex(),
                    s.name,
                    s.start_time_unix_nano,
                    s.end_time_unix_nano,
                    s.status.code == 2,
                    _protobuf_attributes(s.attributes),
                    [SpanEvent(e.name, e.time_unix_nano, _protobuf_attributes(e.attributes)) for e in s.events],
                    [(link.trace_id.hex(), link.span_id.hex()) for link in s.links],
                )


def _protobuf_logs(request: Any) -> Iterator[LogRecord]:
    for group in request.resource_logs:
        resource = _protobuf_attributes(group.resource.attributes)
        for scoped in group.scope_logs:
            source = Source(resource, scoped.scope.name)
            for r in scoped.log_records:
                attributes = _protobuf_attributes(r.attributes)
                yield LogRecord(
                    source,
                    r.event_name or str(attributes.get("event.name", "")),
                    r.time_unix_nano or r.observed_time_unix_nano,
                    r.trace_id.hex(),
                    r.span_id.hex(),
                    attributes,
                )


def _protobuf_attributes(pairs: Iterable[Any]) -> Attributes:
    attributes = {}
    for pair in pairs:
        value = pair.value
        which = value.WhichOneof("value")
        attributes[pair.key] = getattr(value, which) if which in _SCALARS else _protobuf_value(value)
    return attributes


_SCALARS = frozenset({"string_value", "int_value", "double_value", "bool_value"})


def _protobuf_value(value: Any) -> Any:
    which = value.WhichOneof("value")
    if which is None or which == "string_value_strindex":
        return None
    if which == "array_value":
        return [_protobuf_value(v) for v in value.array_value.values]
    if which == "kvlist_value":
        return _protobuf_attributes(value.kvlist_value.values)
    return getattr(value, which)


# --- JSON ----------------------------------------------------------------------------------------


def _from_json(payload: bytes) -> list[Record]:
    try:
        request = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotOtlp(f"starts like JSON but is not: {error}") from None
    if not isinstance(request, dict) or not ("resourceSpans" in request or "resourceLogs" in request):
        raise NotOtlp("JSON without resourceSpans or resourceLogs")
    try:
        return [
            *_json_records(request.get("resourceSpans"), "scopeSpans", "spans", _json_span),
            *_json_records(request.get("resourceLogs"), "scopeLogs", "logRecords", _json_log),
        ]
    except WRONG_SHAPE as error:
        raise NotOtlp(f"JSON of another shape than OTLP: {_without_value(error)}") from None


WRONG_SHAPE = (TypeError, ValueError, AttributeError, KeyError, OverflowError, RecursionError)


def _without_value(error: Exception) -> str:
    """What is wrong. Python quotes the value behind a colon, and it may be content."""
    return f"{type(error).__name__}: {str(error).partition(': ')[0]}"


def _json_records(
    groups: Any, scopes: str, items: str, make: Callable[[Source, dict[str, Any]], Record]
) -> Iterator[Record]:
    for group in groups or ():
        resource = _json_attributes((group.get("resource") or {}).get("attributes"))
        for scoped in group.get(scopes) or ():
            source = Source(resource, str((scoped.get("scope") or {}).get("name") or ""))
            for item in scoped.get(items) or ():
                try:
                    yield make(source, item)
                except WRONG_SHAPE as error:
                    yield Malformed(_without_value(error), item)


def _json_span(source: Source, s: dict[str, Any]) -> SpanRecord:
    return SpanRecord(
        source,
        _json_id(s.get("traceId")),
        _json_id(s.get("spanId")),
        _json_id(s.get("parentSpanId")),
        str(s.get("name", "")),
        int(s.get("startTimeUnixNano") or 0),
        int(s.get("endTimeUnixNano") or 0),
        (s.get("status") or {}).get("code", 0) in (2, "STATUS_CODE_ERROR"),
        _json_attributes(s.get("attributes")),
        [
            SpanEvent(e.get("name", ""), int(e.get("timeUnixNano") or 0), _json_attributes(e.get("attributes")))
            for e in s.get("events") or ()
        ],
        [(_json_id(link.get("traceId")), _json_id(link.get("spanId"))) for link in s.get("links") or ()],
    )


def _json_log(source: Source, r: dict[str, Any]) -> LogRecord:
    attributes = _json_attributes(r.get("attributes"))
    return LogRecord(
        source,
        str(r.get("eventName") or attributes.get("event.name", "")),
        int(r.get("timeUnixNano") or 0) or int(r.get("observedTimeUnixNano") or 0),
        _json_id(r.get("traceId")),
        _json_id(r.get("spanId")),
        attributes,
    )


def _json_id(value: Any) -> str:
    return value.lower() if isinstance(value, str) else ""


def _json_attributes(pairs: Any) -> Attributes:
    return {_json_name(pair.get("key", "")): _json_value(pair.get("value")) for pair in pairs or ()}


def _json_name(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"an attribute's key is a {type(key).__name__}, not a string")
    return key


def _json_value(value: Any) -> Any:
    if not value:
        return None
    kind, inner = next(iter(value.items()))
    convert = _CONVERT.get(kind)
    return convert(inner) if convert else None


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "stringValue": lambda inner: inner,
    "boolValue": lambda inner: inner,
    "intValue": int,
    "doubleValue": float,
    "bytesValue": base64.b64decode,
    "arrayValue": lambda inner: [_json_value(v) for v in inner.get("values") or ()],
    "kvlistValue": lambda inner: _json_attributes(inner.get("values")),
}
