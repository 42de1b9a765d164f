"""The rows of a partition that are in memory: how they come there, and when they leave.

A row that a miss brings in ahead of our own position was written by another owner. What is held may be behind it, so
everything is forgotten and loaded again, tasks before windows. What was stored ahead of us before we came is brought
in with the first batch, so that it is not taken for that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from pipeline.fold.facts import empty_window, facts
from pipeline.fold.message import Clock, Message
from pipeline.fold.task import Task, rebuild
from pipeline.fold.waiting import Waiting
from schemas.event import EVENTS_PER_MESSAGE
from schemas.rows import TaskRow, WindowKey, WindowRow
from schemas.words import TaskStatus
from sinks.port import OpenTasks, Store, Stored

_OPEN = TaskStatus.OPEN.value
ROWS_AT_ONCE = 10_000
"""Rows that are asked for in one query, when a clock gives up very many or very many are beyond us."""


class Ahead(Exception):
    """A stored row is further than we are: another owner has written it."""


class Keep(NamedTuple):
    """How many rows of a partition stay in memory when they are written."""

    closed: int
    open: int
    windows: int


class Held:
    """Tasks and windows of one partition, and the open tasks that wait in the store."""

    def __init__(self, partition: int, store: Store, epoch: int, next_offset: int, keep: Keep) -> None:
        self.partition, self.epoch, self._store, self._keep = partition, epoch, store, keep
        self.position = next_offset * EVENTS_PER_MESSAGE - 1
        """`seq` up to which the log is in the rows."""
        self.durable = self.position
        """`seq` up to which they are written."""
        self._forget()

    def written(self, position: int) -> None:
        """Every snapshot up to `position` is durable: rows up to there may leave memory."""
        self.durable = max(self.durable, position)

    def _forget(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._open: dict[str, None] = {}  # the last touched last
        self._closed: dict[str, None] = {}  # those that are not open, in the same order
        self._windows: dict[WindowKey, WindowRow] = {}
        self._waiting = Waiting()
        self._loaded = False
        self.frontier = self._newest_window = -1

    def _start_afresh(self) -> None:
        self._forget()
        self.frontier = self._store.frontier(self.partition)
        stored = self._store.open_tasks(self.partition) if self._is_stored else ()
        self._check(stored, fresh=True)
        self._waiting = Waiting(stored)
        self._loaded = True

    @property
    def _is_stored(self) -> bool:
        """Whether anything of the partition was stored when we came; else there is nothing to ask for."""
        return self.frontier >= 0

    def _missing(self, task_ids: Iterable[str]) -> list[str]:
        """Those that are not here, or without their evidence."""
        held = self._tasks
        return [task_id for task_id in task_ids if (task := held.get(task_id)) is None or not task.evidence]

    def _load_tasks(
        self, task_ids: Iterable[str], fresh: bool, asked: Collection[str], found: Collection[Stored]
    ) -> None:
        """Bring in the tasks that a batch touches, each with its evidence."""
        tasks, missing = self._tasks, self._missing(task_ids)
        unasked = set(missing).difference(asked) if self._is_stored or not fresh else ()
        for row, told in [*found, *(self._store.stored({self.partition: unasked}) if unasked else ())]:
            held = tasks.get(row.task_id)
            if held is None:
                self._check([row], fresh)
            elif row.seq > held.row.seq:
                raise Ahead
            self._hold(rebuild(row if held is None else held.row, told))
        for task_id in missing:
            if task_id not in tasks:
                tasks[task_id] = Task(TaskRow(self.partition, self.epoch, task_id))

    def _load_tasks_beyond(self) -> None:
        """Bring in what was stored beyond us before we came: what is found so later, another owner has written.

        Of very many only the first; who misses one of the others loads afresh, from further on.
        """
        rows = self._store.tasks_beyond(self.partition, self.position, ROWS_AT_ONCE)
        self._check(rows, fresh=True)
        for row in rows:
            if row.task_id not in self._tasks:
                self._hold(Task(row, evidence=False))

    def _load_windows_beyond(self) -> None:
        rows = self._store.windows_beyond(self.partition, self.position, ROWS_AT_ONCE)
        self._check(rows, fresh=True)
        self._windows.update((row.key, row) for row in rows)

    def _load_due(self, messages: Sequence[Message], fresh: bool) -> None:
        """Bring in the tasks that a clock of the batch may give up. For that their rows are enough."""
        due = [i for m in messages if m.clock for i in self._due(m.clock)]
        for start in range(0, len(due), ROWS_AT_ONCE):
            rows = self._store.tasks(self.partition, due[start : start + ROWS_AT_ONCE])
            self._check(rows, fresh)
            for row in rows:
                self._hold(Task(row, evidence=False))

    def _due(self, clock: Clock) -> list[str]:
        """Those that a clock may give up and that are not here."""
        due = [task_id for task_id in self._waiting.take_stored(clock) if task_id not in self._tasks]
        for task_id in self._waiting.take_held(clock):
            task = self._tasks.get(task_id)
            if task is None:
                due.append(task_id)
            elif task.row.status == _OPEN:
                self._waiting.watch(task.row)
        return due

    def _hold(self, task: Task) -> None:
        task.placed = facts(task.row)
        self._tasks[task.row.task_id] = task
        self._note_status(task)
        if task.row.status == _OPEN:
            self._waiting.watch(task.row)

    def _note_status(self, task: Task) -> None:
        task_id = task.row.task_id
        self._open.pop(task_id, None)
        self._closed.pop(task_id, None)
        if task.row.status == _OPEN:
            self._open[task_id] = None
        else:
            self._closed[task_id] = None
            self._waiting.leave(task_id)

    def _load_windows(self, keys: Iterable[WindowKey], fresh: bool) -> None:
        """Bring in windows. One of a later minute than any that was stored or has left memory is new."""
        missing = [key for key in keys if key not in self._windows]
        asked = [key for key in missing if key.minute <= self._newest_window]
        if asked:
            rows = self._store.windows(self.partition, asked)
            self._check(rows, fresh)
            self._windows.update((row.key, row) for row in rows)
        for key in missing:
            if key not in self._windows:
                self._windows[key] = empty_window(key)

    def _check(self, rows: Iterable[TaskRow | WindowRow | OpenTasks], fresh: bool) -> None:
        allowed = max(self.position, self.frontier) if fresh else self.position
        if any(row.seq > allowed for row in rows):
            raise Ahead

    def _evict(self) -> None:
        """Drop rows that are too many and written: the tasks longest idle first. Open ones are still watched."""
        for tasks, keep in ((self._closed, self._keep.closed), (self._open, self._keep.open)):
            for task_id in list(islice(tasks, max(0, len(tasks) - keep))):
                if self._tasks[task_id].row.seq <= self.durable:
                    del self._tasks[task_id], tasks[task_id]
        excess = len(self._windows) - self._keep.windows
        if excess > 0:
            unused = [key for key, window in self._windows.items() if window.seq <= self.durable]
            for key in unused[: excess + self._keep.windows // 5]:
                del self._windows[key]
                self._newest_window = max(self._newest_window, key.minute)
