"""The fold with one of its rules broken, each in one place: the schedules must tell them from the real one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.fold.facts import Change
from pipeline.fold.message import Clock, Message, Repair
from pipeline.fold.partition import PartitionFold
from pipeline.fold.repair import Repairs
from pipeline.fold.task import Task
from pipeline.fold.waiting import Waiting
from schemas.rows import TaskRow, WindowKey, WindowRow
from schemas.words import TaskStatus
from sinks.port import OpenTasks

TASKS_BEFORE_WINDOWS = ("forwards", "dead_letters", "events", "tasks", "windows", "envelopes")
EVENTS_LAST = ("forwards", "dead_letters", "windows", "tasks", "envelopes", "events")
FORWARDS_LAST = ("dead_letters", "events", "windows", "tasks", "envelopes", "forwards")
DEAD_LETTERS_LAST = ("forwards", "events", "windows", "tasks", "envelopes", "dead_letters")


class _Unfenced(Change):
    def apply(self, window: WindowRow) -> bool:
        held, window.seq = window.seq, -1
        super().apply(window)
        window.seq = max(held, window.seq)
        return True


class NoFenceOnWindows(PartitionFold):
    """A change goes into a window that has it already."""

    def _change(self, key: WindowKey, seq: int) -> Change:
        self._changes.setdefault(key, _Unfenced())
        return super()._change(key, seq)


class NoFenceOnTasks(PartitionFold):
    """A clock gives up a task whose row is beyond it. (Events are known again by their ids.)"""

    def _tick(self, message: Message) -> None:
        clock = message.clock
        for task in self._tasks.values() if clock else ():
            if task.row.status == TaskStatus.OPEN and task.row.last_seen <= clock.silent_since(task.row.workflow):
                task.row.seq = min(task.row.seq, message.first - 1)
        super()._tick(message)


class WindowsBeforeTasks(PartitionFold):
    """A fresh start loads the windows, then the tasks."""

    def _start_afresh(self) -> None:
        early = self._store.windows(self.partition, self._store.keys())  # type: ignore[attr-defined]
        super()._start_afresh()
        self._windows.update((row.key, row) for row in early)

    def _load_windows_beyond(self) -> None:
        pass


class NewestWindowBeforeTasks(PartitionFold):
    """Which windows are new is decided before the tasks are loaded that feed them; very many are beyond us."""

    _early = -1

    def _load_windows_beyond(self) -> None:
        pass

    def _load_tasks(self, task_ids: Iterable[str], fresh: bool, *asked: Any) -> None:
        if fresh:
            self._early = self._store.newest_window(self.partition)
        super()._load_tasks(task_ids, fresh, *asked)

    def _load_windows(self, keys: Iterable[WindowKey], fresh: bool) -> None:
        if fresh:
            self._newest_window = self._early
        super()._load_windows(keys, fresh)


class LoadsAtTheClock(PartitionFold):
    """What a clock may give up is loaded when the clock comes, when windows are loaded already."""

    def _load_due(self, messages: Sequence[Message], fresh: bool) -> None:
        pass

    def _tick(self, message: Message) -> None:
        super()._load_due([message], self._fresh)
        super()._tick(message)


class WatchesOnlyWhatChanges(PartitionFold):
    """A task that is brought in is not watched, as if it still waited in the store."""

    def _hold(self, task: Task) -> None:
        waiting, self._waiting = self._waiting, Waiting()
        super()._hold(task)
        self._waiting = waiting


class TakesRowsAhead(PartitionFold):
    """A row that is ahead is taken as it comes."""

    def _check(self, rows: Iterable[TaskRow | WindowRow | OpenTasks], fresh: bool) -> None:
        pass


class OneByOneAtAClock(PartitionFold):
    """The changes that one clock makes to a window are applied task by task."""

    def _touched(self, task: Task, seq: int) -> None:
        super()._touched(task, seq)
        self._settle()


class IgnoresTheFrontier(PartitionFold):
    """A whole batch is applied at once, also where stored rows may be ahead of one another."""

    _allowed = -1

    def _start_afresh(self) -> None:
        super()._start_afresh()
        self._allowed, self.frontier = self.frontier, -1

    @property
    def _is_stored(self) -> bool:
        return self._allowed >= 0

    def _check(self, rows: Iterable[TaskRow | WindowRow | OpenTasks], fresh: bool) -> None:
        applied, self.frontier = self.frontier, max(self.frontier, self._allowed)
        try:
            super()._check(rows, fresh)
        finally:
            self.frontier = applied


class LoadsUnsettled(PartitionFold):
    """State is loaded afresh before what was folded so far is written."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"settled": lambda: None})


class ForgetsOpenTasks(PartitionFold):
    """Open tasks are loaded when one of their events comes, so a clock misses them."""

    def _start_afresh(self) -> None:
        super()._start_afresh()
        self._waiting = Waiting()


class ForgetsIdleTasks(PartitionFold):
    """An open task that left memory is not looked at any more."""

    def _due(self, clock: Clock) -> list[str]:
        return [task_id for task_id in super()._due(clock) if task_id not in self._left]

    def _evict(self) -> None:
        before = set(self._tasks)
        super()._evict()
        self._left = {*getattr(self, "_left", ()), *before.difference(self._tasks)}


class EvictsUnwritten(PartitionFold):
    """Rows leave memory before they are written."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.durable = 2**62


class KnowsLaterEvents(PartitionFold):
    """The ids of a task are those of all its raw events, also of those beyond its row."""

    def _load_tasks(self, task_ids: Iterable[str], fresh: bool, *asked: Any) -> None:
        wanted = [i for i in task_ids if i not in self._tasks or not self._tasks[i].evidence]
        super()._load_tasks(task_ids, fresh, *asked)
        for task_id, events in self._store.events(self.partition, dict.fromkeys(wanted, 2**62)).items():
            self._tasks[task_id].ids.update(event.hash for _, event in events)


class RepairsWhatIsBeyond(PartitionFold):
    """A repair that is read again changes rows that are beyond it."""

    def _repair(self, repair: Repair, seq: int) -> None:
        for task_id in repair.tasks:
            row = self._tasks[task_id].row
            row.seq = min(row.seq, seq - 1)
        self._load_windows(repair.windows, self._fresh)
        for key in repair.windows:
            self._windows[key].seq = min(self._windows[key].seq, seq - 1)
        super()._repair(repair, seq)


class RepairsFromMemory(PartitionFold):
    """A repair takes the tasks as they are held."""

    def _load_repairs(self, messages: Sequence[Message], fresh: bool) -> None:
        held = dict(self._tasks)
        super()._load_repairs(messages, fresh)
        self._tasks.update(held)


class RepairsUnsettled(PartitionFold):
    """A repair reads raw events before those that were folded are written."""

    def _load_repairs(self, messages: Sequence[Message], fresh: bool) -> None:
        settled, self._settled = self._settled, lambda: None
        super()._load_repairs(messages, fresh)
        self._settled = settled


class SumsWhatIsHeld(PartitionFold):
    """A window is made the sum of the tasks that happen to be in memory."""

    def _repair(self, repair: Repair, seq: int) -> None:
        self._repairs = Repairs([])
        super()._repair(repair, seq)
