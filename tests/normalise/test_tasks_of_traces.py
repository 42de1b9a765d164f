"""Which task a span or a record belongs to, through both stages: one partition tells the other, whenever it learns it.

The trace and its task are in different partitions here, and what they send each other comes a round later.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from schemas.event import partition_of
from tests.captures.measured import PARTITIONS, RECEIVED, Measured, measure
from tests.otlp import SECOND_NS, logs, record, span, traces

TRACE, OTHER_TRACE = "a" * 31 + "2", "b" * 32
TASK = "refund-4711"
DAY_NS = 86_400 * SECOND_NS
NOW_NS = RECEIVED * 1_000
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10}
NAMED = {"trueup.task.id": TASK}
FAILED = {"trueup.verdict": "failure"}

Sent = tuple[str, bytes]


def work(n: int, values: dict[str, Any] | None = None, *, days: float = 0, trace: str = TRACE, **fields: Any) -> Sent:
    """The n-th span of a trace, so many days ago; without `parentSpanId` a root."""
    at = NOW_NS - round(days * DAY_NS)
    return "otlp_spans", traces(span(values, at=at, spanId=f"{n:016x}", traceId=trace, **fields))


def call(n: int, values: dict[str, Any] | None = None, **fields: Any) -> Sent:
    """A model call below the span 1."""
    return work(n, CHAT | (values or {}), parentSpanId=f"{1:016x}", **fields)


def said(name: str, values: dict[str, Any], *, days: float = 0, trace: str = TRACE) -> Sent:
    """A log record."""
    return "otlp_logs", logs(record(name, values, at=NOW_NS - round(days * DAY_NS), traceId=trace))


def tasks(sent: Iterable[Sent]) -> dict[str, dict[str, Any]]:
    """Task id -> the task, each message after those before it have landed."""
    measured: Measured = measure(sent)
    assert measured.packed.dead_letters == []
    return {task["task_id"]: task for task in measured.tasks}


def test_the_trace_and_the_task_are_in_different_partitions() -> None:
    assert partition_of(TRACE, PARTITIONS) != partition_of(TASK, PARTITIONS)


LATE = {
    "what names only the trace comes before its task is known": [
        call(2, days=3), work(1, days=3), said("trueup.task.verified", FAILED, days=2), work(3, NAMED, trace=TRACE),
    ],
    "or after": [
        call(2, days=3), work(1, NAMED, days=3), said("trueup.task.verified", FAILED),
    ],
    "it names the trace as if that were the task, before": [
        call(2, days=3), work(1, days=3),
        said("trueup.task.verified", FAILED | {"trueup.task.id": TRACE}, days=2, trace=""), work(3, NAMED),
    ],
    "or after, too": [
        call(2, days=3), work(1, NAMED, days=3),
        said("trueup.task.verified", FAILED | {"trueup.task.id": TRACE}, trace=""),
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", LATE)
def test_a_verdict_joins_the_task_of_its_trace_whenever_that_is_learnt(case: str) -> None:
    found = tasks(LATE[case])
    assert found.keys() == {TASK}
    assert (found[TASK]["verdict"], found[TASK]["model_calls"], found[TASK]["claim"]) == ("failure", 1, "success")


def test_the_traces_of_a_task_add_up() -> None:
    sent = [call(2, NAMED), work(1, NAMED), call(2, trace=OTHER_TRACE), work(1, NAMED, trace=OTHER_TRACE)]
    found = tasks(sent)
    assert found.keys() == {TASK}
    assert found[TASK]["trace_ids"] == [TRACE, OTHER_TRACE]
    assert (found[TASK]["model_calls"], found[TASK]["input_tokens"]) == (2, 200)


def test_a_task_goes_on_in_another_process_that_has_only_its_baggage() -> None:
    """The other process has a service and a trace of its own; what the first one states is the claim."""
    there = span(NAMED, at=NOW_NS, spanId="1" * 16, traceId=OTHER_TRACE, status={"code": 2})
    sent = [
        work(1, NAMED | {"trueup.task.outcome": "success"}, days=1),
        ("otlp_spans", traces(there, resource={"service.name": "elsewhere"})),
    ]
    found = tasks(sent)
    assert found.keys() == {TASK}
    assert (found[TASK]["claim"], found[TASK]["trace_ids"]) == ("success", [TRACE, OTHER_TRACE])


@pytest.mark.parametrize("named", [{}, NAMED])
def test_a_root_may_come_last_or_first(named: dict[str, Any]) -> None:
    sent = [call(2, named), call(3, named), work(1, {"gen_ai.operation.name": "invoke_agent"} | named)]
    (last,), (first,) = tasks(sent).values(), tasks(reversed(sent)).values()
    assert last == first
    assert (last["status"], last["claim"], last["model_calls"]) == ("finished", "success", 2)


@pytest.mark.parametrize(("ended", "claim"), [({}, None), ({"status": {"code": 2}}, "failure")])
def test_a_root_that_never_comes_leaves_the_task_abandoned(ended: dict[str, Any], claim: str | None) -> None:
    """How it went is read off what has come."""
    run = {"gen_ai.operation.name": "invoke_agent"}
    (task,) = tasks([call(2), work(3, run, parentSpanId=f"{1:016x}", **ended)]).values()
    assert (task["task_id"], task["status"], task["claim"]) == (TRACE, "abandoned", claim)
    assert task["model_calls"] == 1


def test_a_conversation_is_as_many_tasks_as_it_names_in_however_many_traces() -> None:
    """A conversation or session is no task."""
    talk = {"gen_ai.conversation.id": "C", "session.id": "S"}
    turns = 30
    sent = [
        message
        for n in range(turns)
        for message in (
            call(2 * n + 2, talk | {"trueup.task.id": f"T-{n // 3}"}, trace=f"{n // 2 + 1:032x}"),
            work(2 * n + 3, talk | {"trueup.task.id": f"T-{n // 3}"}, trace=f"{n // 2 + 1:032x}"),
        )
    ]
    found = tasks(sent)
    assert found.keys() == {f"T-{n}" for n in range(turns // 3)}
    assert {(task["model_calls"], task["input_tokens"]) for task in found.values()} == {(3, 300)}


def test_a_conversation_that_names_no_task_is_a_task_a_trace() -> None:
    talk = {"gen_ai.conversation.id": "C", "session.id": "S"}
    found = tasks(work(1, talk | CHAT, trace=f"{n + 1:032x}") for n in range(5))
    assert found.keys() == {f"{n + 1:032x}" for n in range(5)}
