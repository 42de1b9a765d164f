"""Whatever the policy of a clock, no open task whose deadline has passed is missed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.fold import waiting
from pipeline.fold.message import Clock
from pipeline.fold.waiting import Waiting
from schemas.rows import TaskRow
from sinks.port import OpenTasks

NAMES = "abc"
moments = st.integers(0, 20)
clocks = st.builds(Clock, moments, moments, st.dictionaries(st.sampled_from("vw"), moments))


def due(tasks: dict[str, tuple[str, int]], clock: Clock) -> set[str]:
    """Of tasks by id, each with its workflow and when it was last seen, those that the clock gives up."""
    patience = clock.by_workflow
    return {i for i, (w, seen) in tasks.items() if seen + patience.get(w, clock.abandon_after) <= clock.at}


@given(st.dictionaries(st.text(), st.tuples(st.sampled_from("uvw"), moments)), st.lists(clocks))
def test_each_stored_task_is_taken_out_by_the_first_clock_that_is_past_its_deadline(
    tasks: dict[str, tuple[str, int]], passing: Sequence[Clock]
) -> None:
    of = {workflow: sorted((s, i) for i, (w, s) in tasks.items() if w == workflow) for workflow in "uvw"}
    waits = Waiting(OpenTasks(w, 0, [s for s, _ in some], [i for _, i in some]) for w, some in of.items())
    for clock in passing:
        expected = due(tasks, clock)
        assert sorted(waits.take_stored(clock)) == sorted(expected)
        tasks = {task_id: told for task_id, told in tasks.items() if task_id not in expected}


patience = st.sampled_from((0, 9))
strict = st.builds(Clock, st.integers(0, 9), st.just(9), st.fixed_dictionaries({"v": patience, "w": patience}))
opened = st.tuples(st.sampled_from(NAMES), st.sampled_from("vw"), st.integers(0, 2))
steps = strict | opened | st.sampled_from(NAMES)
"""A clock; a task that is open no more; a task that is open, of this workflow, seen so much later than before."""


@settings(max_examples=1_000, derandomize=True)
@given(st.lists(steps, min_size=5, max_size=15))
def test_no_held_task_is_missed_and_those_that_are_not_open_are_at_most_looked_at(
    passing: Sequence[Clock | str | tuple[str, str, int]],
) -> None:
    waits, tasks, newest = Waiting(), dict[str, tuple[str, int]](), dict.fromkeys(NAMES, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waiting, "LEFT", 0)
        for step in passing:
            if isinstance(step, Clock):
                taken, expected = waits.take_held(step), due(tasks, step)
                assert len(taken) == len(set(taken))
                assert expected <= set(taken)
                for task_id in set(taken) & set(tasks):
                    workflow, seen = tasks[task_id]
                    waits.watch(TaskRow(0, 0, task_id, workflow=workflow, last_seen=seen))
            elif isinstance(step, str):
                waits.leave(step)
                tasks.pop(step, None)
            else:
                task_id, workflow, later = step
                newest[task_id] += later
                tasks[task_id] = workflow, newest[task_id]
                waits.watch(TaskRow(0, 0, task_id, workflow=workflow, last_seen=newest[task_id]))


def test_tasks_that_come_and_go_take_no_more_room_than_those_that_are_open() -> None:
    waits = Waiting()
    for number in range(10 * waiting.LEFT):
        waits.watch(TaskRow(0, 0, f"{number}", workflow="w"))
        waits.leave(f"{number}")
    assert len(waits) <= waiting.LEFT + 1
