"""What the fold asks its store for, and how often."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pipeline.fold import held
from schemas.rows import TaskRow
from sinks.memory import MemoryStore
from tests.fold.samples import BASE, MINUTE, Spec
from tests.fold.world import World

ROOT_A, STEP_A, STEP_B = Spec("root", "a"), Spec("step", "a"), Spec("step", "b")
HALF = MINUTE // 2


class _Asked(MemoryStore):
    """Notes the tasks of each question for rows."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []
        self.starts = 0

    def frontier(self, partition: int) -> int:
        self.starts += 1
        return super().frontier(partition)

    def tasks(self, partition: int, task_ids: Iterable[str]) -> list[TaskRow]:
        ids = list(task_ids)
        self.asked += [ids] if ids else []
        return super().tasks(partition, ids)


def _taken_over(tasks: str) -> tuple[World, _Asked]:
    """A world with these tasks open, whose owner has just come."""
    world = World()
    world.store = store = _Asked()
    world.append(*(Spec("step", task) for task in tasks))
    world.fold()
    world.write()
    world.crash()
    store.asked.clear()
    return world, store


def test_the_row_of_an_open_task_is_loaded_when_an_event_touches_it_and_not_before() -> None:
    world, store = _taken_over("abc")
    world.tick(BASE + HALF, MINUTE)
    world.append(STEP_B)
    world.fold()
    assert store.asked == []
    world.fold()
    assert store.asked == [["b"]]
    world.finish()


def test_the_rows_of_very_many_tasks_that_one_clock_gives_up_are_loaded_some_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(held, "ROWS_AT_ONCE", 2)
    world, store = _taken_over("abcde")
    world.append(STEP_A)
    world.tick(BASE + MINUTE, HALF)
    world.fold(2)
    assert list(map(sorted, store.asked)) == [["a"], ["b", "c"], ["d", "e"]]
    world.finish()
    assert {row.status for row in store.task_rows.values()} == {"abandoned"}


def test_no_more_open_tasks_are_held_than_there_is_room_for() -> None:
    world = World(keep=2)
    for number, task in enumerate("abcdefgh"):
        world.append(Spec("step", task))
        world.fold()
        world.write()
        assert len(world.owner.held) <= min(number + 1, 3)  # those of the batch come to what is kept
    world.finish()


@pytest.mark.parametrize(("at_once", "starts"), [(10_000, 1), (3, 4)])
def test_an_owner_that_is_behind_what_is_stored_loads_once_or_once_more_for_each_so_many_rows(
    monkeypatch: pytest.MonkeyPatch, at_once: int, starts: int
) -> None:
    monkeypatch.setattr(held, "ROWS_AT_ONCE", at_once)
    world = World()
    world.store = store = _Asked()
    for task in "abcde":
        world.append(Spec("root", task, at=MINUTE * ord(task)))
        world.append(Spec("step", task.upper()))
    world.fold(10)
    world.write()
    world.crash(back=10)
    store.starts = 0
    while world.owner.next_offset < len(world.log):
        world.fold(1)
        world.write()
    assert store.starts == starts
    world.finish()


def test_of_a_store_that_has_nothing_of_a_partition_nothing_more_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.append(ROOT_A, Spec("step", "b"))
    for question in ("open_tasks", "tasks", "events", "newest_window", "windows", "tasks_beyond", "windows_beyond"):
        monkeypatch.setattr(world.store, question, lambda *_: pytest.fail("asked"))
    monkeypatch.setattr(world.store, "stored", lambda ids: [pytest.fail("asked") for _ in ids.values() if _])
    world.fold(1)
    world.write()
    monkeypatch.undo()
    world.finish()
