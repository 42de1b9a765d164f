"""The store of the fold on ClickHouse. Implements `sinks.port.Store`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec
from clickhouse_connect.driver.client import Client

from schemas.event import FIELDS, Event
from schemas.rows import TASK_COLUMNS, WINDOW_COLUMNS, DeadLetter, Envelope, Replay, TaskRow, WindowKey, WindowRow
from schemas.words import TaskStatus
from sinks.clickhouse.client import Asked, insert_lines, insert_raw_statement, insert_statement, select_lines
from sinks.clickhouse.connection import Connection
from sinks.port import Barred, OpenTasks, Refused, Stored
from sinks.raw import decode_raw, in_our_words

RAW_COLUMNS = ("partition", "epoch", "seq", *FIELDS)

TABLES = {
    "events": ("raw_events", RAW_COLUMNS),
    "windows": ("window_rows", WINDOW_COLUMNS),
    "tasks": ("task_rows", TASK_COLUMNS),
    "dead_letters": ("dead_letter_rows", DeadLetter.__struct_fields__),
    "envelopes": ("envelope_rows", Envelope.__struct_fields__),
    "replays": ("replay_rows", Replay.__struct_fields__),
}

_task_decoder = msgspec.json.Decoder(TaskRow)
_key_decoder = msgspec.json.Decoder(tuple[int, str])
_open_decoder = msgspec.json.Decoder(OpenTasks)


def _list(columns: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in columns)


_TASKS = f"SELECT {_list(TASK_COLUMNS)} FROM task_rows FINAL WHERE epoch = {{e:UInt16}} AND partition = {{p:UInt16}}"  # noqa: S608 - our own column names
_OPEN = """SELECT workflow, max(seq), arraySort(groupArray(last_seen) AS seen),
    arraySort((task_id, at) -> at, groupArray(task_id), seen)
FROM task_rows FINAL
WHERE epoch = {e:UInt16} AND partition = {p:UInt16} AND status = {status:String} AND task_id IN (
    SELECT task_id FROM task_rows
    WHERE epoch = {e:UInt16} AND partition = {p:UInt16} AND status = {status:String}
)
GROUP BY workflow"""
_TASKS_BEYOND = """SELECT task_id FROM task_rows
WHERE epoch = {e:UInt16} AND partition = {p:UInt16} AND seq > {seq:Int64}
GROUP BY task_id ORDER BY max(seq) LIMIT {most:UInt32}"""
_WINDOWS_BEYOND = """SELECT workflow, minute FROM window_rows
WHERE epoch = {e:UInt16} AND partition = {p:UInt16} AND seq > {seq:Int64}
GROUP BY workflow, minute ORDER BY max(seq) LIMIT {most:UInt32}"""
_RAW = f"SELECT {_list(RAW_COLUMNS)} FROM raw_events WHERE epoch = {{e:UInt16}}"  # noqa: S608
_EVENTS = f"{_RAW} AND partition = {{p:UInt16}} AND task_id IN asked"
_WINDOWS = f"""SELECT {_list(WINDOW_COLUMNS)} FROM window_rows FINAL
WHERE epoch = {{e:UInt16}} AND partition = {{p:UInt16}}
AND (workflow, minute) IN asked"""  # noqa: S608
_CLOSED = f"""{_TASKS} AND status IN ('finished', 'abandoned')
AND (workflow, toUInt32(intDiv(if(status = 'finished', claim_at, last_at), 60000000) * 60)) IN asked"""
_RECEIVED = """SELECT offset, max(received) FROM envelope_rows
WHERE epoch = {e:UInt16} AND partition = {p:UInt16} AND offset IN asked GROUP BY offset"""
_FRONTIER = """SELECT max(toInt64(seq)), count() FROM (
    SELECT seq FROM window_rows WHERE epoch = {e:UInt16} AND partition = {p:UInt16}
    UNION ALL
    SELECT seq FROM task_rows WHERE epoch = {e:UInt16} AND partition = {p:UInt16}
)"""

_OF_ANY = "(partition, task_id) IN asked"
_KNOWN = f"SELECT DISTINCT partition, task_id FROM task_rows WHERE epoch = {{e:UInt16}} AND {_OF_ANY}"  # noqa: S608
_TASKS_OF_ANY = f"SELECT {_list(TASK_COLUMNS)} FROM task_rows FINAL WHERE epoch = {{e:UInt16}} AND {_OF_ANY}"  # noqa: S608
_EVENTS_OF_ANY = f"{_RAW} AND {_OF_ANY}"
_NEWEST = "SELECT max(minute), count() FROM window_rows WHERE epoch = {e:UInt16} AND partition = {p:UInt16}"


def _ids(task_ids: Iterable[str]) -> Asked:
    return Asked(("task_id String",), [(task_id,) for task_id in task_ids])


class ClickHouseStore:
    """Rows of one epoch. Every call is one query; safe in several threads.

    `connect` is called as `Connection` says: again after ClickHouse did not let us in.
    """

    def __init__(self, connect: Client | Callable[[], Client], epoch: int = 0) -> None:
        self._connection = Connection(connect)
        self._epoch = epoch
        self._statements: dict[str, bytes] = {}

    @contextmanager
    def _client(self) -> Iterator[Client]:
        try:
            with self._connection.client() as client:
                yield client
        except Barred:
            self._statements = {}
            raise

    def _select(self, sql: str, parameters: Mapping[str, object], asked: Asked | None = None) -> list[bytes]:
        with self._client() as client:
            return select_lines(client, sql, parameters, asked=asked)

    def write(self, table: str, lines: Sequence[bytes]) -> None:
        if not lines:
            return
        try:
            self._insert(table, lines)
        except Refused:
            if table != "events":
                raise
            self._insert(table, list(map(in_our_words, lines)))

    def _insert(self, table: str, lines: Sequence[bytes]) -> None:
        with self._client() as client:
            statement = self._statements.get(table)
            if statement is None:
                make = insert_raw_statement if table == "events" else insert_statement
                statement = self._statements[table] = make(client, *TABLES[table])
            insert_lines(client, statement, lines)

    def frontier(self, partition: int) -> int:
        (line,) = self._select(_FRONTIER, self._where(partition))
        greatest, rows = msgspec.json.decode(line)
        return int(greatest) if rows else -1

    def open_tasks(self, partition: int) -> list[OpenTasks]:
        where = {**self._where(partition), "status": TaskStatus.OPEN.value}
        return [_open_decoder.decode(line) for line in self._select(_OPEN, where)]

    def tasks(self, partition: int, task_ids: Iterable[str]) -> list[TaskRow]:
        ids = list(task_ids)
        if not ids:
            return []
        sql = f"{_TASKS} AND task_id IN asked"
        return [_task_decoder.decode(line) for line in self._select(sql, self._where(partition), _ids(ids))]

    def events(self, partition: int, upto: Mapping[str, int]) -> dict[str, list[tuple[int, Event]]]:
        found: dict[str, list[tuple[int, Event]]] = {task_id: [] for task_id in upto}
        if not upto:
            return found
        for line in self._select(_EVENTS, self._where(partition), _ids(upto)):
            _, seq, event = decode_raw(line)
            if seq <= upto[event.task_id]:
                found[event.task_id].append((seq, event))
        return found

    def stored(self, task_ids: Mapping[int, Collection[str]]) -> list[Stored]:
        keys = [(partition, task_id) for partition, ids in task_ids.items() for task_id in ids]
        known = [_key_decoder.decode(line) for line in self._select_of(_KNOWN, keys)]
        rows = [_task_decoder.decode(line) for line in self._select_of(_TASKS_OF_ANY, known)]
        found = {(row.partition, row.task_id): Stored(row, []) for row in rows}
        for line in self._select_of(_EVENTS_OF_ANY, found):
            partition, seq, event = decode_raw(line)
            row, events = found[partition, event.task_id]
            if seq <= row.seq:
                events.append((seq, event))
        return list(found.values())

    def _select_of(self, sql: str, keys: Collection[tuple[int, str]]) -> list[bytes]:
        """Ask about tasks of any partitions; not at all about none. Most tasks of a batch are new to the store."""
        asked = Asked(("partition UInt16", "task_id String"), keys)
        return self._select(sql, {"e": self._epoch}, asked) if keys else []

    def tasks_beyond(self, partition: int, seq: int, most: int) -> list[TaskRow]:
        lines = self._select(_TASKS_BEYOND, {**self._where(partition), "seq": seq, "most": most})
        return self.tasks(partition, [task_id for line in lines for (task_id,) in [msgspec.json.decode(line)]])

    def windows_beyond(self, partition: int, seq: int, most: int) -> list[WindowRow]:
        lines = self._select(_WINDOWS_BEYOND, {**self._where(partition), "seq": seq, "most": most})
        return [row for row in self._windows(partition, map(msgspec.json.decode, lines)) if row.seq > seq]

    def newest_window(self, partition: int) -> int:
        (line,) = self._select(_NEWEST, self._where(partition))
        newest, windows = msgspec.json.decode(line)
        return int(newest) if windows else -1

    def windows(self, partition: int, keys: Iterable[WindowKey]) -> list[WindowRow]:
        wanted = set(keys)
        if not wanted:
            return []
        return [
            row for row in self._windows(partition, {(key.workflow, key.minute) for key in wanted}) if row.key in wanted
        ]

    def _windows(self, partition: int, places: Iterable[tuple[str, int]]) -> list[WindowRow]:
        """All windows of some (workflow, minute)."""
        rows = list(places)
        asked = Asked(("workflow String", "minute UInt32"), rows)
        lines = self._select(_WINDOWS, self._where(partition), asked) if rows else []
        return [WindowRow.from_line(line)[1] for line in lines]

    def closed_tasks(self, partition: int, places: Collection[tuple[str, int]]) -> list[TaskRow]:
        if not places:
            return []
        asked = Asked(("workflow String", "minute UInt32"), places)
        return [_task_decoder.decode(line) for line in self._select(_CLOSED, self._where(partition), asked)]

    def received(self, partition: int, offsets: Collection[int]) -> dict[int, int]:
        if not offsets:
            return {}
        asked = Asked(("offset UInt64",), [(offset,) for offset in offsets])
        lines = self._select(_RECEIVED, self._where(partition), asked)
        return {int(offset): int(at) for offset, at in map(msgspec.json.decode, lines)}

    def _where(self, partition: int) -> dict[str, object]:
        return {"e": self._epoch, "p": partition}
