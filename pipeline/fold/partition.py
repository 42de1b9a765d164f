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

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence

from pipeline.fold.facts import Change, facts, window_of
from pipeline.fold.held import Ahead, Held, Keep
from pipeline.fold.message import Arrived, Batch, Message, Repair
from pipeline.fold.repair import Repairs
from pipeline.fold.task import Task
from schemas.event import EVENTS_PER_MESSAGE, FORWARDED, Event, forwarded
from schemas.rows import Envelope, TaskRow, WindowKey, WindowRow
from schemas.words import Kind, TaskStatus
from sinks.port import Snapshot, Store, Stored, Surplus
from sinks.raw import raw_row

_OPEN, _LINK = TaskStatus.OPEN.value, Kind.LINK
KEEP = Keep(closed=100_000, open=100_000, windows=100_000)
TASK_EVENTS = 100_000
"""As `limits.task_events`, for who has no configuration."""


class PartitionFold(Held):
    """The fold of one partition. Not thread-safe; `fold` and `written` may come from different threads."""

    def __init__(
        self,
        partition: int,
        store: Store,
        *,
        next_offset: int = 0,
        epoch: int = 0,
        keep: Keep = KEEP,
        task_events: int = TASK_EVENTS,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        """`next_offset`: of the first message to come. `settled` returns when every snapshot so far is written.

        `task_events`: a task has room for so many (`Task.has_room`).
        """
        super().__init__(partition, store, epoch, next_offset, keep)
        self._settled, self._task_events = settled, task_events

    # --- what its owner calls ---------------------------------------------------------------------

    def fold(self, batch: Batch, asked: Collection[str] = (), found: Collection[Stored] = ()) -> Snapshot:
        """Apply messages and return what must be written before they are acked.

        `asked`: what `unheld` said; `found`: those of them that the store has. It is not asked for them again. What
        the store raises comes through; the same call may be made again.
        """
        while True:
            fresh = not self._loaded
            try:
                if fresh:
                    self._settled()
                    self._start_afresh()
                return self._apply(batch, fresh, *(((), ()) if fresh else (asked, found)))
            except Ahead:
                self._forget()
            except BaseException:
                self._forget()  # a part of the batch is in the rows
                raise

    def unheld(self, batch: Batch) -> list[str]:
        """The tasks of a batch that are to be asked for; none before anything is loaded. Makes room for them."""
        self._evict()
        return self._missing(batch.task_ids) if self._loaded else []

    # --- applying ---------------------------------------------------------------------------------

    def _apply(self, batch: Batch, fresh: bool, asked: Collection[str], found: Collection[Stored]) -> Snapshot:
        self._fresh = fresh
        self._refused: list[int] = []
        self._forwards: list[Event] = []
        self._surplus: list[Surplus] = []
        self._dirty_tasks: dict[str, Task] = {}
        self._dirty_windows: dict[WindowKey, WindowRow] = {}
        self._changes: dict[WindowKey, Change] = {}
        self._unsettled: dict[str, WindowKey | None] = {}
        self._load_tasks(batch.task_ids, fresh, asked, found)
        self._load_due(batch.messages, fresh)
        self._load_repairs(batch.messages, fresh)
        if fresh:  # after the tasks: a window that one of them feeds must not be taken for new
            if self.frontier > self.position:
                self._load_tasks_beyond()
                self._load_windows_beyond()
            self._newest_window = self._store.newest_window(self.partition) if self._is_stored else -1
        if batch.messages and batch.messages[0].first <= self.frontier:
            self._apply_one_by_one(batch.messages)
        else:
            for run, control in batch.runs:
                for task_id, arrived in run.items():
                    if task_id:
                        self._arrive(self._tasks[task_id], arrived)
                if control is not None:
                    self._obey(control)
        self._settle()
        self._watch_changed()
        if batch.messages:
            self.position = batch.messages[-1].last
        return self._snapshot(batch.messages)

    def _apply_one_by_one(self, messages: Sequence[Message]) -> None:
        for message in messages:
            for task_id, (first, received, events) in message.arrivals():
                for seq, event in enumerate(events, first):
                    if task_id:
                        self._event(self._tasks[task_id], seq, received, event)
                        self._settle()
            self._obey(message)
            self._settle()

    def _obey(self, control: Message) -> None:
        if control.clock is not None:
            self._tick(control)
        if control.repair is not None:
            self._settle()
            self._repair(control.repair, control.first)

    def _arrive(self, task: Task, arrived: Sequence[Arrived]) -> None:
        """Apply events of one task: those of a run of actions at once, while it is open."""
        row, place = task.row, (0, 0)
        while place[0] < len(arrived):
            before, seq = place, row.seq
            if row.status == _OPEN and task.placed is None and row.task_id not in self._unsettled:
                place = task.apply_actions(arrived, place, self._refused, self._task_events)
                if row.seq != seq:
                    self._dirty_tasks[row.task_id] = task
            if place == before:
                which, index = place
                first, received, events = arrived[which]
                self._event(task, first + index, received, events[index])
                place = (which, index + 1) if index + 1 < len(events) else (which + 1, 0)

    def _event(self, task: Task, seq: int, received: int, event: Event) -> None:
        row, kind = task.row, event.kind
        if seq <= row.seq:
            self._refused.append(seq)
            return
        if row.linked_to and kind != _LINK and FORWARDED not in event.attributes:
            row.seq = seq
            row.passed_on += 1
            self._dirty_tasks[row.task_id] = task
            self._refused.append(seq)
            self._forward(event, row.linked_to)
            return
        if len(task.ids) >= self._task_events and not task.has_room(event, self._task_events):
            self._refused.append(seq)
            self._surplus.append(Surplus(self.partition, seq, received, event, row.seq))
            return
        if not task.apply(event, seq, received):
            self._refused.append(seq)
            return
        if kind == _LINK and row.linked_to:
            for kept in task.kept:
                self._forward(kept, row.linked_to)
            task.kept = []
        self._touched(task, seq)

    def _forward(self, event: Event, task_id: str) -> None:
        self._forwards.append(forwarded(event, task_id))

    def _touched(self, task: Task, seq: int) -> None:
        """Note a changed task; if it has left a window, take its contribution out of there at once."""
        row, placed = task.row, task.placed
        self._dirty_tasks[row.task_id] = task
        key = window_of(row)
        if key is None and placed is None and row.task_id not in self._unsettled:
            return
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

    def _tick(self, message: Message) -> None:
        """Give up the open tasks whose deadline has passed by a clock message."""
        clock, seq, received = message.clock, message.first + message.events, message.received
        if clock is None:
            return
        self._watch_changed()
        not_yet: list[TaskRow] = []
        for task_id in self._waiting.take_held(clock):
            task = self._tasks.get(task_id)
            if task is None or task.row.status != _OPEN:
                continue
            row = task.row
            if seq <= row.seq or row.last_seen > clock.silent_since(row.workflow):
                not_yet.append(row)
            else:
                row.status, row.seq, row.given_up_seen = TaskStatus.ABANDONED.value, seq, received
                self._touched(task, seq)
        for row in not_yet:
            self._waiting.watch(row)

    def _watch_changed(self) -> None:
        """Watch the open tasks that the batch has changed so far: at each clock, and at the end."""
        for task in self._dirty_tasks.values():
            if task.row.status == _OPEN:
                self._waiting.watch(task.row)

    # --- what came of it --------------------------------------------------------------------------

    def _snapshot(self, messages: Sequence[Message]) -> Snapshot:
        partition, epoch = self.partition, self.epoch
        for task in self._dirty_tasks.values():
            task.conclude()
            self._note_status(task)
        refused: defaultdict[int, set[int]] = defaultdict(set)
        for seq in self._refused:
            refused[seq // EVENTS_PER_MESSAGE].add(seq % EVENTS_PER_MESSAGE)
        return Snapshot(
            events=[
                raw_row(partition, epoch, m.offset, m.pieces, m.text, refused.get(m.offset, ()))
                for m in messages
                if m.events > len(refused.get(m.offset, ()))
            ],
            windows=[window.line(partition, epoch) for window in self._dirty_windows.values()],
            tasks=[task.row.line() for task in self._dirty_tasks.values()],
            envelopes=[_envelope(partition, epoch, m) for m in messages],
            forwards=self._forwards,
            surplus=self._surplus,
        )


def _envelope(partition: int, epoch: int, m: Message) -> bytes:
    return Envelope(partition, epoch, m.offset, m.received, m.events, int(m.clock is not None), m.dead).line()
