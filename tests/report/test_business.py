"""Costs of periods and business outcomes: which of them a report shows, and what they add up to."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.local.clickhouse import ClickHouse
from pipeline.report.build import report
from schemas.event import Event
from schemas.units import MICRO, NANO
from sinks.clickhouse.reads import Question
from tests.audit.logs import BEGIN, Log, event
from tests.audit.world import World
from tests.database import emptied

START = BEGIN // MICRO
DAY = 86_400


def cost(event_id: str, start: int, end: int, usd: int, **told: Any) -> Event:
    """Money of a period, in seconds after BEGIN."""
    told = {"workflow": "refunds", "name": "engineering"} | told
    at, begin = BEGIN + end * MICRO, BEGIN + start * MICRO
    return event(event_id, "cost", at, start=begin, task_id="", task_source="", cost=usd * NANO, **told)


def outcome(event_id: str, value: float, at: int = 0, **told: Any) -> Event:
    told = {"workflow": "refunds", "name": "refunded_eur"} | told
    return event(event_id, "outcome", BEGIN + at * MICRO, number=int(value * MICRO), **told)


def root(task_id: str, at: int, **told: Any) -> Event:
    """The work of a task that finishes so many seconds after BEGIN."""
    told = {"workflow": "refunds", "trace_id": task_id, "span_id": "r", "root": 1, "value": "success"} | told
    return event(f"{task_id}:r", "agent_run", BEGIN + at * MICRO, task_id=task_id, **told)


@pytest.fixture(scope="module")
def world(clickhouse: ClickHouse) -> World:
    made = World(emptied(clickhouse, "business"))
    nobody = {"task_id": "", "task_source": ""}
    told = [
        cost("day 1", 0, DAY, 100),
        cost("day 2", DAY, 2 * DAY, 10),
        cost("day 3", 2 * DAY, 3 * DAY, 1),
        cost("day 2 of operations", DAY, 2 * DAY, 7, name="operations"),
        cost("day 2 of claims", DAY, 2 * DAY, 5, workflow="claims", stage="pilot"),
        cost("a moment", DAY, DAY, 1_000),
        root("T-1", 0, case_type="late"),
        root("T-2", DAY),
        outcome("told a day after its task", 42.5, DAY, task_id="T-1"),
        outcome("of the other task, told by a billing system", 7.5, DAY, task_id="T-2", workflow="billing"),
        outcome("of no work that is known", 1, DAY, task_id="T-3"),
        outcome("of the workflow", -3, 2 * DAY, name="complaints", **nobody),
        outcome("of another workflow", 3, 0, workflow="claims", **nobody),
    ]
    made.land(0, [(log := Log(seed=1)).add(told), log.add(told)])
    return made


def costs(world: World, **asked: Any) -> dict[tuple[str, str], tuple[str, int]]:
    rows = report(world.client, Question(**asked))["costs_of_periods"]
    return {(row["workflow"], row["category"]): (row["cost_usd"], row["periods"]) for row in rows}


def outcomes(world: World, **asked: Any) -> dict[tuple[str, str], tuple[float, int]]:
    rows = report(world.client, Question(**asked))["outcomes"]
    return {(row["workflow"], row["name"]): (row["numerator"], row["denominator"]) for row in rows}


def test_each_cost_of_a_period_is_there_once(world: World) -> None:
    """Although all of them were sent twice."""
    assert costs(world) == {
        ("claims", "engineering"): ("5.000000000", 1),
        ("refunds", "engineering"): ("1111.000000000", 4),
        ("refunds", "operations"): ("7.000000000", 1),
    }


def test_periods_count_that_overlap_the_time_of_the_report(world: World) -> None:
    day_2 = {"start": START + DAY, "end": START + 2 * DAY, "where": {"workflow": "refunds"}}
    assert costs(world, **day_2) == {
        ("refunds", "engineering"): ("1010.000000000", 2),
        ("refunds", "operations"): ("7.000000000", 1),
    }
    assert costs(world, start=START + DAY - 60, end=START + DAY) == {("refunds", "engineering"): ("100.000000000", 1)}
    assert costs(world, start=START + 3 * DAY) == {}
    assert costs(world, end=START) == {}


def test_a_period_says_when_it_was_and_that_nothing_is_known_of_its_case_type(world: World) -> None:
    (row,) = report(world.client, Question(where={"stage": "pilot"}))["costs_of_periods"]
    assert (row["start"], row["end"]) == ("2023-11-15T22:14:00Z", "2023-11-16T22:14:00Z")
    assert costs(world, where={"case_type": "late"}) == {}


def test_outcomes_are_sums_and_means_by_name(world: World) -> None:
    assert outcomes(world) == {
        ("claims", "refunded_eur"): (3, 1),
        ("refunds", "complaints"): (-3, 1),
        ("refunds", "refunded_eur"): (51, 3),
    }
    rows = report(world.client, Question())["outcomes"]
    assert {row["value"] for row in rows} == {3.0, -3.0, 17.0}


def test_an_outcome_of_a_task_counts_where_the_task_counts(world: World) -> None:
    assert outcomes(world, end=START + 60, where={"workflow": "refunds"}) == {("refunds", "refunded_eur"): (42.5, 1)}
    assert outcomes(world, where={"case_type": "late"}) == {("refunds", "refunded_eur"): (42.5, 1)}
    assert outcomes(world, start=START + DAY, end=START + DAY + 60) == {("refunds", "refunded_eur"): (8.5, 2)}
    assert outcomes(world, start=START + 2 * DAY) == {("refunds", "complaints"): (-3, 1)}
