"""OTLP messages in, packed canonical events and dead letters out."""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import Settings
from pipeline.normalise.normaliser import MAX_PAYLOAD, Normaliser, Packed
from schemas.event import Event, partition_of
from schemas.words import Kind
from tests.events import sent
from tests.otlp import NOW_NS, TRACE, logs, record, span, traces

RECEIVED = NOW_NS // 1_000
SECRET = "the patient's name is Ada Lovelace, card 4111 1111"


def normalised(payload: bytes, topic: str = "otlp_spans", **settings: Any) -> Packed:
    packed = Packed()
    Normaliser(Settings(**settings)).add(packed, topic, 3, 42, RECEIVED, payload)
    return packed


def events(packed: Packed) -> list[Event]:
    return sent(packed)


def payload_of(packed: Packed) -> bytes:
    (dead,) = packed.dead_letters
    return base64.b64decode(dead.payload)


# --- where events go -----------------------------------------------------------------------------


def test_events_go_to_the_partition_of_their_task() -> None:
    packed = normalised(traces(*(span({"trueup.task.id": f"T-{i}"}, spanId=f"{i + 1:016x}") for i in range(50))))
    for partition, parts in packed.parts.items():
        for event in sent(Packed({partition: parts})):
            assert partition == partition_of(event.task_id, Settings().kafka.partitions)
    assert Counter(e.task_id for e in events(packed) if e.kind != Kind.LINK) == {f"T-{i}": 1 for i in range(50)}


def test_what_has_no_task_goes_to_the_partition_of_its_workflow() -> None:
    payload = logs(record("trueup.outcome", {"trueup.outcome.name": "n", "trueup.outcome.value": 1}, traceId=""))
    packed = normalised(payload, "otlp_logs")
    assert list(packed.parts) == [partition_of("workflow:agent", Settings().kafka.partitions)]


def test_the_topic_says_which_protobuf_it_holds_and_json_says_so_itself() -> None:
    claimed = record("trueup.task.claimed", {"trueup.task.outcome": "success"})
    for topic in ("otlp_spans", "otlp_logs"):
        assert [e.kind for e in events(normalised(logs(claimed), topic))] == [Kind.CLAIM]


def test_a_trace_is_linked_to_the_task_that_its_spans_name_once() -> None:
    normaliser, packed = Normaliser(Settings()), Packed()
    for i in range(3):
        payload = traces(span({"trueup.task.id": "T-1"}, spanId=f"{i + 1:016x}"))
        normaliser.add(packed, "otlp_spans", 0, i, RECEIVED, payload)
    links = [e for e in events(packed) if e.kind == Kind.LINK]
    assert [(e.task_id, e.value) for e in links] == [(TRACE, "T-1")]


@pytest.mark.parametrize("values", [{}, {"trueup.task.id": TRACE}], ids=["no task", "the trace itself"])
def test_a_trace_that_stands_for_its_own_task_is_not_linked(values: dict[str, str]) -> None:
    """A link to itself would send its events round for ever."""
    assert [e.kind for e in events(normalised(traces(span(values))))] == [Kind.OTHER]


def test_records_are_counted() -> None:
    packed = normalised(traces(span(), span(traceId="")))
    normaliser = Normaliser(Settings())
    normaliser.add(packed, "otlp_logs", 0, 0, RECEIVED, logs(record("of.others"), record("trueup.nonsense")))
    assert packed.counts == {"records": 4, "events": 1, "foreign": 1}
    assert [d.reason for d in packed.dead_letters] == ["no_identity", "unknown_event"]


# --- dead letters --------------------------------------------------------------------------------


def test_a_dead_letter_says_where_what_and_why() -> None:
    packed = normalised(traces(span(), span({"trueup.cost.usd": -1, "trueup.task.id": "T-1"}), span(spanId="1" * 16)))
    (dead,) = packed.dead_letters
    assert (dead.topic, dead.partition, dead.offset, dead.index, dead.received) == ("otlp_spans", 3, 42, 1, RECEIVED)
    assert dead.reason == "invalid_attribute"
    assert dead.detail == "trueup.cost.usd: Value error, -1 is outside 0..1000000000 USD"
    assert packed.counts["events"] == 2
    kept = json.loads(payload_of(packed))
    assert kept["attributes"] == {"trueup.cost.usd": -1, "trueup.task.id": "T-1"}
    assert (kept["trace_id"], kept["end_ns"]) == (TRACE, NOW_NS)


def test_a_message_that_is_not_otlp_is_one_dead_letter_for_all_of_it() -> None:
    packed = normalised(b"Ada 42!\xff")
    (dead,) = packed.dead_letters
    assert (dead.index, dead.reason) == (-1, "not_otlp")
    assert payload_of(packed) == b"xxx 00!x"


def test_a_dead_letter_is_whole_where_the_configuration_says_so() -> None:
    packed = normalised(traces(span({"gen_ai.prompt": SECRET}, traceId="")), privacy={"dead_letters": "full"})
    assert json.loads(payload_of(packed))["attributes"] == {"gen_ai.prompt": SECRET}
    assert payload_of(normalised(b"\xff" + SECRET.encode(), privacy={"dead_letters": "full"})).endswith(SECRET.encode())


@pytest.mark.parametrize("keep", ["redacted", "full"])
@pytest.mark.parametrize(
    "payload",
    [
        b"\xff" * 3_000_000,
        traces(span({"k": "x" * 10_000_000}, traceId="")),
        traces(span({f"k{i}": "x" * 50 for i in range(50_000)})),
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"x","f":%b}]}]}]}'
        % (b"[" * 900 + b"]" * 900),
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"x","f":%b1%b}]}]}]}'
        % (b'{"a":' * 900, b"}" * 900),
    ],
    ids=["bytes", "attribute", "attributes", "deep list", "deep map"],
)
def test_a_dead_letter_is_small_whatever_its_record_is(payload: bytes, keep: str) -> None:
    packed = normalised(payload, privacy={"dead_letters": keep})
    assert len(payload_of(packed)) <= MAX_PAYLOAD
    assert len(packed.dead_letters[0].line()) < 100_000


@given(payload=st.binary(max_size=300), start=st.sampled_from([b"", b"{", b"\n", b'{"resourceSpans":[{"scopeSpans":[']))
def test_no_bytes_stop_it(payload: bytes, start: bytes) -> None:
    packed = normalised(start + payload)
    assert packed.dead_letters or not packed.counts["records"] or packed.counts["events"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["key", "value", "values", "intValue", "name", "attributes", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(
    item=st.dictionaries(
        st.sampled_from(["traceId", "spanId", "name", "startTimeUnixNano", "attributes", "events", "links", "status"]),
        json_values,
    ),
    scope=json_values,
    resource=json_values,
)
def test_no_json_of_the_shape_of_otlp_stops_it(item: dict[str, Any], scope: Any, resource: Any) -> None:
    for request in (
        {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": [span(**item), item]}]}]},
        {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": [item]}]}]},
    ):
        packed = normalised(json.dumps(request).encode())
        assert packed.dead_letters or packed.counts["events"] or packed.counts["foreign"]
