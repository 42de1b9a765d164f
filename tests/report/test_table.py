"""A report as tables: how much each number stands on, and what is not known, is to be seen."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.local.clickhouse import ClickHouse
from pipeline.cli.report_table import print_report
from pipeline.report.build import report
from schemas.event import Event
from schemas.units import MICRO, NANO
from sinks.clickhouse.reads import Question
from tests.audit.logs import BEGIN, Log, event
from tests.audit.world import World
from tests.database import emptied


def task(task_id: str, *more: Event, **told: Any) -> list[Event]:
    """A task that finished, with its case type, and what else happened in it."""
    span = {"trace_id": task_id, "span_id": "r", "root": 1, "value": "success", "explicit": 1}
    root = event(f"{task_id}:r", "agent_run", BEGIN, **span | told)
    for one in (root, *more):
        one.task_id = task_id
    return [root, *more]


def call(event_id: str, **told: Any) -> Event:
    span = {"trace_id": event_id, "span_id": "c"}
    return event(f"{event_id}:c", "model_call", BEGIN, **span | told)


@pytest.fixture(scope="module")
def world(clickhouse: ClickHouse) -> World:
    known, sampled = {"input_tokens": 1_234_567, "output_tokens": 2}, {"name": "qa", "weight": MICRO}
    made = World(emptied(clickhouse, "table"))
    made.land(0, [
        Log(seed=1).add([
            *task("A", call("a", **known), event("v", "verdict", value="success", **sampled), case_type="told"),
            *task("B", event("w", "verdict", value="success", **sampled), case_type="told", value="gave_up"),
            *task("C", event("f", "feedback", number=900_000), call("c", **known), call("d"), case_type="mixed"),
            *task("D", call("e"), case_type="untold"),
            *task("E", call("g"), case_type="untold"),
            event("h:c", "model_call", BEGIN, task_id="F", trace_id="h", span_id="c", case_type="untold"),
            event("p", "cost", BEGIN, task_id="", name="engineering", cost=5 * NANO),
            event("o", "outcome", BEGIN, task_id="A", name="refunded", number=7 * MICRO),
        ])
    ])  # fmt: skip
    return made


def table(world: World, capsys: pytest.CaptureFixture[str], **asked: Any) -> list[dict[str, str]]:
    """The first table that is printed, a dictionary a row. Columns are as wide as their widest cell."""
    question = Question(**asked)
    print_report(report(world.client, question), question)
    head, *rows = capsys.readouterr().out.split("\n\n")[0].splitlines()
    names = [name.strip() for name in head.split("  ") if name.strip()]
    starts = [head.index(name) for name in names]
    ends = [*starts[1:], None]
    return [{n: row[a:b].strip() for n, a, b in zip(names, starts, ends, strict=True)} for row in rows]


def test_every_rate_shows_on_how_many_tasks_it_stands(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    mixed, told, untold = table(world, capsys, by=["case_type"])
    assert [mixed["case_type"], told["case_type"], untold["case_type"]] == ["mixed", "told", "untold"]
    assert told["with verdict"] == "100.0% 2/2"
    assert untold["with verdict"] == "0.0% 0/2"
    assert told["underclaim"].startswith("100.0% 1/1 ")
    assert untold["underclaim"] == untold["verified success"] == "-"
    assert (told["open"], untold["open"]) == ("0", "1")
    assert (mixed["satisfaction"], told["satisfaction"]) == ("0.9 (of 1)", "-")


def test_tokens_that_are_not_told_are_not_shown_as_none(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    mixed, told, untold = table(world, capsys, by=["case_type"])
    assert told["tokens"] == "1,234,567 in, 2 out"
    assert mixed["tokens"] == ">= 1,234,567 in, 2 out"
    assert untold["tokens"] == "-"
    assert [row["tokens unknown"] for row in (mixed, told, untold)] == ["1", "0", "3"]


def test_the_counts_say_of_how_many_tasks_tokens_are_unknown(world: World) -> None:
    rows = {row["by"]["case_type"]: row["counts"] for row in report(world.client, Question(by=["case_type"]))["rows"]}
    assert {name: counts["tasks_usage_unknown"] for name, counts in rows.items()} == {
        "mixed": 1,
        "told": 0,
        "untold": 3,
    }
    assert (rows["untold"]["tasks_finished"], rows["untold"]["tasks_open"]) == (2, 1)
    assert (rows["mixed"]["actions"], rows["untold"]["actions"]) == (2, 3)


def test_what_nobody_told_or_left_open_has_no_column(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = table(world, capsys, where={"case_type": "told"})
    assert not {"satisfaction", "open", "tokens unknown"} & row.keys()


def test_below_are_costs_of_periods_and_outcomes(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    print_report(report(world.client, Question()), Question())
    _, costs, outcomes = capsys.readouterr().out.split("\n\n")
    assert costs.splitlines()[0] == "costs of periods, in no task's cost:"
    assert costs.splitlines()[-1].split() == [
        "w", "engineering", "2023-11-14T22:14:00Z", "2023-11-14T22:14:00Z", "1", "5.000000000",
    ]  # fmt: skip
    assert outcomes.splitlines()[0] == "business outcomes:"
    assert outcomes.splitlines()[-1].split() == ["w", "refunded", "1", "7", "7"]


def test_a_report_about_actions_has_columns_of_its_own(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = table(world, capsys, by=["action", "action_model"])
    assert row["actions"] == "6"
    assert row["errors"].startswith("0.0% 0/6 ")
    assert (row["action"], row["action_model"], row["input tokens"]) == ("model_call", "-", "1,234,567.0")
    assert row["with known tokens"] == "33.3% 2/6"
    assert table(world, capsys, by=["tool"], where={"action": "tool_call"}) == []
