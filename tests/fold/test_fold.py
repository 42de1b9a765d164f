"""The fold keeps its promise under every schedule, and each of its rules is needed for that."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from pipeline.fold.partition import PartitionFold
from tests.fold import mutants
from tests.fold.test_schedules import Crowded, Damage, Schedules
from tests.fold.world import ORDER

STEPS = 30


def run(machine: type[Schedules], examples: int, *, shrink: bool = True) -> None:
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_rows_are_those_of_the_log_under_any_schedule() -> None:
    """Crashes between any two rows, stale owners, duplicates, late and out-of-order events, evictions."""
    run(Schedules, 100)


def test_what_a_task_has_no_room_for_is_a_dead_letter_under_any_schedule() -> None:
    """And nothing else is, and no row has it."""
    run(Crowded, 100)


@pytest.mark.long
@pytest.mark.parametrize("machine", [Schedules, Crowded])
def test_rows_are_those_of_the_log_under_very_many_schedules(machine: type[Schedules]) -> None:
    run(machine, 10_000)


def test_a_repair_makes_damaged_rows_those_of_the_log_under_any_schedule() -> None:
    """A worker that has a wrong row in memory, or the right one while the stored one is wrong, goes on meanwhile."""
    run(Damage, 100)


@pytest.mark.long
def test_a_repair_makes_damaged_rows_those_of_the_log_under_very_many_schedules() -> None:
    run(Damage, 10_000)


def broken(
    fold_class: type[PartitionFold] = PartitionFold,
    order: Sequence[str] = ORDER,
    machine: type[Schedules] = Schedules,
) -> type[Schedules]:
    return type("Broken", (machine,), {"fold_class": fold_class, "order": order})


RULES = {
    "windows are written before tasks": broken(order=mutants.TASKS_BEFORE_WINDOWS),
    "raw events are written first": broken(order=mutants.EVENTS_LAST),
    "dead letters are written before the rows that lack their events": broken(
        order=mutants.DEAD_LETTERS_LAST, machine=Crowded
    ),
    "a task has room or not by the events of its row": broken(mutants.KnowsLaterEvents, machine=Crowded),
    "a window takes a change once": broken(mutants.NoFenceOnWindows),
    "a clock does not touch a row beyond it": broken(mutants.NoFenceOnTasks),
    "tasks are loaded before windows": broken(mutants.WindowsBeforeTasks),
    "an open task that is brought in is watched": broken(mutants.WatchesOnlyWhatChanges),
    "a row that is ahead means another owner": broken(mutants.TakesRowsAhead),
    "what one clock does to a window is applied at once": broken(mutants.OneByOneAtAClock),
    "below the frontier events are applied one by one": broken(mutants.IgnoresTheFrontier),
    "what was folded is written before all is loaded afresh": broken(mutants.LoadsUnsettled),
    "open tasks are always in memory": broken(mutants.ForgetsOpenTasks),
    "rows stay in memory until they are written": broken(mutants.EvictsUnwritten),
    "a task knows the events of its row, not later ones": broken(mutants.KnowsLaterEvents),
    "a repair leaves what is beyond it": broken(mutants.RepairsWhatIsBeyond),
    "a repair makes tasks from their raw events": broken(mutants.RepairsFromMemory, machine=Damage),
    "what was folded is written before a repair reads it": broken(mutants.RepairsUnsettled, machine=Damage),
    "a window is repaired with the tasks that are not in memory": broken(mutants.SumsWhatIsHeld),
}


@pytest.mark.parametrize("rule", RULES)
def test_without_this_rule_rows_would_be_wrong(rule: str) -> None:
    with pytest.raises(AssertionError):
        run(RULES[rule], 2_000, shrink=False)
