"""Repair: tasks and windows recomputed from the raw events, at one place of their partition's log.

A row that is wrong cannot be mended behind a worker's back: what the worker holds would undo it. So a repair is a
message of the log. Of what it names, each task becomes what its raw events before the message say, and each window
the sum of what its tasks count then; both take the message's seq. From there on they are rows like all others: a
function of a prefix of the log, fenced by their seq, so that the message may be read again (decision 0009).

A task is loaded before its window, as always: of a window that is behind a repair no task can then be beyond it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pipeline.fold.facts import Change, empty_window, facts, window_of
from pipeline.fold.message import Message, Repair
from pipeline.fold.task import Task
from schemas.event import EVENTS_PER_MESSAGE, Event
from schemas.rows import TaskRow, WindowKey, WindowRow
from schemas.words import TaskStatus
from sinks.port import Store

_SEEN = ("last_seen", "claim_seen", "verdict_seen", "intervened_seen", "answered_seen")


class Repairs:
    """The repairs of one batch of messages."""

    def __init__(self, messages: Sequence[Message]) -> None:
        """`messages`: those that are repairs."""
        self._named: dict[str, int] = {}
        self._keys: set[WindowKey] = set()
        self._members: dict[str, TaskRow] = {}
        for message in messages:
            if message.repair is not None:
                self._named.update(dict.fromkeys(message.repair.tasks, message.first))
                self._keys.update(message.repair.windows)

    def __bool__(self) -> bool:
        return bool(self._named or self._keys)

    def load(
        self, store: Store, partition: int, tasks: dict[str, Task], position: int, received: Mapping[int, int]
    ) -> list[TaskRow]:
        """Make the named tasks of `tasks` anew, and return the stored rows that may be in the named windows.

        Every snapshot must have been written. `position`: up to where the log is in the tasks; `received`: the
        Kafka timestamps of the batch, by offset. A task that is beyond its repair stays as it is.
        """
        upto = {
            task_id: max(tasks[task_id].row.seq, position)
            for task_id, seq in self._named.items()
            if tasks[task_id].row.seq < seq
        }
        events = store.events(partition, upto)
        offsets = {seq // EVENTS_PER_MESSAGE for told in events.values() for seq, _ in told}
        seen = {**store.received(partition, offsets), **received}
        for task_id in upto:
            tasks[task_id] = remade(tasks[task_id].row, events[task_id], seen)
        places = {(key.workflow, key.minute) for key in self._keys}
        rows = store.closed_tasks(partition, places)
        self._members = {row.task_id: row for row in rows}
        return rows

    def tasks(self, repair: Repair, tasks: Mapping[str, Task], seq: int) -> dict[str, Task]:
        """Those that a repair at `seq` names and that it changes: all that are not beyond it already."""
        due = {i: tasks[i] for i in repair.tasks if 0 <= tasks[i].row.seq < seq}
        for task in due.values():
            task.row.seq = seq
        return due

    def windows(
        self, repair: Repair, windows: Mapping[WindowKey, WindowRow], tasks: Mapping[str, Task], seq: int
    ) -> dict[WindowKey, WindowRow]:
        """Those that it names and that are not beyond it, as what their tasks count now.

        What is in `tasks` counts before what was stored.
        """
        sums = {key: Change() for key in repair.windows if windows[key].seq < seq}
        for task in tasks.values():
            if task.placed is not None and task.placed.key in sums:
                sums[task.placed.key].add(task.placed, 1)
        for task_id, row in self._members.items():
            if task_id not in tasks and window_of(row) in sums and (part := facts(row)) is not None:
                sums[part.key].add(part, 1)
        made = {key: empty_window(key) for key in sums}
        for key, change in sums.items():
            change.seq = seq
            change.apply(made[key])
        return made


def remade(row: TaskRow, events: Iterable[tuple[int, Event]], received: Mapping[int, int]) -> Task:
    """A task from its raw events alone, whatever its row says. `received`: Kafka timestamps by offset.

    From the row comes what neither the events nor their messages tell: whether and when it was given up, what was
    passed on; and where the envelope of an event is missing, when things were seen. A row that there should not be,
    since no event tells of such a task, becomes one that counts nothing: rows cannot be taken back.
    """
    task = Task(TaskRow(row.partition, row.epoch, row.task_id))
    told = sorted(events, key=lambda each: each[0])
    for seq, event in told:
        task.apply(event, seq, received.get(seq // EVENTS_PER_MESSAGE, 0))
    task.conclude()
    made = task.row
    made.seq = max(made.seq, row.seq)
    made.passed_on, made.given_up_seen = row.passed_on, row.given_up_seen
    if any(seq // EVENTS_PER_MESSAGE not in received for seq, _ in told):
        for name in _SEEN:
            setattr(made, name, getattr(row, name))
    if row.status == TaskStatus.ABANDONED and made.status == TaskStatus.OPEN:
        made.status = TaskStatus.ABANDONED.value
    task.placed = facts(made)
    return task
