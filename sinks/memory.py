"""A store in memory: for tests of the fold, and the shortest statement of what a store does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import attrgetter

import msgspec

from schemas.event import Event
from schemas.rows import DeadLetter, Envelope, Replay, TaskRow, WindowKey, WindowRow
from schemas.units import MINUTE_US
from schemas.words import TaskStatus
from sinks.port import OpenTasks, Stored
from sinks.raw import decode_row


class MemoryStore:
    """Rows in dictionaries. Implements `sinks.port.Store`."""

    def __init__(self) -> None:
        self.raw: dict[tuple[int, str, int], tuple[int, Event]] = {}
        self.window_rows: dict[tuple[int, WindowKey], WindowRow] = {}
        self.task_rows: dict[tuple[int, str], TaskRow] = {}
        self.dead_letters: dict[tuple[str, int, int, int], DeadLetter] = {}
        self.envelopes: dict[tuple[int, int], Envelope] = {}
        self.replays: dict[tuple[str, int, int], Replay] = {}

    def write(self, table: str, lines: Sequence[bytes]) -> None:
        keep = getattr(self, f"_keep_{table}")
        for line in lines:
            keep(line)

    def _keep_events(self, line: bytes) -> None:
        row = decode_row(line)
        for seq, event in row.events():
            key = (row.partition, event.task_id, event.hash)
            if key not in self.raw or seq < self.raw[key][0]:
                self.raw[key] = (seq, event)

    def _keep_windows(self, line: bytes) -> None:
        partition, row = WindowRow.from_line(line)
        held = self.window_rows.get((partition, row.key))
        if held is None or row.seq >= held.seq:
            self.window_rows[partition, row.key] = row

    def _keep_tasks(self, line: bytes) -> None:
        row = msgspec.json.decode(line, type=TaskRow)
        held = self.task_rows.get((row.partition, row.task_id))
        if held is None or row.seq >= held.seq:
            self.task_rows[row.partition, row.task_id] = row

    def _keep_dead_letters(self, line: bytes) -> None:
        row = msgspec.json.decode(line, type=DeadLetter)
        self.dead_letters[row.topic, row.partition, row.offset, row.index] = row

    def _keep_envelopes(self, line: bytes) -> None:
        row = msgspec.json.decode(line, type=Envelope)
        self.envelopes[row.partition, row.offset] = row

    def _keep_replays(self, line: bytes) -> None:
        row = msgspec.json.decode(line, type=Replay)
        self.replays[row.topic, row.partition, row.offset] = row

    def frontier(self, partition: int) -> int:
        rows = [r.seq for (p, _), r in self.window_rows.items() if p == partition]
        return max([*rows, *(r.seq for r in self.task_rows.values() if r.partition == partition)], default=-1)

    def open_tasks(self, partition: int) -> list[OpenTasks]:
        by_workflow: defaultdict[str, list[TaskRow]] = defaultdict(list)
        for row in sorted(self.task_rows.values(), key=attrgetter("last_seen")):
            if row.partition == partition and row.status == TaskStatus.OPEN:
                by_workflow[row.workflow].append(row)
        return [
            OpenTasks(workflow, max(r.seq for r in rows), [r.last_seen for r in rows], [r.task_id for r in rows])
            for workflow, rows in by_workflow.items()
        ]

    def tasks(self, partition: int, task_ids: Iterable[str]) -> list[TaskRow]:
        found = (self.task_rows.get((partition, task_id)) for task_id in task_ids)
        return [_copy_task(row) for row in found if row is not None]

    def events(self, partition: int, upto: Mapping[str, int]) -> dict[str, list[tuple[int, Event]]]:
        found: dict[str, list[tuple[int, Event]]] = {task_id: [] for task_id in upto}
        for (p, task_id, _), (seq, event) in self.raw.items():
            if p == partition and task_id in upto and seq <= upto[task_id]:
                found[task_id].append((seq, event))
        return found

    def stored(self, task_ids: Mapping[int, Collection[str]]) -> list[Stored]:
        found = []
        for partition, ids in task_ids.items():
            rows = self.tasks(partition, ids)
            events = self.events(partition, {row.task_id: row.seq for row in rows})
            found += [Stored(row, events[row.task_id]) for row in rows]
        return found

    def tasks_beyond(self, partition: int, seq: int, most: int) -> list[TaskRow]:
        rows = [row for row in self.task_rows.values() if row.partition == partition and row.seq > seq]
        return [_copy_task(row) for row in sorted(rows, key=attrgetter("seq"))[:most]]

    def windows_beyond(self, partition: int, seq: int, most: int) -> list[WindowRow]:
        rows = [row for (p, _), row in self.window_rows.items() if p == partition and row.seq > seq]
        return self.windows(partition, [row.key for row in sorted(rows, key=attrgetter("seq"))[:most]])

    def newest_window(self, partition: int) -> int:
        return max((key.minute for p, key in self.window_rows if p == partition), default=-1)

    def windows(self, partition: int, keys: Iterable[WindowKey]) -> list[WindowRow]:
        found = (self.window_rows.get((partition, key)) for key in keys)
        return [WindowRow.from_line(row.line(partition, 0))[1] for row in found if row is not None]

    def closed_tasks(self, partition: int, places: Collection[tuple[str, int]]) -> list[TaskRow]:
        return [
            _copy_task(row)
            for row in self.task_rows.values()
            if row.partition == partition and (row.workflow, _minute(row)) in places
        ]

    def received(self, partition: int, offsets: Collection[int]) -> dict[int, int]:
        found = ((offset, self.envelopes.get((partition, offset))) for offset in offsets)
        return {offset: envelope.received for offset, envelope in found if envelope is not None}


def _minute(row: TaskRow) -> int:
    """Where a closed task counts, in seconds; -1 for one that is not closed."""
    if row.status == TaskStatus.FINISHED:
        return row.claim_at // MINUTE_US * 60
    return row.last_at // MINUTE_US * 60 if row.status == TaskStatus.ABANDONED else -1


def _copy_task(row: TaskRow) -> TaskRow:
    return msgspec.json.decode(row.line(), type=TaskRow)
