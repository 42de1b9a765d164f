"""OTLP off the wire: protobuf and JSON give the same records, and a bad part spoils no more than itself."""

from __future__ import annotations

import base64
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from schemas.otlp import LogRecord, Malformed, NotOtlp, SpanRecord, decode
from tests.otlp import NOW_NS, SPAN, TRACE, logs, record, span, traces

CAPTURES = Path(__file__).parents[1] / "data" / "otlp"


def as_json(request: Any) -> bytes:
    """A protobuf request in the OTLP/JSON encoding: as protobuf's own JSON, but ids in hexadecimal."""
    plain = MessageToDict(request, use_integers_for_enums=True)
    hexadecimal(plain)
    return json.dumps(plain).encode()


def hexadecimal(value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("traceId", "spanId", "parentSpanId"):
                value[key] = base64.b64decode(inner).hex()
            else:
                hexadecimal(inner)
    elif isinstance(value, list):
        for inner in value:
            hexadecimal(inner)


# --- the same in both encodings ------------------------------------------------------------------

texts = st.text(max_size=8)
times = st.integers(0, 2**64 - 1)
scalars = st.one_of(
    st.builds(AnyValue),
    st.builds(AnyValue, string_value=texts),
    st.builds(AnyValue, bool_value=st.booleans()),
    st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1)),
    st.builds(AnyValue, double_value=st.floats(allow_nan=False)),
    st.builds(AnyValue, bytes_value=st.binary(max_size=8)),
)


@st.composite
def nested(draw: st.DrawFn, inner: st.SearchStrategy[AnyValue]) -> AnyValue:
    value = AnyValue()
    if draw(st.booleans()):
        value.array_value.values.extend(draw(st.lists(inner, max_size=3)))
    else:
        value.kvlist_value.values.extend(
            KeyValue(key=k, value=v) for k, v in draw(st.dictionaries(texts, inner, max_size=3)).items()
        )
    return value


values = st.recursive(scalars, nested, max_leaves=6)
pairs = st.lists(st.builds(KeyValue, key=texts, value=values), max_size=4)
spans = st.builds(
    SpanMessage,
    trace_id=st.binary(max_size=16),
    span_id=st.binary(max_size=8),
    parent_span_id=st.binary(max_size=8),
    name=texts,
    start_time_unix_nano=times,
    end_time_unix_nano=times,
    status=st.builds(Status, code=st.sampled_from([0, 1, 2])),
    attributes=pairs,
    events=st.lists(st.builds(SpanMessage.Event, name=texts, time_unix_nano=times, attributes=pairs), max_size=2),
    links=st.lists(st.builds(SpanMessage.Link, trace_id=st.binary(max_size=16)), max_size=2),
)
records = st.builds(
    LogMessage,
    trace_id=st.binary(max_size=16),
    span_id=st.binary(max_size=8),
    event_name=texts,
    time_unix_nano=times,
    observed_time_unix_nano=times,
    attributes=pairs,
    body=values,
)


@given(resource=pairs, items=st.lists(spans, min_size=1, max_size=3))
def test_spans_are_the_same_in_protobuf_and_json(resource: list[KeyValue], items: list[SpanMessage]) -> None:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(resource)
    group.scope_spans.add().spans.extend(items)
    group.scope_spans[0].scope.name = "scope"
    found = decode(request.SerializeToString(), "traces")
    assert found == decode(as_json(request), "traces")
    assert [s.span_id for s in found] == [s.span_id.hex() for s in items]


@given(resource=pairs, items=st.lists(records, min_size=1, max_size=3))
def test_log_records_are_the_same_in_protobuf_and_json(resource: list[KeyValue], items: list[LogMessage]) -> None:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(resource)
    group.scope_logs.add().log_records.extend(items)
    found = decode(request.SerializeToString(), "logs")
    assert found == decode(as_json(request), "logs")
    assert [r.trace_id for r in found] == [r.trace_id.hex() for r in items]


PAIRS = [
    (lines, place / f"{folder}" / f"{number:04}.binpb", signal)
    for place in sorted(CAPTURES.iterdir())
    for name, folder, signal in (("traces.jsonl", "binpb", "traces"), ("logs.jsonl", "logs_binpb", "logs"))
    if (place / name).exists()
    for number, lines in enumerate((place / name).read_bytes().splitlines(), 1)
    if (place / folder).exists()
]


@pytest.mark.parametrize(("line", "binpb", "signal"), PAIRS, ids=lambda v: v.parts[-3] if isinstance(v, Path) else "")
def test_a_captured_request_is_the_same_in_protobuf_and_json(line: bytes, binpb: Path, signal: str) -> None:
    found = decode(line, signal)
    assert found == decode(binpb.read_bytes(), signal)
    assert found
    assert not any(isinstance(r, Malformed) for r in found)


def test_protobuf_that_begins_like_json_is_protobuf() -> None:
    """Its first byte is a line feed, and the second, the size of the first group, is that of "{"."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="")
    while len(request.resource_spans[0].SerializeToString()) < ord("{"):
        request.resource_spans[0].scope_spans[0].spans[0].name += "x"
    payload = request.SerializeToString()
    assert payload.startswith(b"\n{")
    (found,) = decode(payload, "traces")
    assert isinstance(found, SpanRecord)


def test_json_may_begin_with_white_space() -> None:
    assert decode(b"\n  " + traces(span()), "traces") == decode(traces(span()), "traces")


# --- what JSON may look like ---------------------------------------------------------------------


def only_span(payload: bytes) -> SpanRecord:
    (found,) = decode(payload, "traces")
    assert isinstance(found, SpanRecord)
    return found


def only_log(payload: bytes) -> LogRecord:
    (found,) = decode(payload, "logs")
    assert isinstance(found, LogRecord)
    return found


def test_ids_are_lower_case_hexadecimal() -> None:
    found = only_span(traces(span(traceId=TRACE.upper(), spanId=SPAN.upper(), parentSpanId="ABCDEF0123456789")))
    assert (found.trace_id, found.span_id, found.parent_id) == (TRACE, SPAN, "abcdef0123456789")


@pytest.mark.parametrize("value", ["17", 17, 17.0])
def test_integers_may_be_strings_or_numbers(value: object) -> None:
    found = only_span(traces(span({"n": {"intValue": value}}, startTimeUnixNano=value)))
    assert (found.attributes["n"], found.start_ns) == (17, 17)


def test_missing_fields_are_empty() -> None:
    found = only_span(b'{"resourceSpans":[{"scopeSpans":[{"spans":[{}]}]}]}')
    assert (found.trace_id, found.span_id, found.parent_id, found.name) == ("", "", "", "")
    assert (found.start_ns, found.end_ns, found.failed, found.attributes) == (0, 0, False, {})
    assert found.source.attributes == {}


def test_null_fields_are_empty() -> None:
    found = only_span(
        b'{"resourceSpans":[{"resource":null,"scopeSpans":[{"scope":null,"spans":'
        b'[{"traceId":null,"startTimeUnixNano":null,"status":null,"attributes":null,"events":null,"links":null}]}]}]}'
    )
    assert (found.trace_id, found.start_ns, found.attributes, found.events) == ("", 0, {}, [])


def test_unknown_fields_are_ignored() -> None:
    plain = span({"a": 1})
    strange = {**plain, "flags": 256, "futureField": {"deep": [1]}, "droppedAttributesCount": 3}
    assert decode(traces(strange), "traces") == decode(traces(plain), "traces")


def test_nested_values_keep_their_shape() -> None:
    nested_value = {
        "kvlistValue": {"values": [{"key": "in", "value": {"arrayValue": {"values": [{"intValue": "1"}]}}}]}
    }
    found = only_span(
        traces(span({"map": nested_value, "list": ["x", True, 2.5], "empty": {}, "none": {"arrayValue": {}}}))
    )
    assert found.attributes == {"map": {"in": [1]}, "list": ["x", True, 2.5], "empty": None, "none": []}


@pytest.mark.parametrize(("code", "failed"), [(0, False), (1, False), (2, True), ("STATUS_CODE_ERROR", True)])
def test_the_status_says_whether_a_span_failed(code: object, failed: bool) -> None:
    assert only_span(traces(span(status={"code": code}))).failed is failed


def test_a_log_record_without_time_has_the_time_it_was_observed() -> None:
    payload = logs(record("e", timeUnixNano="0", observedTimeUnixNano=str(NOW_NS)))
    assert only_log(payload).time_ns == NOW_NS


def test_an_event_name_may_be_an_attribute() -> None:
    assert only_log(logs(record("", {"event.name": "trueup.cost"}))).event_name == "trueup.cost"


def test_the_body_of_a_log_record_is_not_read() -> None:
    found = only_log(logs(record("e", body={"stringValue": "a prompt"})))
    assert "prompt" not in repr(found)


# --- what is not OTLP ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "signal", "why"),
    [
        (b"\x00\x01\x02 random \xff\xfe", "traces", "neither JSON nor OTLP protobuf of traces"),
        (b"plain text", "logs", "neither JSON nor OTLP protobuf of logs"),
        (b"[1, 2, 3]", "traces", "neither JSON nor OTLP protobuf"),
        (b'{"events": []}', "traces", "JSON without resourceSpans or resourceLogs"),
        (b"{}", "traces", "JSON without resourceSpans or resourceLogs"),
        (b'{"resourceSpans": [', "traces", "starts like JSON but is not"),
        (b'{"resourceSpans": [{"a": "\xff"}]}', "traces", "starts like JSON but is not"),
        (b'{"resourceSpans": 5}', "traces", "JSON of another shape than OTLP"),
        (b'{"resourceSpans": ["text"]}', "traces", "JSON of another shape than OTLP"),
        (
            b'{"resourceSpans": [{"resource": {"attributes": [1]}}]}',
            "traces",
            "of another shape than OTLP: AttributeError",
        ),
        (b'{"resourceSpans":' + b"[" * 100_000, "traces", "starts like JSON but is not"),
        (b"\x7a\x02ab", "traces", "protobuf, but no export request of traces"),
    ],
)
def test_what_is_not_otlp_is_refused_with_the_reason(payload: bytes, signal: str, why: str) -> None:
    with pytest.raises(NotOtlp, match=re.escape(why)):
        decode(payload, signal)


def test_invalid_utf8_in_protobuf_is_refused() -> None:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="mark")
    with pytest.raises(NotOtlp, match="protobuf"):
        decode(request.SerializeToString().replace(b"mark", b"m\xff\xferk"[:4]), "traces")


def test_an_empty_message_is_an_export_of_nothing() -> None:
    assert decode(b"", "traces") == []
    assert decode(ExportTraceServiceRequest().SerializeToString(), "traces") == []


@given(payload=st.binary(max_size=200))
def test_no_bytes_raise_anything_but_not_otlp(payload: bytes) -> None:
    for start in (b"", b"{", b'{"resourceSpans":', b"\n"):
        with suppress(NotOtlp):
            assert isinstance(decode(start + payload, "traces"), list)


BAD_ITEMS = [
    "text",
    None,
    7,
    {"traceId": TRACE, "startTimeUnixNano": "soon"},
    {"startTimeUnixNano": [1]},
    {"attributes": [{"key": 5, "value": {"intValue": "1"}}]},
    {"attributes": [{"key": None, "value": {"intValue": "1"}}]},
    {"attributes": [{"key": "a", "value": {"intValue": "one"}}]},
    {"attributes": [{"key": "a", "value": {"intValue": "9" * 5_000}}]},
    {"attributes": [{"key": "a", "value": {"intValue": None}}]},
    {"attributes": [{"key": "a", "value": {"doubleValue": "wide"}}]},
    {"attributes": [{"key": "a", "value": {"bytesValue": "a"}}]},
    {"attributes": [{"key": "a", "value": {"arrayValue": [1]}}]},
    {"attributes": [{"key": "a", "value": "bare"}]},
    {"attributes": "all"},
    {"attributes": 3},
    {"status": "bad"},
    {"events": [1]},
    {"links": ["x"]},
]


@pytest.mark.parametrize("item", BAD_ITEMS, ids=lambda v: repr(v)[:60])
def test_a_malformed_item_leaves_the_rest_of_its_request(item: Any) -> None:
    before, bad, after = decode(traces(span(spanId="a" * 16), item, span(spanId="b" * 16)), "traces")
    assert isinstance(bad, Malformed)
    assert bad.detail
    assert bad.item == item
    assert isinstance(before, SpanRecord)
    assert isinstance(after, SpanRecord)
    assert (before.span_id, after.span_id) == ("a" * 16, "b" * 16)


@pytest.mark.parametrize("value", [{"intValue": "SECRET"}, {"doubleValue": "SECRET"}, {"bytesValue": "SECRET!"}])
def test_what_is_wrong_with_a_value_is_told_without_the_value(value: dict[str, str]) -> None:
    (bad,) = decode(traces(span({"gen_ai.prompt": value})), "traces")
    assert isinstance(bad, Malformed)
    assert "SECRET" not in bad.detail
    with pytest.raises(NotOtlp) as caught:
        decode(traces(span(), resource={"prompt": value}), "traces")
    assert "SECRET" not in str(caught.value)
