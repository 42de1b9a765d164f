"""A task as a block of code."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from trueup.attributes import Outcome
from trueup.checks import InvalidArgumentError
from trueup.drops import DropReason
from trueup.propagation import task_attributes
from trueup.telemetry import Telemetry
from trueup.testing import MemoryKafka, attributes_of

from tests.schemas.mapped import events_of


class PaymentError(Exception):
    pass


def roots(kafka: MemoryKafka, telemetry: Telemetry) -> list[Span]:
    assert telemetry.flush()
    return [span for span in kafka.spans() if span.name.startswith("invoke_agent")]


def root(kafka: MemoryKafka, telemetry: Telemetry) -> tuple[Span, dict[str, object]]:
    (span,) = roots(kafka, telemetry)
    return span, attributes_of(span.attributes)


def test_the_root_span_says_what_the_contract_asks_for(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    with telemetry.task(
        "refund-4711",
        workflow="refunds-eu",
        case_type="refund",
        stage="production",
        agent="refund-agent",
        agent_version="1.4",
        attributes={"tenant.tier": "gold"},
    ) as task:
        assert task.id == "refund-4711"
        task.claim("success")
    span, attributes = root(kafka, telemetry)
    assert span.name == "invoke_agent refund-agent"
    assert (span.kind, span.status.code, span.parent_span_id) == (
        Span.SPAN_KIND_INTERNAL,
        Status.STATUS_CODE_UNSET,
        b"",
    )
    assert attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "refund-agent",
        "gen_ai.agent.version": "1.4",
        "trueup.task.id": "refund-4711",
        "trueup.task.type": "refund",
        "trueup.task.outcome": "success",
        "trueup.workflow": "refunds-eu",
        "trueup.stage": "production",
        "tenant.tier": "gold",
    }


def test_a_task_without_an_id_gets_one_of_its_own(telemetry: Telemetry) -> None:
    ids = set()
    for _ in range(10):
        with telemetry.task() as task:
            assert task_attributes()["trueup.task.id"] == task.id
            ids.add(str(uuid.UUID(task.id)))
    assert len(ids) == 10


def test_workflow_and_stage_default_to_those_of_the_handle(kafka: MemoryKafka) -> None:
    with kafka.telemetry("agent", workflow="refunds", stage="pilot") as telemetry:
        with telemetry.task("t"):
            pass
        _, attributes = root(kafka, telemetry)
    assert (attributes["trueup.workflow"], attributes["trueup.stage"]) == ("refunds", "pilot")


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_can_be_claimed_and_the_last_claim_counts(
    kafka: MemoryKafka, telemetry: Telemetry, outcome: Outcome
) -> None:
    with telemetry.task() as task:
        task.claim("success")
        task.claim(outcome)
    assert root(kafka, telemetry)[1]["trueup.task.outcome"] == outcome.value


def test_leaving_without_a_claim_claims_nothing(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    with telemetry.task():
        pass
    span, attributes = root(kafka, telemetry)
    assert "trueup.task.outcome" not in attributes
    assert span.status.code == Status.STATUS_CODE_UNSET


def test_an_exception_is_a_failure_and_goes_on(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    with pytest.raises(PaymentError), telemetry.task():
        raise PaymentError("card 4000-1234 of Jane")
    span, attributes = root(kafka, telemetry)
    assert attributes["trueup.task.outcome"] == "failure"
    assert str(attributes["error.type"]).endswith("PaymentError")
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert b"Jane" not in span.SerializeToString()


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (KeyError, "KeyError"),
        (KeyboardInterrupt, "KeyboardInterrupt"),
        (asyncio.CancelledError, "asyncio.exceptions.CancelledError"),
    ],
)
def test_the_type_of_the_error_is_its_full_name(
    kafka: MemoryKafka, telemetry: Telemetry, error: type[BaseException], named: str
) -> None:
    with pytest.raises(error), telemetry.task():
        raise error
    assert root(kafka, telemetry)[1]["error.type"] == named


def test_an_exception_after_a_claim_leaves_the_claim(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    with suppress(PaymentError), telemetry.task() as task:
        task.claim("escalated")
        raise PaymentError
    span, attributes = root(kafka, telemetry)
    assert attributes["trueup.task.outcome"] == "escalated"
    assert span.status.code == Status.STATUS_CODE_ERROR


@pytest.mark.parametrize("code", [None, 0])
def test_leaving_by_exit_without_an_error_is_no_failure(
    kafka: MemoryKafka, telemetry: Telemetry, code: int | None
) -> None:
    with pytest.raises(SystemExit), telemetry.task():
        sys.exit(code)
    span, attributes = root(kafka, telemetry)
    assert "trueup.task.outcome" not in attributes
    assert span.status.code == Status.STATUS_CODE_UNSET


def test_leaving_by_exit_with_an_error_is_a_failure(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    with pytest.raises(SystemExit), telemetry.task():
        sys.exit(3)
    assert root(kafka, telemetry)[1]["trueup.task.outcome"] == "failure"


def test_a_claim_after_the_block_is_an_event(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    with telemetry.task("t1", workflow="refunds-eu") as task:
        pass
    task.claim("gave_up")
    assert telemetry.flush()
    (event,) = kafka.events()
    attributes = attributes_of(event.attributes)
    assert event.event_name == "trueup.task.claimed"
    assert attributes["trueup.task.id"] == "t1"
    assert attributes["trueup.task.outcome"] == "gave_up"
    assert attributes["trueup.workflow"] == "refunds-eu"


def test_a_claim_survives_the_sampling_of_its_span(kafka: MemoryKafka) -> None:
    unsampled = TracerProvider(ALWAYS_OFF, shutdown_on_exit=False)
    with kafka.telemetry("agent", tracer_provider=unsampled) as telemetry, telemetry.task("t1") as task:
        task.claim("success")
    assert kafka.spans() == []
    assert attributes_of(kafka.events()[0].attributes)["trueup.task.outcome"] == "success"


def test_the_account_of_the_model_cost_is_on_the_root_span(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    with telemetry.task() as task:
        task.cost(0.01)
        task.cost(0.0325)
    assert root(kafka, telemetry)[1]["trueup.cost.usd"] == 0.0325


def test_the_input_profile_has_names_and_sizes(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    with telemetry.task() as task:
        task.input_profile(present=["order_id", "date"], missing=["receipt"], format="email", bytes=2048, documents=3)
    attributes = root(kafka, telemetry)[1]
    assert {name: value for name, value in attributes.items() if name.startswith("trueup.input")} == {
        "trueup.input.fields_present": ["order_id", "date"],
        "trueup.input.fields_missing": ["receipt"],
        "trueup.input.format": "email",
        "trueup.input.size.bytes": 2048,
        "trueup.input.size.documents": 3,
    }


def test_the_pipeline_keeps_the_input_profile_with_the_event(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    with telemetry.task("T-1") as task:
        task.input_profile(present=["order_id", "date"], missing=["receipt"], format="email", bytes=2048)
        with telemetry.tracer.start_as_current_span("a step"):
            pass
        task.claim("failure")
    assert telemetry.flush()
    payloads = [message.payload for message in kafka.acknowledged if message.topic == "otlp_spans"]
    received = kafka.spans()[-1].end_time_unix_nano // 1_000
    events = [event for payload in payloads for event in events_of(payload, received=received)]
    assert {(event.task_id, event.root): event.attributes for event in events} == {
        ("T-1", 0): {},
        ("T-1", 1): {
            "trueup.input.fields_present": "order_id,date",
            "trueup.input.fields_missing": "receipt",
            "trueup.input.format": "email",
            "trueup.input.size.bytes": "2048",
        },
    }


def test_what_was_not_said_of_the_input_is_not_claimed(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    with telemetry.task() as task:
        task.input_profile(bytes=10)
    attributes = root(kafka, telemetry)[1]
    assert [name for name in attributes if name.startswith("trueup.input")] == ["trueup.input.size.bytes"]


def test_describing_a_task_after_its_end_is_a_mistake(telemetry: Telemetry) -> None:
    with telemetry.task() as task:
        pass
    task.cost(1)
    assert telemetry.dropped == {DropReason.INVALID: 1}


def test_a_nested_task_has_its_own_id_and_nothing_of_the_outer_ones_case(
    kafka: MemoryKafka, telemetry: Telemetry
) -> None:
    with telemetry.task("outer", workflow="outer-flow", case_type="refund", stage="control"):
        with telemetry.task("inner"):
            pass
        assert task_attributes()["trueup.task.id"] == "outer"
    inner, outer = (attributes_of(span.attributes) for span in roots(kafka, telemetry))
    assert (inner["trueup.task.id"], outer["trueup.task.id"]) == ("inner", "outer")
    assert "trueup.task.type" not in inner
    assert inner["trueup.workflow"] == "refunds"  # the handle's
    assert inner["trueup.stage"] == "control"  # the handle has none, so the surrounding one


def test_a_bad_argument_costs_itself_and_not_the_task(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    with telemetry.task("t1", stage="beta", agent="", case_type="refund"):  # type: ignore[arg-type]
        pass
    _, attributes = root(kafka, telemetry)
    assert (attributes["trueup.task.id"], attributes["trueup.task.type"]) == ("t1", "refund")
    assert "trueup.stage" not in attributes
    assert "gen_ai.agent.name" not in attributes
    assert telemetry.dropped == {DropReason.INVALID: 2}


def test_a_bad_argument_raises_when_strict(kafka: MemoryKafka) -> None:
    with kafka.telemetry("agent", strict=True) as telemetry:
        with pytest.raises(InvalidArgumentError, match="stage is 'beta'"):
            telemetry.task(stage="beta").__enter__()  # type: ignore[arg-type]
        with telemetry.task() as task, pytest.raises(InvalidArgumentError, match="outcome is 'done'"):
            task.claim("done")  # type: ignore[arg-type]


def test_a_decorated_function_is_a_new_task_at_every_call(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    @telemetry.task(case_type="refund", agent="refund-agent")
    def handle(order: str, *, amount: int) -> str:
        """Refund an order."""
        return f"{order}: {amount} by {task_attributes()['trueup.task.id']}"

    first, second = handle("a", amount=1), handle("b", amount=2)
    assert handle.__doc__ == "Refund an order."
    assert (first[:5], second[:5]) == ("a: 1 ", "b: 2 ")
    assert len({attributes_of(span.attributes)["trueup.task.id"] for span in roots(kafka, telemetry)}) == 2


def test_a_decorated_coroutine_function_is_a_task_until_it_is_done(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    @telemetry.task(agent="refund-agent")
    async def handle(order: str) -> str:
        await asyncio.sleep(0)
        if order == "bad":
            raise PaymentError
        return task_attributes()["trueup.task.id"]

    assert asyncio.run(handle("good"))
    with pytest.raises(PaymentError):
        asyncio.run(handle("bad"))
    statuses = [span.status.code for span in roots(kafka, telemetry)]
    assert statuses == [Status.STATUS_CODE_UNSET, Status.STATUS_CODE_ERROR]


def test_a_generator_cannot_be_decorated(telemetry: Telemetry) -> None:
    def steps() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match=r"is a generator; use `with trueup\.task"):
        telemetry.task()(steps)


def test_one_id_for_all_calls_of_a_function_is_refused(telemetry: Telemetry) -> None:
    def nightly() -> None:
        """A job."""

    with pytest.raises(TypeError, match=r"every call of .*nightly would be the one task 'nightly'; leave the id out"):
        telemetry.task("nightly")(nightly)


def test_the_block_runs_even_if_telemetry_is_broken(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(telemetry.tracer_provider, "get_tracer", broken)
    ran = False
    with telemetry.task("t1") as task:
        task.claim("success")
        ran = True
    assert ran
    assert telemetry.dropped[DropReason.INTERNAL] == 1
