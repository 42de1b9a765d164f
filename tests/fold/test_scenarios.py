"""The shortest schedules that need each rule of the fold, and those that once went wrong.

Each is right with the fold as it is, and wrong with the one rule broken. `test_fold.py` looks for more at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest

from pipeline.fold.partition import TASK_EVENTS, PartitionFold
from tests.fold import mutants
from tests.fold.samples import BASE, MINUTE, SECOND, TASKS, Again, Spec
from tests.fold.world import Meanwhile, World

ROOT_A, ROOT_B, ROOT_C = (Spec("root", task) for task in "abc")
STEP_A, STEP_B = Spec("step", "a"), Spec("step", "b")
COMPLAINS_A = Spec("complains", "a")
NOTHING = Meanwhile()
HALF = MINUTE // 2

Scenario = Callable[[World], None]


class Rule(NamedTuple):
    """A rule, a schedule that needs it, and the fold, or the order of writing, without it."""

    broken: type[PartitionFold] | Sequence[str]
    scenario: Scenario
    keep: int = 100
    room: int = TASK_EVENTS


def crash_after_two_lines(w: World) -> None:
    """Of event, window, task and envelope the first two are written."""
    w.append(ROOT_A)
    w.fold()
    w.write(2)
    w.crash()


def crash_after_the_event(w: World) -> None:
    w.append(ROOT_A)
    w.fold()
    w.write(1)
    w.crash()


def crash_within_the_windows(w: World) -> None:
    """The next owner reads both messages in one batch, and the window has the first of them."""
    w.append(ROOT_A)
    w.append(ROOT_B)
    w.fold()
    w.write(2)
    w.crash()
    w.fold(2)


def crash_before_the_link_is_told(w: World) -> None:
    w.append(STEP_A, Spec("link", "a"))
    w.fold()
    w.write(4)
    w.crash()


def crash_before_the_envelope_of_a_full_task(w: World) -> None:
    """Its second step has no room; its claim has, so the row is beyond that step. Three rows of four are written."""
    w.append(STEP_A, STEP_A, ROOT_A)
    w.fold()
    w.write(5)
    w.crash()


def crash_with_a_task_open(w: World) -> None:
    w.append(STEP_A)
    w.fold()
    w.write()
    w.crash()
    w.tick(BASE + MINUTE, HALF)
    w.fold()


def two_given_up_at_once(w: World) -> None:
    w.append(STEP_A, STEP_B)
    w.tick(BASE + MINUTE, HALF)
    w.fold(2)


def replayed_clock(w: World, batch: int = 2) -> None:
    """A task is given up and comes back, by a message that is as old as the first; then the clock comes again."""
    w.append(STEP_A)
    w.tick(BASE + MINUTE, HALF)
    w.append(STEP_A)
    w.fold(3)
    w.write()
    w.crash(back=2)
    for _ in range(0, 2, batch):
        w.fold(batch)
    w.tick(BASE + MINUTE, HALF)


def more_open_tasks_than_are_held(w: World) -> None:
    for step in (STEP_A, STEP_B, STEP_A):
        w.append(step)
        w.fold()
        w.write()
    w.tick(BASE + 10 * MINUTE, HALF)
    w.fold()


def more_rows_than_are_held(w: World) -> None:
    for task in (ROOT_A, ROOT_B, ROOT_C, COMPLAINS_A):
        w.append(task)
        w.fold()


def store_away_in_the_middle_of_a_batch(w: World) -> None:
    """An unwritten batch, then one that fails after its tasks have changed: at the load of an earlier window."""
    w.append(ROOT_A)
    w.fold()
    w.write()
    w.crash()
    w.append(ROOT_B)
    w.fold()
    w.append(COMPLAINS_A, Spec("root", "c", at=-MINUTE))
    w.fold(1, [NOTHING, Meanwhile(fails=True)])


def former_owner_writes_between_windows_and_tasks(w: World) -> None:
    """The loads: the tasks not held, none; windows, if they are loaded first; the frontier; open tasks; tasks."""
    w.append(ROOT_A)
    w.append(ROOT_B)
    w.fold()
    w.write()
    w.fold()
    w.rebalance()
    w.fold(1, [NOTHING, NOTHING, Meanwhile(write=100)])


def former_owner_writes_a_new_minute_between_the_loads(w: World) -> None:
    """Its window of the first minute, then, while the next owner loads, the first one of another and its task."""
    w.append(ROOT_A)
    w.fold()
    w.write()
    w.append(COMPLAINS_A, Spec("root", "b", at=MINUTE), Spec("satisfied", "a"))
    w.append(Spec("root", "c", at=MINUTE))
    w.fold()
    w.rebalance()
    w.zombie_write(4)
    w.fold(2, [NOTHING, NOTHING, NOTHING, NOTHING, Meanwhile(write=3)])


def former_owner_is_ahead(w: World) -> None:
    """The owner holds a window; a former one writes it, with a task in it that the owner then loads on a miss."""
    w.append(ROOT_A)
    w.fold()
    w.write()
    w.rebalance()
    w.append(COMPLAINS_A)
    w.fold()
    w.append(ROOT_B)
    w.zombie_fold(2)
    w.zombie_write()
    w.fold()


def former_owner_gives_up_between_the_loads(w: World) -> None:
    """One clock gives up a task in each of two minutes. The later minute is written, and its seq is the frontier.

    Loads: the tasks not held, none; the frontier; open tasks; tasks; those that are due; tasks and windows beyond us;
    the newest minute; a window.
    The rest is written before the next one, of the earlier minute; or when that is loaded, and those that are due next.
    """
    w.append(STEP_A, Spec("step", "c", at=MINUTE))
    w.fold()
    w.write()
    w.append(Spec("root", "d", at=MINUTE), ROOT_B)
    w.tick(BASE + MINUTE, HALF)
    w.fold(2)
    w.rebalance()
    w.zombie_write(3)
    w.fold(2, [*[NOTHING] * 8, Meanwhile(write=100)])


def known_event_of_a_task_that_waits_in_the_store(w: World) -> None:
    w.append(STEP_A)
    w.fold()
    w.write()
    w.crash()
    w.append(Again(0))
    w.tick(BASE + MINUTE, HALF)
    w.fold()
    w.fold()


RULES = {
    "raw events are written first": Rule(mutants.EVENTS_LAST, crash_after_two_lines),
    "windows are written before tasks": Rule(mutants.TASKS_BEFORE_WINDOWS, crash_after_two_lines),
    "Kafka has what is sent on before anything is written": Rule(mutants.FORWARDS_LAST, crash_before_the_link_is_told),
    "dead letters are written before the rows that lack their events": Rule(
        mutants.DEAD_LETTERS_LAST, crash_before_the_envelope_of_a_full_task, room=1
    ),
    "a window takes a change once": Rule(mutants.NoFenceOnWindows, crash_after_two_lines),
    "a clock does not touch a row beyond it": Rule(mutants.NoFenceOnTasks, replayed_clock),
    "tasks are loaded before windows": Rule(mutants.WindowsBeforeTasks, former_owner_writes_between_windows_and_tasks),
    "which windows are new is known after the tasks are loaded": Rule(
        mutants.NewestWindowBeforeTasks, former_owner_writes_a_new_minute_between_the_loads
    ),
    "what a clock may give up is loaded before windows": Rule(
        mutants.LoadsAtTheClock, former_owner_gives_up_between_the_loads
    ),
    "an open task that is brought in is watched": Rule(
        mutants.WatchesOnlyWhatChanges, known_event_of_a_task_that_waits_in_the_store
    ),
    "a row that is ahead means another owner": Rule(mutants.TakesRowsAhead, former_owner_is_ahead),
    "what one clock does to a window is applied at once": Rule(mutants.OneByOneAtAClock, two_given_up_at_once),
    "up to the frontier events are applied one by one": Rule(mutants.IgnoresTheFrontier, crash_within_the_windows),
    "what was folded is written before all is loaded afresh": Rule(
        mutants.LoadsUnsettled, store_away_in_the_middle_of_a_batch
    ),
    "open tasks are always in memory": Rule(mutants.ForgetsOpenTasks, crash_with_a_task_open),
    "an open task that left memory is still watched": Rule(
        mutants.ForgetsIdleTasks, more_open_tasks_than_are_held, keep=1
    ),
    "rows stay in memory until they are written": Rule(mutants.EvictsUnwritten, more_rows_than_are_held, keep=1),
    "a task knows the events of its row, not later ones": Rule(mutants.KnowsLaterEvents, crash_after_the_event),
}


@pytest.mark.parametrize("name", RULES)
def test_the_schedule_is_right_with_the_rule_and_wrong_without(name: str) -> None:
    rule = RULES[name]
    whole = World(rule.keep, most=rule.room)
    rule.scenario(whole)
    whole.finish()
    broken = (
        World(rule.keep, fold=rule.broken, most=rule.room)
        if isinstance(rule.broken, type)
        else World(rule.keep, order=rule.broken, most=rule.room)
    )
    with pytest.raises(AssertionError):
        _run(rule.scenario, broken)


def _run(scenario: Scenario, world: World) -> None:
    scenario(world)
    world.finish()


# --- schedules that once went wrong --------------------------------------------------------------


def test_a_batch_that_the_store_interrupts_is_folded_once_when_it_comes_again() -> None:
    _run(store_away_in_the_middle_of_a_batch, World(100))


@pytest.mark.parametrize("batch", [1, 2])
def test_a_clock_that_comes_again_does_not_lose_sight_of_a_task_beyond_it(batch: int) -> None:
    world = World()
    replayed_clock(world, batch)
    world.finish()


@pytest.mark.parametrize("told", [4, 1])
def test_a_task_whose_workflow_becomes_known_is_given_up_by_that_workflows_patience(told: int) -> None:
    """It was watched by the patience of another workflow, or of none, and that was longer."""
    world = World()
    policy = 10 * MINUTE, {"w": HALF}
    world.append(Spec("step", told=told, at=SECOND))
    world.tick(BASE, *policy)
    world.append(Spec("step"), received=BASE)
    world.tick(BASE + MINUTE, *policy)
    for _ in range(4):
        world.fold()
    world.finish()


@pytest.mark.parametrize("events", [("step", "setup says success"), ("setup says success", "step")])
def test_a_preparation_that_states_the_outcome_finishes_the_task_wherever_it_comes(events: tuple[str, str]) -> None:
    world = World()
    world.append(*(Spec(name) for name in events))
    world.finish()
    (row,) = world.store.task_rows.values()
    assert row.status == "finished"


def test_an_event_that_was_counted_twice_as_it_was_told_differently_goes_on_under_one_id() -> None:
    """By an owner that knew its id no more. The task that it goes on to takes the first telling."""
    trace = TASKS[-1]
    world = World()
    world.append(Spec("verdict failure", trace), Again(0, told_as=Spec("costs no model", trace)))
    world.count_twice(1)
    assert world.damaged
    world.append(Spec("other link", trace))
    world.fold()
    world.finish()


# --- what the world itself must be able to show --------------------------------------------------


def test_the_first_of_two_tellings_of_an_event_counts() -> None:
    world = World()
    world.append(ROOT_A, Again(0, told_as=Spec("root says failure", "a")))
    world.finish()
    (row,) = world.store.task_rows.values()
    assert (row.claim, row.events) == ("success", 2)
