"""What only the spans of a task together tell: SQL says the same as the fold, and both what the rules say."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from schemas.event import BY_TRACE, Event
from schemas.units import MICRO
from sinks.clickhouse.audit import Audit
from tests.audit.logs import BEGIN, Log, event
from tests.audit.world import World

SDK = "com.anthropic.sdk.python"


def span(span_id: str, kind: str, parent: str = "", /, end: int = 10, start: int = 0, **told: Any) -> Event:
    """A span of one trace; `start` and `end` in seconds."""
    at = BEGIN + end * MICRO
    told = {"start": BEGIN + start * MICRO, "trace_id": "t", "span_id": span_id, "parent_id": parent} | told
    return event(f"t:{span_id}", kind, at, **told)


def root(**told: Any) -> Event:
    return span("root", "agent_run", end=100, root=1, value="success", **told)


def chain(length: int, kind: str, below: str = "root") -> list[Event]:
    """Spans, each below the one before; the last one is named `end`."""
    names = [below, *(f"link-{n}" for n in range(length - 1)), "end"]
    return [span(name, kind, parent) for parent, name in itertools.pairwise(names)]


def call(span_id: str, parent: str = "root", /, **told: Any) -> Event:
    return span(span_id, "model_call", parent, **told)


def tool(span_id: str, parent: str = "root", /, **told: Any) -> Event:
    return span(span_id, "tool_call", parent, **told)


FAILED = {"error_type": "timeout"}
ANSWER = {"response_id": "answer"}
USED = {"model": "m", "input_tokens": 9, "output_tokens": 2}

CASES: dict[str, tuple[list[Event], dict[str, Any]]] = {
    "a model call below a model call": (
        [root(), call("a", cost=7), span("s", "step", "a"), call("b", "s", cost=5, input_tokens=3)],
        {"model_calls": 1, "actions": 1, "step_cost": 7, "input_tokens": 0},
    ),
    "a model call 64 spans below another": (
        [root(), call("a"), *chain(63, "step", "a"), call("b", "end")],
        {"model_calls": 1},
    ),
    "a model call 65 spans below another": (
        [root(), call("a"), *chain(64, "step", "a"), call("b", "end")],
        {"model_calls": 2},
    ),
    "model calls in a circle": (
        [root(), call("a", "c"), call("b", "a"), call("c", "b"), call("d", "d")],
        {"model_calls": 0},
    ),
    "a model call below the tool call of a model call that encloses its tools": (
        [root(), call("a", cost=7), tool("t", "a"), span("s", "step", "t"), call("b", "s", cost=5, input_tokens=3)],
        {"model_calls": 2, "actions": 3, "step_cost": 12, "input_tokens": 3},
    ),
    "a model call below a run within a model call": (
        [root(), call("a"), span("r", "agent_run", "a"), call("b", "r")],
        {"model_calls": 2},
    ),
    "a model call below a guardrail within a model call": (
        [root(), call("a"), span("g", "guardrail", "a"), call("b", "g")],
        {"model_calls": 2},
    ),
    "a tool call of an agent that the same tool runs": (
        [root(), tool("a", name="task"), span("r", "agent_run", "a"), tool("b", "r", name="task", **FAILED)],
        {"tool_calls": 2, "tool_errors": 1},
    ),
    "a tool call below one of the same tool with another call id": (
        [root(), tool("a", name="task", response_id="1"), tool("b", "a", name="task", response_id="2")],
        {"tool_calls": 2},
    ),
    "a tool call without a call id below one of the same tool": (
        [root(), tool("a", name="task", response_id="1"), tool("b", "a", name="task")],
        {"tool_calls": 1},
    ),
    "a tool call below another one below the same tool": (
        [root(), tool("a", name="find"), tool("b", "a", name="look"), tool("c", "b", name="find")],
        {"tool_calls": 3},
    ),
    "a tool call below one of the same tool": (
        [root(), tool("a", name="server.find", cost=7), span("s", "step", "a"), tool("b", "s", name="find", cost=5)],
        {"tool_calls": 1, "costs": {"tool": 7}},
    ),
    "a tool call below one of another tool": (
        [root(), tool("a", name="find"), tool("b", "a", name="look", **FAILED)],
        {"tool_calls": 2, "tool_errors": 1},
    ),
    "a tool call below one with the same call id": (
        [root(), tool("a", name="find", **ANSWER), tool("b", "a", name="look", **ANSWER)],
        {"tool_calls": 1},
    ),
    "a tool call below a model call": (
        [root(), call("a"), tool("b", "a", name="")],
        {"model_calls": 1, "tool_calls": 1},
    ),
    "an answer told by an SDK and an instrumentation": (
        [root(), call("a", scope="x", end=5, input_tokens=1, **ANSWER), call("b", scope=SDK, input_tokens=2, **ANSWER)],
        {"model_calls": 1, "input_tokens": 1},
    ),
    "an answer told by two instrumentations": (
        [root(), call("a", scope="x", end=9, input_tokens=1, **ANSWER), call("b", scope="y", input_tokens=2, **ANSWER)],
        {"model_calls": 1, "input_tokens": 2},
    ),
    "an answer told by three instrumentations, of which one tells its cost": (
        [
            root(),
            call("a", scope="z", **ANSWER),
            call("b", scope="x", end=5, cost=7, **ANSWER),
            call("c", scope="y", **ANSWER),
        ],
        {"model_calls": 1, "step_cost": 7, "unpriced": 0},
    ),
    "an answer told by an SDK with its cost, and by an instrumentation without": (
        [root(), call("a", scope="x", **ANSWER), call("b", scope=SDK, cost=7, **ANSWER)],
        {"model_calls": 1, "unpriced": 1},
    ),
    "an answer told by two instrumentations, of which one tells no id": (
        [root(), call("a", scope="x", **USED, **ANSWER), call("b", scope="y", end=11, **USED)],
        {"model_calls": 1, "actions": 1, "input_tokens": 9, "output_tokens": 2},
    ),
    "answers without an id, told by two instrumentations": (
        [root(), call("a", scope="x", **USED), call("b", scope="y", start=1, end=11, **USED)],
        {"model_calls": 1, "input_tokens": 9},
    ),
    "answers with an id each, told by two instrumentations": (
        [root(), call("a", scope="x", response_id="1", **USED), call("b", scope="y", response_id="2", **USED)],
        {"model_calls": 2, "input_tokens": 18},
    ),
    "answers in parallel, each told by two instrumentations": (
        [
            root(),
            call("a", scope="x", end=10, **USED),
            call("b", scope="y", end=9, **USED),
            call("c", scope="x", end=20, **USED),
            call("d", scope="y", end=19, **USED),
        ],
        {"model_calls": 2, "input_tokens": 18},
    ),
    "answers of which two instrumentations tell different tokens": (
        [root(), call("a", scope="x", input_tokens=1, model="m"), call("b", scope="y", input_tokens=2, model="m")],
        {"model_calls": 2, "input_tokens": 3},
    ),
    "answers of different models in different instrumentations": (
        [root(), call("a", scope="x", **USED), call("b", scope="y", **USED | {"model": "n"})],
        {"model_calls": 2},
    ),
    "calls that tell nothing, in two instrumentations": (
        [root(), call("a", scope="x", model="m"), call("b", scope="y", model="m")],
        {"model_calls": 2, "usage_known": 0},
    ),
    "a failed call told by two instrumentations": (
        [root(), call("a", scope="x", model="m", **FAILED), call("b", scope="y", model="m", error_type="_OTHER")],
        {"model_calls": 1, "action_errors": 1},
    ),
    "a failed call and a call that did not fail": (
        [root(), call("a", scope="x", **USED), call("b", scope="y", **USED, **FAILED)],
        {"model_calls": 2, "action_errors": 1},
    ),
    "an attempt that failed and its retry": (
        [root(), call("a", scope="x", end=4, model="m", **FAILED), call("b", scope="x", start=5, **USED)],
        {"model_calls": 2, "action_errors": 1, "usage_known": 2, "unpriced": 1},
    ),
    "a tool call told by two instrumentations": (
        [
            root(),
            tool("a", scope="x", name="find", cost=7, **ANSWER),
            tool("b", scope="y", name="server.find", end=11, cost=None, **ANSWER, **FAILED),
        ],
        {"tool_calls": 1, "actions": 1, "tool_errors": 0, "costs": {"tool": 7}},
    ),
    "tool calls of two instrumentations with the same call id at different times": (
        [root(), tool("a", scope="x", end=4, **ANSWER), tool("b", scope="y", start=5, **ANSWER)],
        {"tool_calls": 2},
    ),
    "calls of different tools with the same call id": (
        [root(), tool("a", scope="x", name="find", **ANSWER), tool("b", scope="y", name="look", **ANSWER)],
        {"tool_calls": 2},
    ),
    "calls of the same tool in two instrumentations that tell no call id": (
        [root(), tool("a", scope="x", name="find"), tool("b", scope="y", name="find")],
        {"tool_calls": 2},
    ),
    "a tool call and a model call with the same id": (
        [root(), tool("a", scope="x", **ANSWER), call("b", scope="y", **ANSWER)],
        {"tool_calls": 1, "model_calls": 1},
    ),
    "an answer told twice by one instrumentation": (
        [root(), call("a", scope="x", **ANSWER), call("b", scope="x", **ANSWER)],
        {"model_calls": 2},
    ),
    "an answer told at different times": (
        [root(), call("a", scope="x", end=4, **ANSWER), call("b", scope="y", start=5, **ANSWER)],
        {"model_calls": 2},
    ),
    "an answer told by calls of which one is below another call": (
        [root(), call("o"), call("a", "o", scope="x", **ANSWER), call("b", scope=SDK, end=5, **ANSWER)],
        {"model_calls": 2},
    ),
    "an embedding of unknown price": (
        [root(), call("a", cost=7, **USED), span("e", "embedding", "root", input_tokens=100_000)],
        {"unpriced": 1, "usage_known": 1, "step_cost": 7, "input_tokens": 100_009},
    ),
    "an embedding that failed": (
        [root(), span("e", "embedding", "root", **FAILED)],
        {"unpriced": 0, "usage_known": 0, "action_errors": 1},
    ),
    "human minutes, one with a price and one without": (
        [
            root(cost=7),
            event("i", "intervention", name="corrected", number=60 * MICRO, cost=5),
            event("j", "intervention", name="corrected", number=60 * MICRO),
        ],
        {"costs": {"human": 5, "unpriced": 0}, "human_us": 120 * MICRO, "unpriced": 0},
    ),
    "interventions that took no minutes": (
        [
            root(cost=7),
            event("i", "intervention", name="approved"),
            event("j", "intervention", name="approved", number=0),
        ],
        {"costs": {}, "human_us": 0},
    ),
    "the process without the agent, with a cost": (
        [root(stage="control"), tool("t", name="find", stage="control"), event("c", "cost", name="human", cost=5)],
        {"stage": "control", "model_calls": 0, "costs": {"human": 5}},
    ),
    "the process without the agent, of which no cost is told": (
        [root(stage="control"), tool("t", name="find", stage="control")],
        {"stage": "control", "costs": {}},
    ),
    "the agent without a model call, with a cost": (
        [root(), event("c", "cost", name="human", cost=5)],
        {"model_calls": 0, "costs": {"human": 5}},
    ),
    "a run whose last frame failed": (
        [root(), *chain(3, "step"), span("last", "step", "end", **FAILED)],
        {"claim": "failure", "run_failed": 1},
    ),
    "a run of which another frame failed": (
        [root(), span("a", "step", "root", end=5, **FAILED), span("b", "step", "root", end=6)],
        {"claim": "success", "run_failed": 0},
    ),
    "a run whose 64th frame failed": (
        [root(), *chain(62, "step"), span("last", "step", "end", **FAILED)],
        {"run_failed": 1},
    ),
    "a run whose 65th frame failed": (
        [root(), *chain(63, "step"), span("last", "step", "end", **FAILED)],
        {"run_failed": 0},
    ),
    "a run that says it succeeded": ([root(explicit=1, **FAILED)], {"claim": "success", "run_failed": 0}),
    "a run whose frame below a call failed": (
        [root(), tool("a"), span("b", "agent_run", "a", **FAILED)],
        {"run_failed": 0},
    ),
    "three roots of which the last one failed": (
        [root(), span("a", "step", end=1), span("b", "step", "gone", end=101, **FAILED)],
        {"run_failed": 1, "claim": "failure"},
    ),
    "four roots, and the last run did not fail": (
        [root(), span("a", "step", end=1), span("b", "step", end=2), span("c", "step", "gone", end=101, **FAILED)],
        {"run_failed": 0, "claim": "success"},
    ),
    "four roots, and the last run failed": (
        [root(**FAILED), *(span(name, "step", end=101 + n) for n, name in enumerate("abc"))],
        {"run_failed": 1, "claim": "failure"},
    ),
    "four roots and no run": (
        [span(name, "step", end=n + 1, error_type="x" if n == 3 else "") for n, name in enumerate("abcd")],
        {"run_failed": 1, "status": "abandoned"},
    ),
    "calls alone, of which the last failed": (
        [call("a", "", end=1), call("b", "", end=3, **FAILED), tool("c", "", end=4)],
        {"run_failed": 1, "usage_known": 1, "unpriced": 1},
    ),
    "calls alone, of which the first failed": (
        [call("a", "", end=1, **FAILED), call("b", "", end=3)],
        {"run_failed": 0},
    ),
    "a plain span of nobody's trace": (
        [span("a", "other", root=1, value="success", task_source=BY_TRACE)],
        {"status": "announced", "claim": "success"},
    ),
    "a plain span of a known task": ([span("a", "other", root=1, value="success")], {"status": "finished"}),
    "a plain span of nobody's trace, with a call": (
        [span("a", "other", root=1, value="success", task_source=BY_TRACE), call("b", "a", task_source=BY_TRACE)],
        {"status": "finished"},
    ),
    "preparation alone": ([span("a", "setup")], {"status": "announced", "start_at": BEGIN, "last_at": 0}),
    "runs of an instrumentation that tells no calls": (
        [span("a", "agent_run", scope="autogen-core"), span("b", "agent_run", scope="autogen-core", **FAILED)],
        {"untold_runs": 2, "untold_successes": 1},
    ),
    "a linked trace": (
        [root(task_source=BY_TRACE), event("l", "link", value="job"), event("m", "link", value="later")],
        {"status": "linked", "linked_to": "job", "events": 3},
    ),
}


@pytest.fixture(scope="module")
def told(clickhouse_world: World) -> tuple[World, Audit]:
    """All cases in one log, a task each."""
    log = Log(seed=0)
    for name, (events, _) in CASES.items():
        log.add([_of(one, name) for one in events])
    clickhouse_world.land(0, log.messages + log.end(), batch=7)
    return clickhouse_world, clickhouse_world.audit()


def _of(one: Event, task: str) -> Event:
    one.task_id = task
    return one


def test_the_audit_agrees_on_all_of_them(told: tuple[World, Audit]) -> None:
    _, found = told
    assert (found.total, found.differences) == (0, [])
    assert found.tasks == len(CASES)


@pytest.mark.parametrize("name", CASES)
def test_the_rule_holds_for(told: tuple[World, Audit], name: str) -> None:
    world, _ = told
    expected = CASES[name][1]
    row = world.client.query(
        f"SELECT {', '.join(expected)} FROM task_rows FINAL WHERE task_id = {{task:String}}",
        parameters={"task": name},
    ).first_row
    assert dict(zip(expected, row, strict=True)) == expected
