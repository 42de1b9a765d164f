"""What other tools judge: on a span, on a later span with a link, as an event of a span, in a log record."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.event import Event
from schemas.mapping.judged import MOST
from schemas.mapping.learnt import Judging
from schemas.mapping.records import Mapper
from schemas.units import MICRO
from schemas.words import Kind
from tests.otlp import SPAN, TRACE, attributes, logs, record, span, traces
from tests.schemas.mapped import events_of

OTHER_TRACE, OTHER_SPAN = "c" * 32, "d" * 16
LINK = {"traceId": OTHER_TRACE, "spanId": OTHER_SPAN}
CARRIER = {"openinference.span.kind": "EVALUATOR"}


def annotated(prefix: str, **fields: Any) -> dict[str, Any]:
    """One annotation or evaluation under a prefix such as `trace.annotations.0.annotation`."""
    return {f"{prefix}.name": "task_outcome", **{f"{prefix}.{name}": value for name, value in fields.items()}}


def judged(values: dict[str, Any], *, judging: Judging | None = None, **fields: Any) -> list[Event]:
    """What a span's judgements became, without the span itself."""
    found = events_of(traces(span(values, **fields)), mapper=Mapper(judging=judging or Judging()))
    return [event for event in found if "#" in event.event_id]


def said(events: list[Event]) -> list[tuple[str, str, str]]:
    return [(event.kind, event.name, event.value) for event in events]


SCORE = (Kind.SCORE, "task_outcome")


@pytest.mark.parametrize("form", ["annotations.0.annotation", "evaluations.0.evaluation"])
@pytest.mark.parametrize("scope", ["", "trace."])
def test_a_judgement_on_a_span_is_about_its_task(form: str, scope: str) -> None:
    values = {"trueup.task.id": "T"} | annotated(scope + form, label="incorrect", score=0.0, annotator_kind="HUMAN")
    events = judged(values)
    assert said(events) == [(*SCORE, "incorrect"), (Kind.VERDICT, "human:task_outcome", "failure")]
    assert {(e.task_id, e.trace_id, e.span_id) for e in events} == {("T", TRACE, SPAN)}
    assert events[0].number == 0
    assert events[1].weight == MICRO
    assert {(e.root, e.attributes == {}) for e in events} == {(0, True)}


def test_the_span_itself_stays_what_it_is() -> None:
    values = {"gen_ai.operation.name": "chat"} | annotated("annotations.0.annotation", score=1)
    kinds = [event.kind for event in events_of(traces(span(values)))]
    assert kinds == [Kind.MODEL_CALL, Kind.SCORE]


@pytest.mark.parametrize(
    ("kind", "verdicts"),
    [
        ("HUMAN", 1),
        ("CODE", 1),
        ("human", 1),
        ("deterministic", 1),
        ("LLM", 0),
        ("llm_judge", 0),
        ("CROWD", 0),
        (None, 0),
    ],
)
def test_only_humans_and_code_give_verdicts(kind: str | None, verdicts: int) -> None:
    told = {"annotator_kind": kind} if kind else {}
    events = judged(annotated("trace.annotations.0.annotation", label="correct", **told))
    assert [e.kind for e in events] == [Kind.SCORE] + [Kind.VERDICT] * verdicts


def test_only_configured_names_are_verdicts() -> None:
    values = annotated("trace.annotations.0.annotation", label="pass", annotator_kind="CODE")
    assert len(judged(values, judging=Judging(verdicts=frozenset({"else"})))) == 1
    assert len(judged(values, judging=Judging(verdicts=frozenset({"else", "task_outcome"})))) == 2


def test_a_label_that_says_neither_is_no_verdict() -> None:
    assert len(judged(annotated("annotations.0.annotation", label="partial", annotator_kind="HUMAN"))) == 1


def test_a_carrier_is_about_the_trace_that_it_links_to_and_is_nothing_itself() -> None:
    values = CARRIER | annotated("trace.evaluations.0.evaluation", label="correct", annotator_kind="CODE")
    events = events_of(traces(span(values, links=[LINK])))
    assert said(events) == [(*SCORE, "correct"), (Kind.VERDICT, "code:task_outcome", "success")]
    assert {(e.task_id, e.task_source, e.trace_id, e.span_id) for e in events} == {
        (OTHER_TRACE, "trace", OTHER_TRACE, OTHER_SPAN)
    }
    assert [e.event_id.split("#")[0] for e in events] == [f"{TRACE}:{SPAN}"] * 2


def test_a_carrier_that_names_a_task_is_about_that() -> None:
    values = {"trueup.task.id": "T"} | CARRIER | annotated("trace.annotations.0.annotation", score=1)
    (event,) = events_of(traces(span(values, links=[LINK])))
    assert event.task_id == "T"


@pytest.mark.parametrize("links", [[], [LINK, LINK], [{"traceId": "0" * 32, "spanId": OTHER_SPAN}], [{"traceId": "x"}]])
def test_without_exactly_one_link_it_is_about_its_own_trace(links: list[Any]) -> None:
    (event,) = judged(annotated("trace.annotations.0.annotation", score=1), links=links)
    assert (event.task_id, event.trace_id) == (TRACE, TRACE)


def test_a_judge_without_a_result_is_no_event_and_one_within_a_trace_is_beside_the_work() -> None:
    assert events_of(traces(span(CARRIER))) == []
    (event,) = events_of(traces(span(CARRIER, parentSpanId=OTHER_SPAN)))
    assert (event.kind, event.root) == (Kind.SETUP, 0)


def test_what_is_about_a_session_is_about_no_task() -> None:
    values = (
        CARRIER | {"session.id": "S-1"} | annotated("session.annotations.0.annotation", score=4, annotator_kind="HUMAN")
    )
    (event,) = events_of(traces(span(values, links=[LINK])))
    assert (event.kind, event.task_id, event.task_source) == (Kind.SCORE, "", "")
    assert event.attributes == {"session.id": "S-1"}


def test_several_judgements_have_identities_of_their_own_that_stay() -> None:
    values = annotated("trace.annotations.0.annotation", score=1) | annotated("trace.annotations.1.annotation", score=0)
    values |= annotated("evaluations.0.evaluation", score=1)
    ids = [e.event_id for e in judged(values)]
    assert len(set(ids)) == 3
    assert ids == [e.event_id for e in judged(values)]
    assert all(event_id.startswith(f"{TRACE}:{SPAN}#") for event_id in ids)


@pytest.mark.parametrize(
    "fields", [{"score": "high"}, {"score": True}, {"label": 5}, {"label": ""}, {"annotator_kind": 1}, {"score": 1e300}]
)
def test_a_judgement_that_makes_no_sense_costs_only_itself(fields: dict[str, Any]) -> None:
    values = annotated("annotations.0.annotation", **fields) | annotated("annotations.1.annotation", score=1)
    found = events_of(traces(span(values)))
    assert [e.kind for e in found] == [Kind.OTHER, Kind.SCORE]


def test_no_span_has_more_judgements_than_the_limit() -> None:
    many: dict[str, Any] = {}
    for n in range(MOST + 5):
        many |= annotated(f"annotations.{n}.annotation", score=1)
    assert len(judged(many)) == MOST


# --- the standard's event ------------------------------------------------------------------------

RESULT = {"gen_ai.evaluation.name": "task_outcome", "gen_ai.evaluation.score.label": "pass"}


def test_an_event_of_a_span_is_a_judgement_of_its_task() -> None:
    values = RESULT | {"gen_ai.evaluation.evaluator.type": "human"}
    event = {"name": "gen_ai.evaluation.result", "attributes": attributes(values)}
    assert said(judged({"trueup.task.id": "T"}, events=[{"name": "other"}, event])) == [
        (*SCORE, "pass"),
        (Kind.VERDICT, "human:task_outcome", "success"),
    ]


def scored(values: dict[str, Any], scope: str = "test") -> list[Event]:
    request = logs(record("gen_ai.evaluation.result", RESULT | values)).replace(
        b'"name":"test"', f'"name":"{scope}"'.encode()
    )
    return events_of(request, "logs")


@pytest.mark.parametrize(
    ("values", "scope", "verdicts"),
    [
        ({}, "test", 0),
        ({"gen_ai.evaluation.evaluator.type": "deterministic"}, "test", 1),
        ({"gen_ai.evaluation.evaluator.type": "llm_judge"}, "test", 0),
        ({"trueup.verifier": "qa"}, "test", 1),
        ({}, "pydantic-evals", 1),
        ({"gen_ai.evaluation.evaluator.source": '{"name":"MyCheck"}'}, "pydantic-evals", 1),
        ({"gen_ai.evaluation.evaluator.source": '{"name":"LLMJudge","arguments":null}'}, "pydantic-evals", 0),
        ({"gen_ai.evaluation.evaluator.source": "{no json"}, "pydantic-evals", 1),
        ({"gen_ai.evaluation.evaluator.source": '["LLMJudge"]'}, "pydantic-evals", 1),
    ],
)
def test_a_record_is_a_verdict_by_who_judged(values: dict[str, Any], scope: str, verdicts: int) -> None:
    assert [e.kind for e in scored(values, scope)] == [Kind.SCORE] + [Kind.VERDICT] * verdicts


# --- feedback ------------------------------------------------------------------------------------

CSAT = Judging(feedback={"csat": (1 * MICRO, 5 * MICRO)})


@pytest.mark.parametrize(("score", "share"), [(1, 0), (5, MICRO), (4, 750_000), (2.5, 375_000)])
def test_a_humans_score_is_satisfaction_on_its_declared_scale(score: float, share: int) -> None:
    values = annotated("trace.annotations.0.annotation", score=score, annotator_kind="HUMAN", name="csat")
    (event,) = judged(values, judging=CSAT)
    assert (event.kind, event.name, event.number, event.flag) == (Kind.FEEDBACK, "csat", share, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"score": 0.5},
        {"score": 6},
        {"label": "happy"},
        {"score": 4, "annotator_kind": "LLM"},
        {"score": 4, "name": "nps"},
    ],
    ids=["below", "above", "no score", "a model's", "another name"],
)
def test_what_is_no_humans_score_on_the_scale_stays_a_score(fields: dict[str, Any]) -> None:
    values = annotated("trace.annotations.0.annotation", **({"annotator_kind": "HUMAN", "name": "csat"} | fields))
    assert [e.kind for e in judged(values, judging=CSAT)] == [Kind.SCORE]


# --- Logfire -------------------------------------------------------------------------------------


def of_logfire(value: Any, name: str = "task_outcome") -> list[Event]:
    values = {"logfire.span_type": "annotation", "logfire.feedback.name": name, name: value}
    request = traces(span(values, parentSpanId=OTHER_SPAN)).replace(b'"name":"test"', b'"name":"logfire.feedback"')
    return events_of(request)


@pytest.mark.parametrize(
    ("value", "verdict"), [(True, "success"), (False, "failure"), ("correct", "success"), (0, "failure"), (0.5, None)]
)
def test_feedback_of_logfire_is_a_humans(value: Any, verdict: str | None) -> None:
    beside, score, *verdicts = of_logfire(value)
    assert (beside.kind, score.kind) == (Kind.SETUP, Kind.SCORE)
    assert [e.value for e in verdicts] == ([verdict] if verdict else [])
    assert {e.task_id for e in (score, *verdicts)} == {TRACE}
