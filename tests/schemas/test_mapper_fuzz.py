"""Whatever arrives, the mapper gives events that the tables can hold, or says why not. Nothing else leaves it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.contract import EVENTS
from schemas.event import Event
from schemas.mapping.records import Limits, Mapper
from schemas.mapping.table import JUDGEMENTS, ROWS
from schemas.mapping.values import Rejected
from schemas.message import decode_message, encode_line
from schemas.otlp import LogRecord, Malformed, Record, Source, SpanEvent, SpanRecord
from schemas.words import Reason
from tests.events import payload_of
from tests.otlp import NOW_NS, SPAN, TRACE
from tests.schemas.mapped import RECEIVED

MAPPER = Mapper(
    aliases={"trueup.task.id": ["metadata.task_id", "x"], "trueup.cost.usd": ["price"]},
    allow=frozenset({"x", "metadata"}),
    limits=Limits(attributes=8),
    human_usd_per_hour={"default": 30},
)

texts = st.text(st.characters(codec="utf-8"), max_size=12)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-2, 2),
    st.floats(),
    texts,
    st.sampled_from(["success", "failure", "pilot", "chat", "execute_tool", "LLM", "tool", "corrected", "1e9", "NaN"]),
    st.sampled_from(['{"task_id": "T"}', "{", "9" * 5_000, "x" * 2_000]),
    st.binary(max_size=8),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=4
)
CONTRACT = sorted({f.alias for model in EVENTS.values() for f in model.model_fields.values() if f.alias})
JUDGED = [f"{row.prefix}.0.{row.item}.{name}" for row in JUDGEMENTS for name in ("name", "score", "label")]
OTHERS = ["metadata", "x", "price", "logfire.feedback.name"]
names = st.sampled_from([*(row.attribute for row in ROWS), *CONTRACT, *JUDGED, *OTHERS]) | texts
attributes = st.dictionaries(names, values, max_size=9)
ids = st.sampled_from([TRACE, SPAN, "", "0" * 16, "zz"]) | texts
times = st.sampled_from([NOW_NS, NOW_NS - 1_000, 0]) | st.integers(-(2**70), 2**70)
sources = st.builds(Source, attributes, texts)
spans = st.builds(
    SpanRecord,
    sources,
    ids,
    ids,
    ids,
    texts,
    times,
    times,
    st.booleans(),
    attributes,
    st.lists(st.builds(SpanEvent, st.sampled_from(["exception", ""]), times, attributes), max_size=1),
)
logs = st.builds(LogRecord, sources, st.sampled_from([*EVENTS, "trueup.x", ""]), times, ids, ids, attributes)
records = st.one_of(spans, logs, st.builds(Malformed, texts, values))


def mapped(record: Record) -> list[Event] | Rejected:
    try:
        return MAPPER.events(record, RECEIVED)
    except Rejected as rejected:
        return rejected


@given(record=records)
@settings(max_examples=150)
@example(record=Malformed("", None))
def test_a_record_becomes_events_that_the_log_takes_or_is_rejected(record: Record) -> None:
    found = mapped(record)
    if isinstance(found, Rejected):
        assert found.reason in Reason
        assert found.detail or isinstance(record, Malformed)
        return
    assert decode_message(payload_of(found or [EVENT]))
    for event in found:
        assert event.task_id or event.workflow
        assert len(encode_line(event)) < 100_000


VALID_SPAN = SpanRecord(Source({"service.name": "a"}), TRACE, SPAN, "", "n", NOW_NS, NOW_NS, False, {})
(EVENT,) = MAPPER.events(VALID_SPAN, RECEIVED)


@given(attributes=attributes, resource=attributes)
@settings(max_examples=150)
def test_a_span_with_any_attributes_does_too(attributes: dict[str, Any], resource: dict[str, Any]) -> None:
    """With good ids and times, so that the attributes are what decides."""
    record = SpanRecord(Source(resource), TRACE, SPAN, "", "n", NOW_NS, NOW_NS, True, attributes)
    found = mapped(record)
    assert isinstance(found, Rejected) or decode_message(payload_of(found))


@pytest.mark.parametrize("name", EVENTS)
@given(data=st.data())
@settings(max_examples=50)
def test_a_log_record_with_any_attributes_does_too(name: str, data: st.DataObject) -> None:
    model = EVENTS[name]
    own = st.sampled_from([f.alias for f in model.model_fields.values()])
    said = data.draw(st.dictionaries(own, values, max_size=3) | attributes)
    found = mapped(LogRecord(Source({}), name, NOW_NS, TRACE, "", said))
    assert isinstance(found, Rejected) or decode_message(payload_of(found))


@given(record=records)
def test_the_same_record_gives_the_same_events(record: Record) -> None:
    one, other = mapped(record), mapped(record)
    if isinstance(one, Rejected):
        assert isinstance(other, Rejected)
        assert (one.reason, one.detail) == (other.reason, other.detail)
    else:
        assert one == other
