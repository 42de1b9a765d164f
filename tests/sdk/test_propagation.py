"""Task context on every span and log record inside a task, in threads, coroutines and other processes."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from trueup.attributes import STAGE, TASK_BAGGAGE, TASK_ID, TASK_TYPE, WORKFLOW
from trueup.propagation import carrier, resume, task_attributes, with_task
from trueup.telemetry import Telemetry
from trueup.testing import MemoryKafka, attributes_of

TASK = {WORKFLOW: "refunds", TASK_ID: "refund-1", TASK_TYPE: "refund", STAGE: "pilot"}


def delivered(kafka: MemoryKafka, telemetry: Telemetry) -> dict[str, dict[str, object]]:
    """The attributes of every delivered span by its name."""
    assert telemetry.flush()
    return {span.name: attributes_of(span.attributes) for span in kafka.spans()}


def work(telemetry: Telemetry, name: str) -> None:
    with telemetry.tracer_provider.get_tracer("somebody.elses.instrumentation").start_as_current_span(name):
        pass


def task(telemetry: Telemetry) -> object:
    return telemetry.task("refund-1", case_type="refund", stage="pilot")


def test_spans_of_any_instrumentation_inside_a_task_carry_it(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    with telemetry.task("refund-1", case_type="refund", stage="pilot"):
        work(telemetry, "chat")
    work(telemetry, "outside")
    spans = delivered(kafka, telemetry)
    assert spans["chat"] == TASK
    assert spans["outside"] == {}


def test_log_records_inside_a_task_carry_it(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    logger = telemetry.logger_provider.get_logger("pydantic-evals")
    with telemetry.task("refund-1", case_type="refund", stage="pilot"):
        logger.emit(event_name="gen_ai.evaluation.result", severity_number=SeverityNumber.INFO, attributes={"x": 1})
    logger.emit(event_name="outside")
    assert telemetry.flush()
    inside, outside = kafka.events()
    assert attributes_of(inside.attributes) == TASK | {"x": 1}
    assert attributes_of(outside.attributes) == {}


def test_an_attribute_that_a_span_or_record_has_itself_is_kept(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    with telemetry.task("refund-1"):
        telemetry.tracer.start_span("own", attributes={TASK_ID: "its-own"}).end()
        telemetry.logger.emit(event_name="own", attributes={TASK_ID: "its-own"})
    assert delivered(kafka, telemetry)["own"][TASK_ID] == "its-own"
    assert attributes_of(kafka.events()[0].attributes)[TASK_ID] == "its-own"


def test_only_the_four_keys_leave_the_baggage(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    token = context.attach(baggage.set_baggage("customer.email", "jane@example.com"))
    with telemetry.task("refund-1"):
        work(telemetry, "chat")
        telemetry.logger.emit(event_name="note")
    context.detach(token)
    assert set(delivered(kafka, telemetry)["chat"]) <= set(TASK_BAGGAGE)
    assert set(attributes_of(kafka.events()[0].attributes)) <= set(TASK_BAGGAGE)


def test_coroutines_carry_the_task_that_started_them(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    async def step(name: str) -> None:
        await asyncio.sleep(0)
        work(telemetry, name)

    async def run(task_id: str) -> None:
        async with telemetry.task(task_id):
            await asyncio.gather(*(asyncio.create_task(step(f"{task_id} step {n}")) for n in range(3)))

    async def both() -> None:
        await asyncio.gather(run("a"), run("b"))

    asyncio.run(both())
    spans = delivered(kafka, telemetry)
    assert {name: spans[name][TASK_ID] for name in spans if "step" in name} == {
        f"{task_id} step {n}": task_id for task_id in "ab" for n in range(3)
    }


def test_threads_that_copy_the_context_carry_the_task_and_bare_ones_do_not(
    kafka: MemoryKafka, telemetry: Telemetry
) -> None:
    with telemetry.task("refund-1"), ThreadPoolExecutor(1) as pool:
        pool.submit(contextvars.copy_context().run, work, telemetry, "copied").result()
        pool.submit(work, telemetry, "bare").result()
    spans = delivered(kafka, telemetry)
    assert spans["copied"][TASK_ID] == "refund-1"
    assert TASK_ID not in spans["bare"]


def test_asyncio_to_thread_carries_the_task(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    async def run() -> None:
        async with telemetry.task("refund-1"):
            await asyncio.to_thread(work, telemetry, "threaded")

    asyncio.run(run())
    assert delivered(kafka, telemetry)["threaded"][TASK_ID] == "refund-1"


def parts_of(kafka: MemoryKafka) -> tuple[Span, Span]:
    by_name = {span.name: span for span in kafka.spans()}
    return by_name["invoke_agent"], by_name["continued"]


def test_another_process_goes_on_with_the_task(kafka: MemoryKafka, telemetry: Telemetry) -> None:
    with telemetry.task("refund-1", workflow="refunds & returns", case_type="refund", stage="pilot"):
        headers = carrier()
    assert set(headers) == {"traceparent", "baggage"}
    with resume(headers):
        work(telemetry, "continued")
        telemetry.verified(verdict="success")
    assert task_attributes() == {}
    spans = delivered(kafka, telemetry)
    assert spans["continued"] == TASK | {WORKFLOW: "refunds & returns"}
    assert attributes_of(kafka.events()[0].attributes)[TASK_ID] == "refund-1"
    root, continued = parts_of(kafka)
    assert (continued.trace_id, continued.parent_span_id) == (root.trace_id, root.span_id)


def test_outside_a_task_there_is_nothing_to_carry() -> None:
    assert carrier() == {}


@pytest.mark.parametrize(
    "headers",
    [{}, {"traceparent": "nonsense", "baggage": "nonsense"}, {"traceparent": None}, {"baggage": 5}],
)
def test_a_carrier_that_says_nothing_changes_nothing(headers: dict[str, str]) -> None:
    with resume(headers):
        assert task_attributes() == {}
        assert not trace.get_current_span().get_span_context().is_valid


def test_resuming_leaves_the_context_as_it_was_even_after_an_error(telemetry: Telemetry) -> None:
    with telemetry.task("outer"):
        before = task_attributes()
        inner: list[str] = []
        with suppress(RuntimeError), resume({"baggage": f"{TASK_ID}=inner"}):
            inner.append(task_attributes()[TASK_ID])
            raise RuntimeError
        assert inner == ["inner"]
        assert task_attributes() == before


def test_with_task_removes_what_is_none_and_leaves_what_is_not_named() -> None:
    first = with_task(TASK)
    second = with_task({TASK_ID: "refund-2", TASK_TYPE: None}, first)
    assert task_attributes(first) == TASK
    assert task_attributes(second) == {WORKFLOW: "refunds", TASK_ID: "refund-2", STAGE: "pilot"}
