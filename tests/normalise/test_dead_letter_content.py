"""A dead letter says what is wrong and repeats nothing of what people or models said, wherever that stands."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pipeline.config import Settings
from pipeline.normalise.normaliser import Normaliser, Packed
from schemas.contract import EVENTS
from schemas.mapping.table import JUDGEMENTS, OWN, ROWS
from schemas.rows import DeadLetter
from tests.otlp import NOW_NS, logs, record, span, traces

RECEIVED = NOW_NS // 1_000
SECRET = "the patient's name is Ada Lovelace, card 4111 1111"
ENCODED = base64.b64encode(SECRET.encode()).decode()
ALIASES = {
    attribute: [f"survey.{attribute}", f"survey_{attribute.replace('.', '_')}"]
    for attribute in (row.attribute for row in ROWS if row.convention == OWN)
}
"""Each attribute of ours also from a field of a JSON attribute `survey`, and from an attribute of another name."""


NORMALISER = Normaliser(Settings(aliases=ALIASES))


def dead_letters(payload: bytes) -> list[DeadLetter]:
    packed = Packed()
    NORMALISER.add(packed, "otlp_spans", 3, 42, RECEIVED, payload)
    return packed.dead_letters


def has_content(dead: DeadLetter) -> bool:
    told = (base64.b64decode(dead.payload) + dead.detail.encode()).lower()
    return any(word in told for word in (b"patient", b"lovelace", b"4111", ENCODED[:24].lower().encode()))


# --- wherever content may stand in a request ------------------------------------------------------

WITH_CONTENT = {
    "attribute": traces(span({"gen_ai.input.messages": SECRET, "trueup.cost.usd": -1})),
    "nested": traces(
        span({"a": [SECRET, {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": SECRET}}]}}]}, traceId="")
    ),
    "key": traces(span({SECRET: 1}, traceId="")),
    "nested key": traces(
        span({"people": {"kvlistValue": {"values": [{"key": "Lovelace", "value": {"intValue": 1}}]}}}, traceId="")
    ),
    "span name": traces(span(name=SECRET, traceId="")),
    "span event": traces(span(events=[{"name": SECRET, "attributes": []}], spanId="")),
    "resource": traces(span(traceId=""), resource={"user.name": SECRET}),
    "trace id": traces(span(traceId=SECRET)),
    "span id": traces(span(spanId="Lovelace")),
    "parent's id": traces(span(parentSpanId=SECRET)),
    "malformed": traces({"startTimeUnixNano": SECRET, "name": SECRET, "trace_id": SECRET, SECRET: 1}),
    "malformed value": traces(span({"gen_ai.prompt": {"intValue": SECRET}})),
    "malformed resource": traces(span(), resource={"gen_ai.prompt": {"intValue": SECRET}}),
    "no OTLP": b'{"events": "' + SECRET.encode() + b'"}',
    "no JSON": b'{"resourceSpans": ' + SECRET.encode(),
    "body": logs(record("trueup.nonsense", {"k": SECRET}, body={"stringValue": SECRET})),
    "event name": logs(record(f"trueup.{SECRET}")),
    "ids of a record": logs(record("trueup.task.claimed", traceId="Lovelace", spanId="Lovelace")),
}


@pytest.mark.parametrize("payload", WITH_CONTENT.values(), ids=WITH_CONTENT)
def test_a_dead_letter_tells_nothing_of_the_content(payload: bytes) -> None:
    dead = dead_letters(payload)
    assert dead
    assert not [d for d in dead if has_content(d)]


# --- in every attribute that the mapper reads -----------------------------------------------------

READ = sorted(
    {row.attribute for row in ROWS}
    | {field.alias for model in EVENTS.values() for field in model.model_fields.values() if field.alias}
    | {f"{row.prefix}.0.{row.item}.{name}" for row in JUDGEMENTS for name in ("name", "label", "score")}
    | {name for names in ALIASES.values() for name in names}
    | {"survey", "event.name", "logfire.feedback.name", "gen_ai.evaluation.evaluator.source"}
)
FORMS: dict[str, Any] = {
    "text": SECRET,
    "list": [SECRET],
    "map": {"kvlistValue": {"values": [{"key": "Lovelace", "value": {"stringValue": SECRET}}]}},
    "bytes": {"bytesValue": ENCODED},
    "JSON": json.dumps({**dict.fromkeys(ALIASES, SECRET), "note": SECRET}),
}
BROKEN = {"traceId": "", "spanId": "broken"}
"""So that a record is a dead letter whatever its attributes are."""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("attribute", READ)
def test_no_attribute_that_is_read_brings_its_content_into_a_dead_letter(attribute: str, form: str) -> None:
    values = {attribute: FORMS[form]}
    sent = [traces(span(values), span(values, **BROKEN)), traces(span(**BROKEN), resource=values)]
    sent += [logs(record(name, values), record(name, values, **BROKEN)) for name in EVENTS]
    dead = [d for payload in sent for d in dead_letters(payload)]
    assert len(dead) >= len(sent)
    assert not [d.detail for d in dead if has_content(d)]


NUMERIC = {
    "trueup.cost.usd": "trueup.cost", "trueup.inclusion_probability": "trueup.task.verified",
    "trueup.human.minutes": "trueup.task.intervened", "trueup.satisfaction": "trueup.task.feedback",
    "trueup.complaint": "trueup.task.feedback", "trueup.outcome.value": "trueup.outcome",
    "gen_ai.evaluation.score.value": "gen_ai.evaluation.result",
}  # fmt: skip


@pytest.mark.parametrize("attribute", NUMERIC)
def test_a_text_where_a_number_belongs_is_told_by_its_length(attribute: str) -> None:
    (dead,) = dead_letters(logs(record(NUMERIC[attribute], {attribute: SECRET})))
    assert f"{attribute}: Value error, a text of {len(SECRET)} characters is not a" in dead.detail
    assert json.loads(base64.b64decode(dead.payload))["attributes"] == {attribute: f"<str of {len(SECRET)}>"}


# --- what stays -----------------------------------------------------------------------------------


def test_ids_numbers_and_words_of_the_contract_stay() -> None:
    values = {
        "trueup.task.id": "T-1", "trueup.workflow": "refunds", "trueup.event.id": "check-990",
        "trueup.task.outcome": "gave_up", "trueup.stage": "pilot", "trueup.human.minutes": 3.5,
        "trueup.complaint": True, "gen_ai.operation.name": "chat",
    }  # fmt: skip
    (dead,) = dead_letters(traces(span({**values, "trueup.cost.usd": -1})))
    kept = json.loads(base64.b64decode(dead.payload))
    assert kept["attributes"] == {**values, "trueup.cost.usd": -1}
    assert kept["source"]["attributes"] == {"service.name": "agent"}


def test_an_unknown_event_is_named() -> None:
    (dead,) = dead_letters(logs(record("trueup.task.finished")))
    assert dead.detail.startswith("'trueup.task.finished' is not one of ")
    assert json.loads(base64.b64decode(dead.payload))["event_name"] == "trueup.task.finished"
