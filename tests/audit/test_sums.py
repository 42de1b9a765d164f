"""Sums beyond the 64 bits of a column: ClickHouse wraps what it is given, and the audit must say so."""

from __future__ import annotations

from pipeline.report.build import report
from schemas.event import Event
from schemas.units import MINUTE_US
from schemas.words import Kind
from sinks.clickhouse.reads import Question, count
from tests.audit.logs import BEGIN, Log, event
from tests.audit.world import World

MOST = 10**18
"""Nano-dollars of the greatest cost that an event can have: 18 of them are in 64 bits, and 19 are not."""


def dear(tasks: int, at: int = BEGIN) -> list[Event]:
    """Runs of tasks that cost as much as one can."""
    names = [f"{at}-{n}" for n in range(tasks)]
    return [event(n, Kind.AGENT_RUN, at, task_id=n, root=1, value="success", cost=MOST) for n in names]


def differing(world: World) -> dict[tuple[str, str], tuple[int, int]]:
    """(kind, column) -> what is stored, and what it should be."""
    found = world.audit()
    assert found.total == len(found.differences)
    return {(d.kind, d.column): (int(d.stored), int(d.recomputed)) for d in found.differences}


def test_a_window_of_more_money_than_its_column_holds_differs(world: World) -> None:
    log = Log(0)
    world.land(0, [log.add(dear(18))])
    assert differing(world) == {}
    world.land(0, [log.add(dear(19)[18:])])
    wrapped = (19 * MOST - 2**64, 19 * MOST)
    assert differing(world) == {("window", "cost_nano"): wrapped, ("window", "cost_model_nano"): wrapped}


def test_a_task_of_more_tokens_than_its_column_holds_differs_and_so_does_its_window(world: World) -> None:
    most = 2**53
    calls = [event(f"call-{n}", Kind.MODEL_CALL, input_tokens=most) for n in range(2_048)]
    claim = event("claim", Kind.CLAIM, root=1, value="success", explicit=1)
    world.land(0, [Log(0).add([*calls, claim])])
    assert differing(world) == {("task", "input_tokens"): (0, 2**64), ("window", "input_tokens"): (0, 2**64)}


def test_a_report_adds_up_more_than_a_column_holds(world: World) -> None:
    log = Log(0)
    world.land(0, [log.add(dear(18, BEGIN + n * MINUTE_US)) for n in range(4)])
    assert differing(world) == {}
    (row,) = count(world.client, Question())
    assert row.counts["cost_nano"] == 72 * MOST
    (told,) = report(world.client, Question())["rows"]
    assert told["counts"]["cost_usd"] == "72000000000.000000000"
