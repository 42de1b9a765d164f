"""What is learnt about a task later: log records as canonical events."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.event import Event, event_hash
from schemas.mapping.records import DAY_US, Limits, Mapper
from schemas.mapping.values import Rejected
from schemas.units import MICRO, NANO
from schemas.words import CostCategory, Kind, Reason
from tests.otlp import NOW_NS, SECOND_NS, SPAN, TRACE, logs, record
from tests.schemas.mapped import RECEIVED, events_of, of_log

TASK = {"trueup.task.id": "T-1"}


def told(event: Event, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(event, name) for name in names)


def test_a_claim() -> None:
    event = of_log("trueup.task.claimed", TASK | {"trueup.task.outcome": "escalated"})
    assert told(event, "kind", "task_id", "value", "explicit", "root") == (Kind.CLAIM, "T-1", "escalated", 1, 1)
    assert event.at == event.start == NOW_NS // 1_000


def test_a_verdict_stands_for_as_many_tasks_as_it_was_likely_to_be_chosen_from() -> None:
    event = of_log("trueup.task.verified", TASK | {"trueup.verdict": "failure", "trueup.verifier": "qa"})
    assert told(event, "kind", "value", "name", "weight", "root") == (Kind.VERDICT, "failure", "qa", MICRO, 0)
    sampled = TASK | {"trueup.verdict": "success", "trueup.inclusion_probability": 0.05}
    assert told(of_log("trueup.task.verified", sampled), "name", "weight") == ("unknown", 20 * MICRO)


def test_an_intervention_takes_and_costs_a_humans_time() -> None:
    values = TASK | {"trueup.intervention": "corrected", "trueup.human.minutes": 1.5}
    free = of_log("trueup.task.intervened", values)
    assert told(free, "kind", "name", "number", "cost") == (Kind.INTERVENTION, "corrected", 90 * MICRO, None)
    mapper = Mapper(human_usd_per_hour={"default": 60, "lawyer": 600})
    paid = of_log("trueup.task.intervened", values, mapper=mapper)
    assert told(paid, "cost", "cost_source") == (3 * NANO // 2, "priced")
    assert of_log("trueup.task.intervened", values | {"trueup.human.role": "lawyer"}, mapper=mapper).cost == 15 * NANO
    silent = of_log("trueup.task.intervened", TASK | {"trueup.intervention": "approved"}, mapper=mapper)
    assert told(silent, "number", "cost") == (None, None)


def test_feedback() -> None:
    event = of_log("trueup.task.feedback", TASK | {"trueup.satisfaction": 0.8, "trueup.complaint": True})
    assert told(event, "kind", "number", "flag") == (Kind.FEEDBACK, 800_000, 1)
    assert of_log("trueup.task.feedback", TASK | {"trueup.complaint": False}).flag == 0
    assert told(of_log("trueup.task.feedback", TASK | {"trueup.satisfaction": 0}), "number", "flag") == (0, None)


def test_a_cost_of_a_task() -> None:
    event = of_log("trueup.cost", TASK | {"trueup.cost.category": "tool", "trueup.cost.usd": 0.1})
    assert told(event, "kind", "name", "cost", "cost_source", "task_id") == (
        Kind.COST,
        "tool",
        NANO // 10,
        "reported",
        "T-1",
    )


PERIOD = {"trueup.period.start": NOW_NS - 86_400 * SECOND_NS, "trueup.period.end": NOW_NS + 86_400 * SECOND_NS}
SALARY = {"trueup.cost.category": "engineering", "trueup.cost.usd": 5_000} | PERIOD


def test_a_cost_of_a_workflow_belongs_to_its_period() -> None:
    event = of_log("trueup.cost", SALARY | {"trueup.workflow": "refunds"}, traceId="")
    assert told(event, "task_id", "workflow") == ("", "refunds")
    assert event.start == PERIOD["trueup.period.start"] // 1_000
    assert event.at == PERIOD["trueup.period.end"] // 1_000


def test_a_cost_of_a_workflow_of_long_ago_is_rejected() -> None:
    end = (RECEIVED - 400 * DAY_US) * 1_000
    of_log("trueup.cost", SALARY | {"trueup.period.start": 0, "trueup.period.end": end})
    with pytest.raises(Rejected, match=r"limits\.oldest_days") as caught:
        of_log("trueup.cost", SALARY | {"trueup.period.start": 0, "trueup.period.end": end - 1_000})
    assert caught.value.reason == Reason.TIME_OUT_OF_RANGE


@pytest.mark.parametrize("category", CostCategory)
def test_a_cost_of_a_period_of_no_workflow_is_rejected(category: CostCategory) -> None:
    for trace_id in ("", TRACE):
        nobodys = record("trueup.cost", SALARY | {"trueup.cost.category": category}, traceId=trace_id)
        with pytest.raises(Rejected, match=r"names no workflow.*; set trueup\.workflow") as caught:
            events_of(logs(nobodys, resource={"service.name": ""}), "logs")
        assert caught.value.reason == Reason.NO_IDENTITY


def test_a_cost_above_the_limit_is_rejected_and_the_limit_named() -> None:
    mapper = Mapper(limits=Limits(cost_usd=5_000))
    assert of_log("trueup.cost", SALARY, mapper=mapper).cost == 5_000 * NANO
    for name, values in (
        ("trueup.cost", SALARY | {"trueup.cost.usd": 5_001}),
        ("trueup.cost", TASK | {"trueup.cost.category": "tool", "trueup.cost.usd": "5000.01"}),
    ):
        with pytest.raises(Rejected, match=r"limits\.cost_usd allows 5000 for one cost") as caught:
            of_log(name, values, mapper=mapper)
        assert caught.value.reason == Reason.LIMIT_EXCEEDED


def test_a_humans_time_may_not_cost_more_than_the_limit_either() -> None:
    mapper = Mapper(limits=Limits(cost_usd=10), human_usd_per_hour={"default": 60})
    values = TASK | {"trueup.intervention": "corrected", "trueup.human.minutes": 11}
    with pytest.raises(Rejected, match=r"what is charged is 11\.00 USD; limits\.cost_usd allows 10"):
        of_log("trueup.task.intervened", values, mapper=mapper)


def test_a_business_outcome() -> None:
    values = {"trueup.outcome.name": "refunded", "trueup.outcome.value": -12.5}
    event = of_log("trueup.outcome", TASK | values)
    assert told(event, "kind", "name", "number") == (Kind.OUTCOME, "refunded", -12_500_000)
    of_workflow = of_log("trueup.outcome", values, traceId="")
    assert told(of_workflow, "task_id", "workflow") == ("", "agent")


SCORED = TASK | {"gen_ai.evaluation.name": "judge", "gen_ai.evaluation.score.value": 0.25}


def test_an_evaluation_is_a_score() -> None:
    event = of_log("gen_ai.evaluation.result", SCORED | {"gen_ai.evaluation.score.label": "Poor"})
    assert told(event, "kind", "name", "number", "value") == (Kind.SCORE, "judge", 250_000, "poor")


@pytest.mark.parametrize(
    ("label", "score", "verdict"),
    [
        ("pass", None, "success"),
        ("PASSED", 0, "success"),
        ("Incorrect", 1, "failure"),
        (None, 1, "success"),
        (None, 0.0, "failure"),
        (None, 0.5, None),
        (None, None, None),
        ("relevant", 1, None),
    ],
)
def test_an_evaluation_by_a_verifier_is_a_verdict_too(label: str | None, score: float | None, verdict: str) -> None:
    values = TASK | {"gen_ai.evaluation.name": "check", "trueup.verifier": "qa", "trueup.inclusion_probability": 0.5}
    values |= {"gen_ai.evaluation.score.label": label} if label is not None else {}
    values |= {"gen_ai.evaluation.score.value": score} if score is not None else {}
    scored, *verdicts = events_of(logs(record("gen_ai.evaluation.result", values)), "logs")
    assert scored.kind == Kind.SCORE
    assert [told(v, "kind", "value", "name", "weight", "number") for v in verdicts] == (
        [(Kind.VERDICT, verdict, "qa", 2 * MICRO, None)] if verdict else []
    )
    assert [v.event_id for v in verdicts] == [f"{scored.event_id}#verdict"] * len(verdicts)
    assert all(v.hash == event_hash(v.event_id) for v in (scored, *verdicts))


# --- identity ------------------------------------------------------------------------------------

CLAIMED = TASK | {"trueup.task.outcome": "success"}


def claimed(values: dict[str, Any] | None = None, **fields: Any) -> Event:
    return of_log("trueup.task.claimed", CLAIMED | (values or {}), **fields)


def test_a_record_that_brings_an_id_is_known_by_it() -> None:
    event = claimed({"trueup.event.id": "E-1"})
    assert told(event, "event_id", "hash") == ("E-1", event_hash("E-1"))
    assert claimed({"trueup.event.id": "E-1"}, at=NOW_NS + SECOND_NS).hash == event.hash


def test_a_record_without_an_id_is_known_by_what_it_says() -> None:
    event = claimed({"a": 1, "b": [1, {"intValue": "2"}]})
    again = logs({**record("trueup.task.claimed", {"b": [1, {"intValue": "2"}], "a": 1, **CLAIMED}), "flags": 1})
    assert [e.event_id for e in events_of(again, "logs")] == [event.event_id]
    others = [
        claimed({"a": 2, "b": [1, 2]}),
        claimed({"a": 1, "b": [1, 3]}),
        claimed({"a": 1}),
        claimed({"a": 1, "b": [1, 2]}, at=NOW_NS + 1),
        claimed({"a": 1, "b": [1, 2]}, traceId="1" * 32),
        claimed({"a": 1, "b": [1, 2]}, spanId=SPAN),
    ]
    assert len({event.event_id, *(e.event_id for e in others)}) == 7


ABOUT = ("trueup.tenant", "trueup.workflow", "trueup.stage", "deployment.environment.name")


@pytest.mark.parametrize("attribute", ABOUT)
@pytest.mark.parametrize(
    ("name", "values", "fields"),
    [
        ("trueup.cost", SALARY, {"traceId": ""}),
        ("trueup.cost", SALARY, {"traceId": TRACE, "spanId": SPAN}),
        ("trueup.outcome", {"trueup.outcome.name": "refunded", "trueup.outcome.value": 1}, {"traceId": ""}),
    ],
    ids=["cost", "cost told in a trace", "outcome"],
)
def test_what_is_said_of_a_workflow_is_told_apart_by_the_resource(
    name: str, values: dict[str, Any], fields: dict[str, Any], attribute: str
) -> None:
    one, again, other = (
        of_log(name, values, resource={"trueup.workflow": "w", attribute: value}, **fields)
        for value in ("pilot", "pilot", "control")
    )
    assert one.event_id == again.event_id != other.event_id
    assert other.hash == event_hash(other.event_id)


def test_a_record_that_names_its_task_is_the_same_whatever_its_resource_says() -> None:
    resources: list[dict[str, Any]] = [{}, *({attribute: "pilot"} for attribute in ABOUT)]
    assert len({of_log("trueup.task.claimed", CLAIMED, resource=each).event_id for each in resources}) == 1


def test_the_identity_of_a_record_is_the_same_for_ever() -> None:
    """It is in the tables: another function would take every record of the past for a new one."""
    assert claimed().event_id == "a867c28e5ff7fc1ce65a3928fe9a41a0"


def test_a_record_names_its_task_or_its_trace() -> None:
    without = {"trueup.task.outcome": "success"}
    assert told(of_log("trueup.task.claimed", without), "task_id", "task_source") == (TRACE, "trace")
    for trace_id in ("", "0" * 32):
        with pytest.raises(Rejected, match=r"neither trueup\.task\.id nor a trace id") as caught:
            of_log("trueup.task.claimed", without, traceId=trace_id)
        assert caught.value.reason == Reason.NO_IDENTITY
        assert told(claimed(traceId=trace_id), "task_id", "trace_id") == ("T-1", "")


@pytest.mark.parametrize("fields", [{"traceId": "short"}, {"traceId": "a" * 10_000_000}, {"spanId": "x" * 16}])
def test_a_record_with_a_broken_id_is_rejected(fields: dict[str, str]) -> None:
    with pytest.raises(Rejected, match="hexadecimal digits are needed") as caught:
        claimed(**fields)
    assert caught.value.reason == Reason.NO_IDENTITY


# --- what is not ours ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "gen_ai.client.inference.operation.details", "exception", "TRUEUP.task.claimed"])
def test_a_log_record_of_others_is_no_event(name: str) -> None:
    assert events_of(logs(record(name, {"trueup.task.outcome": "nonsense"}, at=1)), "logs") == []


def test_an_event_name_of_ours_that_is_none_is_rejected() -> None:
    with pytest.raises(Rejected, match=r"'trueup.task.finished' is not one of trueup.task.claimed, ") as caught:
        of_log("trueup.task.finished", CLAIMED)
    assert caught.value.reason == Reason.UNKNOWN_EVENT


def test_a_bad_attribute_is_rejected_by_name() -> None:
    with pytest.raises(Rejected) as caught:
        of_log("trueup.task.verified", TASK | {"trueup.verdict": "maybe", "trueup.verifier": 5})
    assert caught.value.reason == Reason.INVALID_ATTRIBUTE
    assert caught.value.detail.count("; ") == 1
    assert "trueup.verdict: Input should be 'success'" in caught.value.detail
    assert "trueup.verifier: Input should be a valid string" in caught.value.detail


def test_any_attribute_may_be_called_something_else() -> None:
    mapper = Mapper(aliases={"trueup.verdict": ["qa.result"], "trueup.verifier": ["review.by"]})
    values = {"trueup.task.id": "T-1", "qa.result": "failure", "review": '{"by": "ann"}'}
    assert told(of_log("trueup.task.verified", values, mapper=mapper), "value", "name") == ("failure", "ann")
    own = values | {"trueup.verdict": "success"}
    assert of_log("trueup.task.verified", own, mapper=mapper).value == "success"
    with pytest.raises(Rejected, match=r"trueup.verdict: Field required"):
        of_log("trueup.task.verified", values)
