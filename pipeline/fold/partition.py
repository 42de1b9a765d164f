"""One partition's fold: messages in, a snapshot of changed rows out.

Three facts make a replay, a crash between any two writes, and a stale owner harmless:

- a row is a function of a prefix of the log, and knows how far (`seq`): an event is applied to a row
  only if it lies beyond (the fence);
- up to the `frontier`, the greatest seq that any stored row has, rows may be ahead of us and of one
  another, so events are applied one by one; beyond it a whole batch is applied at once;
- a row that a miss brings in ahead of our own position was written by another owner. What we hold may
  be behind it, so everything is forgotten and loaded again, tasks before windows.

Only finished and abandoned tasks are in a window, so the events of an open task touch no window.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice

from pipeline.fold.facts import Change, empty_window, facts, window_of
from pipeline.fold.message import Arrived, Clock, Message, Repair, task_ids
from pipeline.fold.repair import Repairs
from pipeline.fold.task import Task, rebuild
from schemas.event import EVENTS_PER_MESSAGE, FORWARDED, Event, encode_line, forwarded
from schemas.rows import Envelope, TaskRow, WindowKey, WindowRow
from schemas.words import Kind, TaskStatus
from sinks.memory import raw_head
from sinks.port import Snapshot, Store

_OPEN, _LINK = TaskStatus.OPEN.value, Kind.LINK


class _Ahead(Exception):
    """A stored row is further than we are: another owner has written it."""


class PartitionFold:
    """The state of one partition. Not thread-safe; `fold` and `written` may come from different threads."""

    def __init__(
        self,
        partition: int,
        store: Store,
        *,
        next_offset: int = 0,
        epoch: int = 0,
        keep: int = 100_000,
        keep_windows: int | None = None,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        """`next_offset`: of the first message to come. `keep`: closed tasks held in memory; windows, as many
        unless `keep_windows` says otherwise.
        `settled` returns when every snapshot taken so far is written."""
        self.partition, self.epoch, self._store = partition, epoch, store
        self._keep, self._settled = keep, settled
        self.position = next_offset * EVENTS_PER_MESSAGE - 1
        self.durable = self.position
        self._head = raw_head(partition, epoch)
        self._looked_at: tuple[Sequence[Message], dict[str, None]] = (), {}  # of `unheld`, and their tasks
        self._keep_windows = keep if keep_windows is None else keep_windows
        self._forget()

    # --- what its owner calls ---------------------------------------------------------------------

    def fold(self, messages: Sequence[Message], new: Collection[str] = ()) -> Snapshot:
        """Apply messages in the order of their offsets and return what must be written before they are acked.

        `new`: tasks of `unheld` that the store does not have; it is not asked for them again. What the store
        raises comes through; the same call may be made again.
        """
        self._evict()
        while True:
            fresh = not self._loaded
            try:
                if fresh:
                    self._settled()
                    self._start_afresh()
                return self._apply(messages, fresh, () if fresh else new)
            except _Ahead:
                self._forget()
            except BaseException:
                self._forget()  # a part of the batch is in the rows
                raise

    def unheld(self, messages: Sequence[Message]) -> list[str]:
        """The tasks of these messages that are not in memory; none before anything is loaded."""
        if not self._loaded:
            return []
        self._looked_at = messages, task_ids(messages)
        return [task_id for task_id in self._looked_at[1] if task_id not in self._tasks]

    def written(self, position: int) -> None:
        """Every snapshot up to `position` is durable: rows up to there may leave memory."""
        self.durable = max(self.durable, position)

    def open_tasks(self) -> int:
        """How many tasks are open."""
        return sum(task.row.status == TaskStatus.OPEN for task in self._tasks.values())

    # --- loading ----------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._closed: dict[str, None] = {}  # those that are not open, the last touched last
        self._windows: dict[WindowKey, WindowRow] = {}
        self._due: list[tuple[int, str]] = []
        self._watched: dict[str, int] = {}
        self._policy: Clock | None = None
        self._loaded = False
        self.frontier = self._newest_window = -1

    def _start_afresh(self) -> None:
        self._forget()
        self.frontier = self._store.frontier(self.partition)
        rows = list(self._store.open_tasks(self.partition))
        self._check(rows, fresh=True)
        self._tasks = {row.task_id: Task(row, evidence=False) for row in rows}
        self._loaded = True

    def _load_tasks(self, task_ids: Iterable[str], fresh: bool, new: Collection[str] = ()) -> None:
        """Bring in the tasks that a batch touches, each with its evidence."""
        tasks = self._tasks
        missing = [task_id for task_id in task_ids if task_id not in tasks]
        asked = [task_id for task_id in missing if task_id not in new] if new else missing
        rows = self._store.tasks(self.partition, asked) if asked else []
        self._check(rows, fresh)
        rows += [tasks[i].row for i in task_ids if i in tasks and not tasks[i].evidence]
        if rows:
            upto = {row.task_id: row.seq for row in rows}
            events = self._store.events(self.partition, upto)
            for row in rows:
                task = rebuild(row, events.get(row.task_id, ()))
                task.placed = facts(task.row)
                tasks[row.task_id] = task
                self._note_status(task)
        for task_id in missing:
            if task_id not in tasks:
                tasks[task_id] = Task(TaskRow(self.partition, self.epoch, task_id))

    def _note_status(self, task: Task) -> None:
        self._closed.pop(task.row.task_id, None)
        if task.row.status != _OPEN:
            self._closed[task.row.task_id] = None

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

    def _check(self, rows: Iterable[TaskRow | WindowRow], fresh: bool) -> None:
        allowed = max(self.position, self.frontier) if fresh else self.position
        if any(row.seq > allowed for row in rows):
            raise _Ahead

    def _evict(self) -> None:
        """Drop rows that are too many and written: of tasks those that are not open, the longest idle first."""
        excess = len(self._closed) - self._keep
        for task_id in list(islice(self._closed, max(0, excess))):
            if self._tasks[task_id].row.seq <= self.durable:
                del self._tasks[task_id], self._closed[task_id]
        if len(self._windows) > self._keep_windows:
            unused = [key for key, window in self._windows.items() if window.seq <= self.durable]
            for key in unused[: len(self._windows) - self._keep_windows + self._keep_windows // 5]:
                del self._windows[key]
                self._newest_window = max(self._newest_window, key.minute)

    # --- applying ---------------------------------------------------------------------------------

    def _apply(self, messages: Sequence[Message], fresh: bool, new: Collection[str]) -> Snapshot:
        self._fresh = fresh
        self._new_lines: list[bytes] = []
        self._forwards: list[tuple[str, bytes]] = []
        self._dirty_tasks: dict[str, Task] = {}
        self._dirty_windows: dict[WindowKey, WindowRow] = {}
        self._changes: dict[WindowKey, Change] = {}
        self._unsettled: dict[str, WindowKey | None] = {}
        looked_at, ids = self._looked_at
        self._load_tasks(ids if looked_at is messages else task_ids(messages), fresh, new)
        self._load_repairs(messages, fresh)
        if fresh:  # after the tasks: a window that one of them feeds must not be taken for new
            self._newest_window = self._store.newest_window(self.partition)
        waiting: defaultdict[str, list[Arrived]] = defaultdict(list)
        for message in messages:
            seq = message.first
            if seq <= self.frontier:
                for event, tail in zip(message.events, message.tails, strict=True):
                    self._arrive(event.task_id, [(seq, message.received, event, tail)])
                    self._settle()
                    seq += 1
            else:
                message.sort_into(waiting)
                seq += len(message.events)
            if message.clock is not None:
                self._arrive_all(waiting)
                self._tick(message.clock, seq, message.received)
                if seq <= self.frontier:
                    self._settle()
            if message.repair is not None:
                self._arrive_all(waiting)
                self._settle()
                self._repair(message.repair, seq)
        self._arrive_all(waiting)
        self._settle()
        self._watch_changed()
        self._looked_at = (), {}
        if messages:
            self.position = messages[-1].last
        return self._snapshot(messages)

    def _arrive_all(self, waiting: dict[str, list[Arrived]]) -> None:
        """Apply events task by task: one does not depend on another, and what is at hand is quick to reach."""
        for task_id, arrived in waiting.items():
            self._arrive(task_id, arrived)
        waiting.clear()

    def _arrive(self, task_id: str, arrived: list[Arrived]) -> None:
        """Apply events of one task: those of a run of actions at once, while it is open."""
        if not task_id:
            self._keep_lines(arrived)
            return
        task = self._tasks[task_id]
        row, following = task.row, 0
        while following < len(arrived):
            new: list[Arrived] = []
            before = following
            if row.status == _OPEN and task.placed is None and task_id not in self._unsettled:
                new, following = task.apply_actions(arrived, following)
            if new:
                self._keep_lines(new)
                self._dirty_tasks[task_id] = task
            if following == before:
                self._event(task, arrived[following])
                following += 1

    def _event(self, task: Task, arrived: Arrived) -> None:
        seq, received, event, _ = arrived
        row, kind = task.row, event.kind
        if seq <= row.seq:
            return
        if row.linked_to and kind != _LINK and FORWARDED not in event.attributes:
            row.seq = seq
            row.passed_on += 1
            self._dirty_tasks[row.task_id] = task
            self._forward(event, row.linked_to)
            return
        if not task.apply(event, seq, received):
            return
        if kind == _LINK and row.linked_to:
            for kept in task.kept:
                self._forward(kept, row.linked_to)
            task.kept = []
        self._keep_lines((arrived,))
        self._touched(task, seq)

    def _keep_lines(self, arrived: Iterable[Arrived]) -> None:
        head = self._head
        self._new_lines += [head % seq + tail for seq, _, _, tail in arrived]

    def _forward(self, event: Event, task_id: str) -> None:
        self._forwards.append((task_id, encode_line(forwarded(event, task_id))))

    def _touched(self, task: Task, seq: int) -> None:
        """Note a changed task; if it has left a window, take its contribution out of there at once."""
        row, placed = task.row, task.placed
        self._dirty_tasks[row.task_id] = task
        if row.status == _OPEN and placed is None and row.task_id not in self._unsettled:
            return
        key = window_of(row)
        old = self._unsettled.get(row.task_id, placed.key if placed else None)
        if old is not None and old != key:
            change = self._change(old, seq)
            if placed is not None:
                change.add(placed, -1)
                task.placed = None
        self._unsettled[row.task_id] = key

    def _change(self, key: WindowKey, seq: int) -> Change:
        change = self._changes.get(key)
        if change is None:
            change = self._changes[key] = Change()
        change.seq = max(change.seq, seq)
        return change

    def _settle(self) -> None:
        """Bring the windows up to the tasks. A window's changes are gathered, then applied once."""
        for task_id, key in self._unsettled.items():
            task = self._tasks[task_id]
            task.conclude()
            now = facts(task.row)
            if key is not None and now is not None:
                change = self._change(key, task.row.seq)
                if task.placed is not None:
                    change.add(task.placed, -1)
                change.add(now, 1)
            task.placed = now
        self._unsettled.clear()
        if not self._changes:
            return
        self._load_windows(self._changes, self._fresh)
        for key, change in self._changes.items():
            window = self._windows[key]
            if change.apply(window):
                self._dirty_windows[key] = window
        self._changes.clear()

    # --- repair -----------------------------------------------------------------------------------

    def _load_repairs(self, messages: Sequence[Message], fresh: bool) -> None:
        """Make the tasks that are to be repaired anew, before any window is loaded. What was folded must be stored."""
        self._repairs = Repairs([m for m in messages if m.repair is not None])
        if self._repairs:
            self._settled()
            received = {m.offset: m.received for m in messages}
            self._check(self._repairs.load(self._store, self.partition, self._tasks, self.position, received), fresh)

    def _repair(self, repair: Repair, seq: int) -> None:
        """From here on the tasks and windows that it names are what the raw events say."""
        self._dirty_tasks.update(self._repairs.tasks(repair, self._tasks, seq))
        self._load_windows(repair.windows, self._fresh)
        made = self._repairs.windows(repair, self._windows, self._tasks, seq)
        self._windows.update(made)
        self._dirty_windows.update(made)

    # --- time -------------------------------------------------------------------------------------

    def _tick(self, clock: Clock, seq: int, received: int) -> None:
        """Give up the open tasks whose deadline has passed."""
        policy = self._policy
        if policy is None or (policy.abandon_after, policy.by_workflow) != (
            clock.abandon_after,
            clock.by_workflow,
        ):
            self._due, self._watched, self._policy = [], {}, clock
            for task in self._tasks.values():
                if task.row.status == TaskStatus.OPEN:
                    self._watch(clock, task.row)
        self._watch_changed()
        not_yet: list[TaskRow] = []
        while self._due and self._due[0][0] <= clock.at:
            deadline, task_id = heapq.heappop(self._due)
            if self._watched.get(task_id) != deadline:
                continue
            del self._watched[task_id]
            waiting = self._tasks.get(task_id)
            if waiting is None or waiting.row.status != TaskStatus.OPEN:
                continue
            if seq <= waiting.row.seq or clock.deadline(waiting.row) > clock.at:
                not_yet.append(waiting.row)
            else:
                waiting.row.status, waiting.row.seq = TaskStatus.ABANDONED.value, seq
                waiting.row.given_up_seen = received
                self._touched(waiting, seq)
        for row in not_yet:
            self._watch(clock, row)

    def _watch_changed(self) -> None:
        """Watch the open tasks that the batch has changed so far: at each clock, and at the end."""
        if self._policy is not None:
            for task in self._dirty_tasks.values():
                if task.row.status == _OPEN:
                    self._watch(self._policy, task.row)

    def _watch(self, policy: Clock, row: TaskRow) -> None:
        """Look at a task when its deadline has come; another workflow can make that sooner than it was."""
        deadline = policy.deadline(row)
        watched = self._watched.get(row.task_id)
        if watched is None or deadline < watched:
            self._watched[row.task_id] = deadline
            heapq.heappush(self._due, (deadline, row.task_id))

    # --- what came of it --------------------------------------------------------------------------

    def _snapshot(self, messages: Sequence[Message]) -> Snapshot:
        partition, epoch = self.partition, self.epoch
        for task in self._dirty_tasks.values():
            task.conclude()
            self._note_status(task)
        return Snapshot(
            events=self._new_lines,
            windows=[window.line(partition, epoch) for window in self._dirty_windows.values()],
            tasks=[task.row.line() for task in self._dirty_tasks.values()],
            envelopes=[
                Envelope(partition, epoch, m.offset, m.received, len(m.events), int(m.clock is not None), m.dead).line()
                for m in messages
            ],
            forwards=self._forwards,
        )
