"""The counts of a tick: loaded once, then what has changed; and the objectives in force."""

from __future__ import annotations

import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from pipeline.alerter.advance import Subject
from pipeline.alerter.counts import LandedCounts
from pipeline.alerter.difference import ToldTask
from pipeline.alerter.in_force import StoredObjectives
from pipeline.objectives.history import read
from pipeline.slo.counts import Row
from pipeline.slo.objective import Objective
from schemas.rows import Envelope, TaskRow
from sinks.clickhouse.counting import told_tasks
from sinks.clickhouse.objectives import ClickHouseObjectives
from sinks.clickhouse.store import ClickHouseStore
from sinks.objectives import MemoryObjectives
from tests.objectives.documents import service, slo, version
from tests.objectives.samples import NOW, row, us, verified

DAY = 1_440


def objective(metric: str = "completion_rate", annotations: str = "") -> Objective:
    text = service() + slo(metric=metric, annotations=annotations)
    (found,) = read(version(1, "2026-01-10", text)).objectives.values()
    return found


class World:
    """A worker that folds one message after another, and the counts that follow it."""

    def __init__(self, client: Client) -> None:
        self.store = ClickHouseStore(client)
        self.counts = LandedCounts(client, ClickHouseObjectives(client), 0, 1)
        self.offset = 0

    def fold(self, *tasks: TaskRow, minute: int = NOW) -> None:
        """The rows of a message, and then its envelope."""
        for task in tasks:
            task.seq = self.offset * 4_096
        self.store.write("tasks", [task.line() for task in tasks])
        self.store.write("envelopes", [Envelope(0, 0, self.offset, us(minute), 1, 0, 0).line()])
        self.offset += 1

    def rows(self, objective: Objective, now: int = NOW) -> list[Row]:
        self.counts.refresh([objective], now)
        return list(self.counts.measured(objective).by_task)


def test_tasks_that_were_there_and_tasks_that_come_are_counted(client: Client) -> None:
    world, sought = World(client), objective()
    world.fold(row("a"))
    assert world.rows(sought) == [Row(NOW, 0, 1, 1)]
    world.fold(row("b", claim="failure"))
    world.fold(row("c", minute=NOW - 60))
    assert world.rows(sought) == [Row(NOW - 60, 0, 1, 1), Row(NOW, 1, 2, 2)]


def test_a_task_that_moves_leaves_its_minute(client: Client) -> None:
    world, sought = World(client), objective()
    world.fold(row("a", minute=NOW - 60, status="abandoned", claim=""))
    assert world.rows(sought) == [Row(NOW - 60, 1, 1, 1)]
    world.fold(row("a"))
    assert world.rows(sought) == [Row(NOW, 0, 1, 1)]
    world.fold(row("a", status="linked"))
    assert world.rows(sought) == []


def test_counts_say_until_when_they_are_complete(client: Client) -> None:
    world = World(client)
    world.counts.refresh([objective()], NOW)
    assert world.counts.complete_until == 0
    world.fold(minute=NOW)
    world.counts.refresh([objective()], NOW)
    assert world.counts.complete_until == NOW - 1


def test_what_waits_for_a_worker_is_missing_in_the_counts_however_far_the_rest_is(client: Client) -> None:
    world = World(client)
    world.fold(minute=NOW)
    world.counts.refresh([objective()], NOW)
    for waits, complete in ((NOW - 30, NOW - 30), (NOW + 9, NOW - 1), (None, NOW - 1)):
        world.counts.taken_until = waits
        assert world.counts.complete_until == complete


def test_another_objective_brings_its_own_counts(client: Client) -> None:
    world = World(client)
    world.fold(row("a", **verified("failure", NOW)))
    assert world.rows(objective()) == [Row(NOW, 0, 1, 1)]
    assert world.rows(objective("verified_success_rate")) == [Row(NOW, 1, 1, 1)]


def test_after_a_day_what_nobody_looks_at_any_more_is_let_go(client: Client) -> None:
    world, sought = World(client), objective()
    world.fold(row("a"), row("b", minute=NOW - 42 * DAY))
    assert len(world.rows(sought)) == 2
    world.fold(row("c"))
    assert len(world.rows(sought, NOW + DAY)) == 1


def test_how_long_verdicts_take_is_measured_from_mature_tasks(client: Client) -> None:
    world, sought = World(client), objective("verified_success_rate")
    world.fold(*(row(str(n), minute=NOW - 10 * DAY, **verified("success", NOW - 9 * DAY)) for n in range(3)))
    world.counts.refresh([sought], NOW)
    assert world.counts.measured(sought).lag == DAY
    fixed = objective("verified_success_rate", "trueup.dev/maturity: 2h")
    world.counts.refresh([fixed], NOW)
    assert world.counts.measured(fixed).lag == 120


def test_what_is_left_of_the_budget_is_known(client: Client) -> None:
    world, sought = World(client), objective()
    world.counts.refresh([sought], NOW)
    assert world.counts.remaining(sought, NOW) is None
    world.fold(row("a", claim="failure"), row("b"))
    world.counts.refresh([sought], NOW)
    assert world.counts.remaining(sought, NOW) == -4.0


def test_tasks_are_told_with_their_names_the_newest_first(client: Client) -> None:
    world = World(client)
    tasks = [row(str(n), minute=NOW - n, agent_version="7") for n in range(3)]
    world.fold(*tasks, row("other", workflow="refunds"), row("old", minute=NOW - 100))
    told = [msgspec.json.decode(line, type=ToldTask) for line in told_tasks(client, "claims", us(NOW - 9), 2)]
    assert [(task.task_id, task.agent_version, task.minute) for task in told] == [("0", "7", NOW), ("1", "7", NOW - 1)]


def test_the_newest_version_is_in_force_and_drafts_are_not() -> None:
    store = MemoryObjectives()
    in_force = StoredObjectives(store, 400 * DAY)
    assert in_force.objectives() == {}
    store.append([version(1, "2026-01-10", service() + slo() + slo("other"))])
    assert len(in_force.objectives()) == 2
    draft = slo("other", annotations="trueup.dev/commitment: draft")
    store.append([version(2, "2026-02-10", service() + slo(target="0.5") + draft)])
    (only,) = in_force.objectives().values()
    assert (only.slo, float(only.target)) == ("success", 0.5)
    assert in_force.known(only.key) == only
    assert in_force.known("nothing") is None


@pytest.mark.parametrize(
    ("left", "what"),
    [
        (slo("other"), "removed or renamed"),
        (slo(annotations="trueup.dev/commitment: draft"), "made a draft"),
    ],
)
def test_who_took_an_objective_back_is_known(left: str, what: str) -> None:
    store = MemoryObjectives()
    store.append([version(1, "2026-01-10", service() + slo()), version(2, "2026-02-10", service() + left, by="Eve")])
    in_force = StoredObjectives(store, 400 * DAY)
    in_force.objectives()
    told = in_force.why_ended(Subject("claims", "success", "right"))
    assert told == f"the objective was {what} in version 2 of claims, by Eve: because"


def test_a_version_that_cannot_be_read_is_told() -> None:
    store = MemoryObjectives()
    store.append([version(1, "2026-01-10", service() + slo() + slo("wrong", "7"))])
    in_force = StoredObjectives(store, 400 * DAY)
    assert [each.slo for each in in_force.objectives().values()] == ["success"]
    assert in_force.unreadable == {"claims"}
