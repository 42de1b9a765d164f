"""Reports about actions: against a count in plain Python over the raw events, and against the windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from deploy.local.clickhouse import ClickHouse
from pipeline.report.build import report
from schemas.event import FIELDS, Event
from schemas.rows import TASK_COLUMNS
from schemas.units import MICRO, bucket
from schemas.words import ACTION_DIMENSIONS, ACTIONS, DIMENSIONS, SPANS
from sinks.clickhouse import actions, reads
from sinks.clickhouse.actions import COUNTS, Actions
from sinks.clickhouse.client import select_lines
from sinks.clickhouse.reads import Question
from tests.audit.logs import BEGIN, Log, event
from tests.audit.world import World
from tests.database import emptied
from tests.fold.reference_tree import repeated

MINUTE = BEGIN // MICRO
Told = dict[str, Any]


@pytest.fixture(scope="module")
def world(clickhouse: ClickHouse) -> World:
    """Random logs of three partitions, and then some in which a task is open."""
    made = World(emptied(clickhouse, "actions"))
    logs = made.land_three(seed=5, messages=60, tasks=20)
    span = {"trace_id": "o", "task_id": "open", "model": "m"}
    made.land(0, [logs[0].add([event("o:1", "model_call", span_id="1", input_tokens=5, error_type="timeout", **span)])])
    return made


# --- an independent count ------------------------------------------------------------------------


def told(world: World) -> Iterator[Told]:
    """Every action that counts, with what it is told apart by."""
    columns = ", ".join(f"`{name}`" for name in FIELDS)
    found: dict[tuple[int, str], list[Event]] = {}
    for line in select_lines(world.client, f"SELECT partition, {columns} FROM raw_events FINAL"):
        partition, *values = msgspec.json.decode(line)
        e = msgspec.convert(values, Event)
        found.setdefault((partition, e.task_id), []).append(e)
    tasks = {(row["partition"], row["task_id"]): row for row in _tasks(world)}
    for key, task in tasks.items():
        if task["status"] in ("announced", "linked"):
            continue
        known = [e for e in found[key] if e.kind in SPANS]
        twice = repeated(known)
        for e in known:
            if e.kind in ACTIONS and e.hash not in twice:
                yield _action(e, task, known)


def _tasks(world: World) -> list[Told]:
    lines = select_lines(world.client, f"SELECT {', '.join(TASK_COLUMNS)} FROM task_rows FINAL")
    return [dict(zip(TASK_COLUMNS, msgspec.json.decode(line), strict=True)) for line in lines]


def _action(e: Event, task: Told, spans: list[Event]) -> Told:
    at = task["claim_at"] if task["status"] == "finished" else task["last_at"]
    return {name: task[name] for name in DIMENSIONS} | {
        "case_type": task["case_type"] or "unclassified",
        "minute": at // MICRO // 60 * 60,
        "action": str(e.kind),
        "tool": e.name if e.kind == "tool_call" else "",
        "error_type": e.error_type,
        "action_agent": _agent(e, {s.event_id: s for s in spans}),
        "action_model": e.model,
        "event": e,
    }


def _agent(e: Event, spans: dict[str, Event]) -> str:
    above: Event | None = e
    for _ in range(64):
        above = spans.get(f"{above.trace_id}:{above.parent_id}") if above else None
        if above is not None and above.kind == "agent_run":
            return above.agent or e.agent
    return e.agent


def counted(actions: list[Told]) -> dict[str, int]:
    events = [a["event"] for a in actions]
    users = [e for e in events if e.kind in ("model_call", "embedding")]
    known = [e for e in users if e.error_type or e.input_tokens is not None or e.output_tokens is not None]
    tokens = {name: sum(getattr(e, name) or 0 for e in users) for name in COUNTS[4:]}
    errors = sum(e.error_type != "" for e in events)
    return {
        "actions": len(events),
        "action_errors": errors,
        "model_uses": len(users),
        "usage_known": len(known),
    } | tokens


QUESTIONS = [
    *(Question(by=[name]) for name in ACTION_DIMENSIONS),
    Question(by=ACTION_DIMENSIONS),
    Question(by=["workflow", "tool"], window=120),
    Question(by=["action_agent"], start=MINUTE + 60, end=MINUTE + 240),
    Question(by=["agent", "action_agent", "model", "action_model", "case_type"]),
    Question(by=["tool"], where={"workflow": "v", "error_type": "timeout"}),
    Question(where={"action": "tool_call", "tool": "find"}, window=60),
    Question(by=["error_type", "action"], where={"action_agent": "bot"}),
    Question(where={"error_type": "timeout"}),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_actions_are_those_of_a_plain_count(world: World, question: Question) -> None:
    wanted: dict[tuple[Any, ...], list[Told]] = {}
    whole: Counter[tuple[Any, ...]] = Counter()
    for action in told(world):
        inside = (question.start or 0) <= action["minute"] < (question.end or 2**32)
        but = {name: value for name, value in question.where.items() if name != "error_type"}
        if not inside or any(action[name] != value for name, value in but.items()):
            continue
        window = action["minute"] // question.window * question.window if question.window else None
        whole[window, *(action[name] for name in question.by if name != "error_type")] += 1
        if question.where.get("error_type") in (None, action["error_type"]):
            wanted.setdefault((window, *(action[name] for name in question.by)), []).append(action)
    found = actions.count(world.client, question)
    assert [_key(group, question) for group in found] == sorted(wanted, key=lambda key: (key[0] or 0, *key[1:]))
    assert wanted
    for group in found:
        mine = wanted[_key(group, question)]
        assert group.counts == counted(mine)
        assert group.latency_us == Counter(bucket(a["event"].at - a["event"].start) for a in mine)
        others = [value for name, value in group.by.items() if name != "error_type"]
        assert group.of_actions == whole[group.window, *others]


def _key(group: Actions, question: Question) -> tuple[Any, ...]:
    assert list(group.by) == list(question.by)
    return (group.window, *group.by.values())


@pytest.mark.parametrize("dimension", ACTION_DIMENSIONS)
def test_together_they_are_what_the_windows_and_open_tasks_count(world: World, dimension: str) -> None:
    groups = actions.count(world.client, Question(by=["workflow", dimension], window=60))
    for window in reads.count(world.client, Question(by=["workflow"], window=60)):
        mine = [g for g in groups if (g.window, g.by["workflow"]) == (window.window, window.by["workflow"])]
        for name in COUNTS:
            if name in window.counts:
                assert sum(group.counts[name] for group in mine) == window.counts[name], name
        latency: Counter[int] = Counter()
        for group in mine:
            latency.update(group.latency_us)
        assert latency == window.latency_us


def test_a_value_is_never_sql(world: World) -> None:
    for name in ACTION_DIMENSIONS:
        assert actions.count(world.client, Question(by=["tool"], where={name: "' OR 1 = 1 --"})) == []
    with pytest.raises(ValueError, match="is not a dimension"):
        Question(by=["tool, (SELECT 1)"])


# --- what a person reads -------------------------------------------------------------------------


def test_which_tool_times_out_and_which_model_uses_the_tokens(clickhouse: ClickHouse) -> None:
    """Ten calls of `search`, of which two time out; one of `pay`; a small model of the sub-agent, a large one above."""
    world = World(emptied(clickhouse, "of_one_task"))
    span = {"trace_id": "t", "workflow": "refunds"}
    run = [
        event("t:r", "agent_run", BEGIN + 9, span_id="r", agent="boss", model="large", root=1, value="success", **span),
        event(
            "t:l", "model_call", span_id="l", parent_id="r", model="large", input_tokens=9_000, output_tokens=1, **span
        ),
        event("t:a", "agent_run", span_id="a", parent_id="r", agent="helper", **span),
        event(
            "t:s",
            "model_call",
            span_id="s",
            parent_id="a",
            model="small",
            name="x",
            input_tokens=10,
            output_tokens=2,
            **span,
        ),
        event("t:u", "model_call", span_id="u", parent_id="a", model="small", agent="service", **span),
        event("t:p", "tool_call", span_id="p", parent_id="r", name="pay", **span),
    ]
    for n in range(10):
        failed = "timeout" if n < 2 else ""
        told = {"start": BEGIN - (30 if n < 2 else 1) * MICRO, "name": "search", "error_type": failed}
        run.append(event(f"t:{n}", "tool_call", BEGIN, span_id=str(n), parent_id="a", **told, **span))
    world.land(0, [Log(seed=1).add(run)])

    def rows(*by: str, **where: str) -> dict[str, Any]:
        return {",".join(row["by"].values()): row for row in report(world.client, Question(by=by, where=where))["rows"]}

    tools = rows("tool")
    assert {name: row["counts"]["actions"] for name, row in tools.items()} == {"": 3, "pay": 1, "search": 10}
    rate = tools["search"]["metrics"]["action_error_rate"]
    assert (rate["numerator"], rate["denominator"], rate["value"]) == (2, 10, 0.2)
    assert (rate["low"], rate["high"]) == pytest.approx((0.0567, 0.5098), abs=5e-5)  # scipy's Wilson of 2 of 10
    assert tools["search"]["metrics"]["action_latency"]["p99"] == pytest.approx(30, rel=1 / 128)
    assert tools["search"]["metrics"]["action_latency"]["p50"] == pytest.approx(1, rel=1 / 128)
    assert tools["pay"]["metrics"]["action_error_rate"]["numerator"] == 0

    classes = rows("error_type", action="tool_call")
    assert classes.keys() == {"", "timeout"}
    assert classes["timeout"]["counts"]["actions"] == 2
    share = classes["timeout"]["metrics"]["action_error_rate"]
    assert (share["numerator"], share["denominator"]) == (2, 11)

    models = rows("action_model", action="model_call")
    large, small = models["large"], models["small"]
    assert large["metrics"]["input_tokens_per_action"] == {"value": 9_000.0, "numerator": 9_000, "denominator": 1}
    assert small["metrics"]["output_tokens_per_action"] == {"value": 2.0, "numerator": 2, "denominator": 1}
    coverage = small["metrics"]["usage_coverage"]
    assert (coverage["numerator"], coverage["denominator"]) == (1, 2)

    agents = rows("action_agent")
    assert {name: row["counts"]["actions"] for name, row in agents.items()} == {"boss": 2, "helper": 12}


def test_tokens_that_no_action_tells_are_unknown_and_not_none(clickhouse: ClickHouse) -> None:
    world = World(emptied(clickhouse, "of_one_task"))
    span = {"trace_id": "t", "model": "m"}
    calls = [event(f"t:{n}", "model_call", span_id=str(n), root=1, value="success", **span) for n in range(3)]
    tool = event("t:x", "tool_call", span_id="x", name="find", **span)
    failed = event("t:e", "embedding", span_id="e", error_type="timeout", **span)
    world.land(0, [Log(seed=1).add([*calls, tool, failed])])
    (embedding, call, tool) = report(world.client, Question(by=["action"]))["rows"]
    assert [row["by"]["action"] for row in (embedding, call, tool)] == ["embedding", "model_call", "tool_call"]
    assert (embedding["counts"]["input_tokens"], embedding["metrics"]["usage_coverage"]["value"]) == (0, 1.0)
    assert (call["counts"]["input_tokens"], call["counts"]["output_tokens"]) == (None, None)
    assert call["metrics"]["input_tokens_per_action"]["value"] is None
    assert tool["counts"]["input_tokens"] == 0
    assert tool["metrics"]["usage_coverage"]["value"] is None
