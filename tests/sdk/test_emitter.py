"""The one-line calls: the events of the telemetry contract."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from opentelemetry import context
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from trueup.attributes import CostCategory, Intervention, Outcome, Verdict
from trueup.checks import InvalidArgumentError
from trueup.drops import DropReason
from trueup.telemetry import Telemetry
from trueup.testing import MemoryKafka, attributes_of

from schemas.contract import EVENTS

Call = Callable[[Telemetry], None]
NOON = datetime(2025, 11, 22, 12, tzinfo=UTC)
NOON_NS = 1_763_812_800_000_000_000


def emitted(kafka: MemoryKafka, telemetry: Telemetry) -> list[tuple[LogRecord, dict[str, object]]]:
    assert telemetry.flush()
    return [(event, attributes_of(event.attributes)) for event in kafka.events()]


def one(kafka: MemoryKafka, telemetry: Telemetry) -> tuple[LogRecord, dict[str, object]]:
    (event,) = emitted(kafka, telemetry)
    return event


EXAMPLES: list[tuple[str, Call, dict[str, object]]] = [
    (
        "trueup.task.claimed",
        lambda t: t.claimed("t1", "gave_up"),
        {"trueup.task.id": "t1", "trueup.task.outcome": "gave_up"},
    ),
    (
        "trueup.task.verified",
        lambda t: t.verified("t1", "failure", verifier="ledger-check"),
        {
            "trueup.task.id": "t1",
            "trueup.verdict": "failure",
            "trueup.verifier": "ledger-check",
            "trueup.inclusion_probability": 1.0,
        },
    ),
    (
        "trueup.task.verified",
        lambda t: t.verified("t1", Verdict.SUCCESS, inclusion_probability=0.05),
        {"trueup.task.id": "t1", "trueup.verdict": "success", "trueup.inclusion_probability": 0.05},
    ),
    (
        "trueup.task.intervened",
        lambda t: t.intervened("t1", "taken_over", minutes=12.5, role="clerk"),
        {
            "trueup.task.id": "t1",
            "trueup.intervention": "taken_over",
            "trueup.human.minutes": 12.5,
            "trueup.human.role": "clerk",
        },
    ),
    (
        "trueup.task.intervened",
        lambda t: t.intervened("t1", Intervention.APPROVED),
        {"trueup.task.id": "t1", "trueup.intervention": "approved"},
    ),
    (
        "trueup.task.feedback",
        lambda t: t.feedback("t1", satisfaction=0.75),
        {"trueup.task.id": "t1", "trueup.satisfaction": 0.75},
    ),
    (
        "trueup.task.feedback",
        lambda t: t.feedback("t1", complaint=False),
        {"trueup.task.id": "t1", "trueup.complaint": False},
    ),
    (
        "trueup.cost",
        lambda t: t.cost("human", Decimal("3.5"), task_id="t1"),  # type: ignore[arg-type]
        {"trueup.task.id": "t1", "trueup.cost.category": "human", "trueup.cost.usd": 3.5},
    ),
    (
        "trueup.cost",
        lambda t: t.cost("engineering", 900, period=(NOON, NOON + timedelta(days=1))),
        {
            "trueup.cost.category": "engineering",
            "trueup.cost.usd": 900.0,
            "trueup.period.start": NOON_NS,
            "trueup.period.end": NOON_NS + 86_400 * 10**9,
        },
    ),
    (
        "trueup.outcome",
        lambda t: t.outcome("refund_amount", 49.9, task_id="t1"),
        {"trueup.task.id": "t1", "trueup.outcome.name": "refund_amount", "trueup.outcome.value": 49.9},
    ),
    (
        "trueup.outcome",
        lambda t: t.outcome("backlog", 120, workflow="refunds"),
        {"trueup.outcome.name": "backlog", "trueup.outcome.value": 120.0},
    ),
]


@pytest.mark.parametrize(("name", "call", "expected"), EXAMPLES)
def test_a_call_emits_its_event(
    kafka: MemoryKafka, telemetry: Telemetry, name: str, call: Call, expected: dict[str, object]
) -> None:
    call(telemetry)
    event, attributes = one(kafka, telemetry)
    assert event.event_name == name
    assert uuid.UUID(str(attributes.pop("trueup.event.id")))
    assert attributes == {"trueup.workflow": "refunds"} | expected
    assert (event.trace_id, event.span_id) == (b"", b"")
    assert event.time_unix_nano > 0


@pytest.mark.parametrize(("name", "call", "expected"), EXAMPLES)
def test_what_is_emitted_is_valid_for_the_pipeline(
    kafka: MemoryKafka, telemetry: Telemetry, name: str, call: Call, expected: dict[str, object]
) -> None:
    call(telemetry)
    _, attributes = one(kafka, telemetry)
    EVENTS[name].model_validate(attributes)


def test_every_call_is_an_event_of_its_own_unless_it_is_named(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    for _ in range(3):
        telemetry.claimed("t1", Outcome.SUCCESS)
    for _ in range(2):
        telemetry.claimed("t1", Outcome.SUCCESS, event_id="order-4711-done")
    ids = [attributes["trueup.event.id"] for _, attributes in emitted(kafka, telemetry)]
    assert len(set(ids[:3])) == 3
    assert ids[3:] == ["order-4711-done"] * 2


@pytest.mark.parametrize("at", [NOON, NOON_NS, NOON.astimezone()])
def test_the_time_of_an_event_can_be_given(kafka: MemoryKafka, telemetry: Telemetry, at: datetime | int) -> None:
    telemetry.verified("t1", "success", at=at)
    assert one(kafka, telemetry)[0].time_unix_nano == NOON_NS


INSIDE: list[Call] = [
    lambda t: t.claimed(outcome="success"),
    lambda t: t.verified(verdict="success"),
    lambda t: t.intervened(kind="corrected"),
    lambda t: t.feedback(complaint=True),
    lambda t: t.cost("tool", 0.1),
    lambda t: t.outcome("refund_amount", 5),
]


@pytest.mark.parametrize("call", INSIDE)
def test_inside_a_task_the_event_is_of_that_task_and_of_its_trace(
    kafka: MemoryKafka, telemetry: Telemetry, call: Call
) -> None:
    with telemetry.task("t1", workflow="refunds-eu", case_type="refund", stage="pilot"):
        call(telemetry)
    event, attributes = one(kafka, telemetry)
    assert attributes["trueup.task.id"] == "t1"
    assert attributes["trueup.workflow"] == "refunds-eu"
    assert (attributes["trueup.task.type"], attributes["trueup.stage"]) == ("refund", "pilot")
    assert event.trace_id == kafka.spans()[0].trace_id


@pytest.mark.parametrize("call", INSIDE)
def test_outside_a_task_the_task_must_be_named(telemetry: Telemetry, call: Call) -> None:
    call(telemetry)
    assert telemetry.dropped == {DropReason.INVALID: 1}


def test_an_event_about_another_task_takes_nothing_from_the_one_it_is_called_in(
    kafka: MemoryKafka, telemetry: Telemetry
) -> None:
    with telemetry.task("review-1", workflow="review", case_type="review", stage="pilot"):
        telemetry.verified("refund-1", "failure")
    event, attributes = one(kafka, telemetry)
    assert attributes["trueup.task.id"] == "refund-1"
    assert attributes["trueup.workflow"] == "refunds"
    assert "trueup.task.type" not in attributes
    assert "trueup.stage" not in attributes
    assert event.trace_id == b""


def test_a_cost_of_a_workflow_is_of_no_task_even_inside_one(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    with telemetry.task("t1", workflow="refunds-eu"):
        telemetry.cost("operations", 5, period=(NOON, NOON))
    event, attributes = one(kafka, telemetry)
    assert "trueup.task.id" not in attributes
    assert attributes["trueup.workflow"] == "refunds-eu"
    assert event.trace_id == b""


def test_a_workflow_alone_means_the_workflow_as_a_whole(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    with telemetry.task("t1"):
        telemetry.outcome("backlog", 3, workflow="refunds-us")
    _, attributes = one(kafka, telemetry)
    assert "trueup.task.id" not in attributes
    assert attributes["trueup.workflow"] == "refunds-us"


def test_without_any_workflow_there_is_nothing_to_charge(kafka: MemoryKafka) -> None:
    with kafka.telemetry("agent") as telemetry:
        telemetry.cost("operations", 5, period=(NOON, NOON))
        assert telemetry.dropped == {DropReason.INVALID: 1}


WRONG: list[tuple[Call, str]] = [
    (lambda t: t.claimed("t1", "done"), "outcome is 'done'"),  # type: ignore[arg-type]
    (lambda t: t.claimed("t1"), "outcome is None"),
    (lambda t: t.claimed("", "success"), "task_id is ''"),
    (lambda t: t.verified("t1", "maybe"), "verdict is 'maybe'"),  # type: ignore[arg-type]
    (lambda t: t.verified("t1", "success", inclusion_probability=0), "inclusion_probability is 0"),
    (lambda t: t.verified("t1", "success", inclusion_probability=1.5), "inclusion_probability is 1.5"),
    (lambda t: t.verified("t1", "success", verifier=""), "verifier is ''"),
    (lambda t: t.verified("t1", "success", at=datetime.fromisoformat("2025-01-01")), "without a time zone"),
    (lambda t: t.verified("t1", "success", event_id=""), "event_id is ''"),
    (lambda t: t.intervened("t1", "helped"), "kind is 'helped'"),  # type: ignore[arg-type]
    (lambda t: t.intervened("t1", "corrected", minutes=-1), "minutes is -1"),
    (lambda t: t.feedback("t1"), "feedback says nothing"),
    (lambda t: t.feedback("t1", satisfaction=5), "satisfaction is 5"),
    (lambda t: t.feedback("t1", complaint="yes"), "complaint is 'yes'"),  # type: ignore[arg-type]
    (lambda t: t.cost("coffee", 1, task_id="t1"), "category is 'coffee'"),  # type: ignore[arg-type]
    (lambda t: t.cost("model", -1, task_id="t1"), "usd is -1"),
    (lambda t: t.cost("model", float("nan"), task_id="t1"), "usd is nan"),
    (lambda t: t.cost("model", 1, task_id="t1", period=(NOON, NOON)), "a task's cost has no period"),
    (lambda t: t.cost("model", 1, period=(NOON, NOON - timedelta(1))), "period ends before it starts"),
    (lambda t: t.cost("model", 1, period=NOON), "period must be a pair"),  # type: ignore[arg-type]
    (lambda t: t.outcome("", 1, task_id="t1"), "name is ''"),
    (lambda t: t.outcome("n", float("inf"), task_id="t1"), "value is inf"),
    (lambda t: t.outcome("n", 1, workflow=""), "workflow is ''"),
]


@pytest.mark.parametrize(("call", "said"), WRONG)
def test_a_mistake_is_warned_of_and_counted_and_never_raised(
    kafka: MemoryKafka, telemetry: Telemetry, call: Call, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    call(telemetry)
    assert emitted(kafka, telemetry) == []
    assert telemetry.dropped == {DropReason.INVALID: 1}
    assert said in caplog.text


@pytest.mark.parametrize(("call", "said"), WRONG)
def test_a_mistake_raises_when_strict(kafka: MemoryKafka, call: Call, said: str) -> None:
    strict = kafka.telemetry("agent", workflow="refunds", strict=True)
    with strict as telemetry, pytest.raises(InvalidArgumentError, match=re.escape(said)):
        call(telemetry)


def test_an_error_of_a_foreign_processor_does_not_reach_the_agent(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(telemetry.logger_provider, "get_logger", broken)
    telemetry.strict = True
    telemetry.claimed("t1", "success")
    assert telemetry.dropped == {DropReason.INTERNAL: 1}


def test_every_category_of_cost_can_be_said(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    for category in CostCategory:
        telemetry.cost(category, 1, task_id="t1")
    said = [attributes["trueup.cost.category"] for _, attributes in emitted(kafka, telemetry)]
    assert said == [category.value for category in CostCategory]


def test_a_context_that_belongs_to_nobody_is_left_as_it_was(telemetry: Telemetry) -> None:
    before = context.get_current()
    telemetry.claimed("t1", "success")
    assert context.get_current() == before
