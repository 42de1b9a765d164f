"""The audit: what the fold wrote against what the raw events say, recomputed in SQL alone.

Beside a running worker it looks at each partition up to the greatest envelope: rows below are complete,
and a window or a task with a row beyond is skipped and counted as such (`audit/bounds.sql` says why).
What a quiet system skips is damage as well: rows that no envelope vouches for.

With a retention, begin the range later than it, by as long as a task may last: what is left of a task
whose first events are gone says something else than its row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec
from clickhouse_connect.driver.client import Client

from schemas.event import EVENTS_PER_MESSAGE
from schemas.rows import COUNTS, LOG_ONLY, TASK_COLUMNS, TaskRow
from schemas.units import MICRO
from sinks.clickhouse.client import select_lines

DETAIL = 100
"""How many differing rows of a kind are told in full, in one query."""
EVENTS_PER_QUERY = 500_000
"""Partitions are recomputed together while they have fewer events than this: it bounds the server's memory."""

LATE_AFTER = 60
"""Seconds by which an event lies behind the newest one of its partition when it is late."""

WINDOW_COLUMNS = (*COUNTS, "cycle_us", "latency_us", "scores")
TASK_FACTS = tuple(name for name in TASK_COLUMNS if name not in ("partition", "epoch", "task_id", *LOG_ONLY))
_NO_WINDOW = ["0"] * len(COUNTS) + ["{}"] * 3
_NOTHING = {str: "", int: "0", dict: "{}", list: "[]", type(None): "null"}
_NO_TASK = [_NOTHING[type(getattr(TaskRow(0, 0, "", status=""), name))] for name in TASK_FACTS]
_PARTS = {"rows": ("spans", "tasks", "windows")}
"""Of a query that is in several files: their names, in order."""
_END_OF_TIME = 2**32  # what a minute is stored as ends there


class Difference(NamedTuple):
    """One column of one row. `kind`: `window`, `task`, or what is wrong with the log: `gap` (offsets without an
    envelope), `message` (more events landed than it held), `dead_letter` (unreadable, and not kept)."""

    kind: str
    partition: int
    key: tuple[str, ...]
    """A task id; an offset, or the first and last of several; the minute and the dimensions of a window."""
    column: str
    stored: str
    recomputed: str

    def __str__(self) -> str:
        return (
            f"{self.kind} {' '.join(self.key)} of partition {self.partition}: "
            f"{self.column} is {self.stored!r}, recomputed {self.recomputed!r}"
        )


@dataclass
class Audit:
    """What an audit found. It is clean when `total` is 0."""

    total: int = 0
    """Differences there are."""
    differences: list[Difference] = field(default_factory=list)
    """Those of the first rows that have any, by kind."""
    events: int = 0
    """Distinct events that landed."""
    duplicates: int = 0
    """Events that came again and were ignored."""
    dead_letters: int = 0
    late: int = 0
    """Of the events that landed, those whose minute had passed: an earlier message of their partition told of a
    moment more than LATE_AFTER seconds after them. Told of the log alone, so a replay of old files has few."""
    tasks: int = 0
    """Tasks compared."""
    windows: int = 0
    """Windows compared that count something, stored or recomputed."""
    skipped_tasks: int = 0
    """Tasks whose row was moving."""
    skipped_windows: int = 0

    @property
    def landed(self) -> dict[str, int]:
        """As `trueup try` reports it."""
        return {"events": self.events, "duplicates": self.duplicates, "dead_letters": self.dead_letters}

    @property
    def skipped(self) -> int:
        """Rows that were moving, so nothing is known of them."""
        return self.skipped_tasks + self.skipped_windows


class Bound(NamedTuple):
    """How far a partition can be audited."""

    partition: int
    end: int
    """The first `seq` that may be incomplete."""
    first_offset: int
    """Of the log that was asked for."""
    events: int


def audit(
    client: Client,
    *,
    epoch: int = 0,
    start: int | None = None,
    end: int | None = None,
    partitions: Sequence[int] | None = None,
    detail: int | None = None,
) -> Audit:
    """Recompute what counts in the minutes that begin from `start` to below `end` (seconds; None: no limit).

    Windows are those of these minutes; tasks those with an event in them; the log is looked at from the first
    message with a Kafka timestamp of `start` or later. What landed is counted as a whole. `partitions`: only
    these. `detail`: instead of DETAIL. Raises Transient or Refused.
    """
    whole = start is None and end is None
    start, end = _minute(start or 0), _END_OF_TIME if end is None else _minute(end)
    bounds = [
        bound._replace(first_offset=bound.first_offset if start else 0)
        for bound in bounds_of(client, {"epoch": epoch, "start": start * MICRO})
        if partitions is None or bound.partition in partitions
    ]
    found = Audit()
    for batch in batches(bounds):
        common = {"epoch": epoch, "partitions": [b.partition for b in batch], "detail": detail or DETAIL}
        offsets = {"firsts": [b.first_offset for b in batch], "ends": [b.end // EVENTS_PER_MESSAGE for b in batch]}
        _add_log(found, _row(client, "log", {**common, **offsets, "late_after": LATE_AFTER * MICRO}))
        ends = {"ends": [b.end for b in batch], "whole": int(whole), "start": start, "end": end}
        _add_rows(found, _row(client, "rows", {**common, **ends, "no_task": _NO_TASK, "no_window": _NO_WINDOW}))
    (found.dead_letters,) = _row(client, "dead_letters", {})
    return found


def _minute(second: int) -> int:
    """The first minute that does not begin before a second."""
    return -(-second // 60) * 60


def bounds_of(client: Client, parameters: Mapping[str, Any]) -> list[Bound]:
    """How far each partition of an `epoch` can be audited; `start`: from when on the log is asked for (µs)."""
    return [Bound(*msgspec.json.decode(line)) for line in select_lines(client, sql_of("bounds"), parameters)]


def batches(bounds: Sequence[Bound]) -> Iterator[list[Bound]]:
    """The partitions that one query reads together."""
    batch: list[Bound] = []
    for bound in bounds:
        if batch and sum(b.events for b in batch) + bound.events > EVENTS_PER_QUERY:
            yield batch
            batch = []
        batch.append(bound)
    if batch:
        yield batch


def _add_log(found: Audit, row: list[Any]) -> None:
    events, duplicates, late, differences, told = row
    found.events += events
    found.late += late
    found.duplicates += duplicates
    found.total += differences
    found.differences += [Difference(kind, partition, tuple(key), *values) for kind, partition, key, *values in told]


def _add_rows(found: Audit, row: list[Any]) -> None:
    tasks, moving_tasks, task_differences, told_tasks, windows, moving_windows, window_differences, told_windows = row
    found.tasks += tasks
    found.windows += windows
    found.skipped_tasks += moving_tasks
    found.skipped_windows += moving_windows
    found.total += task_differences + window_differences
    found.differences += _told("window", WINDOW_COLUMNS, told_windows) + _told("task", TASK_FACTS, told_tasks)


def _told(kind: str, columns: Sequence[str], rows: list[Any]) -> list[Difference]:
    return [
        Difference(kind, partition, tuple(key), column, was, now)
        for partition, key, stored, recomputed in rows
        for column, was, now in zip(columns, stored, recomputed, strict=True)
        if was != now
    ]


def _row(client: Client, name: str, parameters: Mapping[str, Any]) -> list[Any]:
    (line,) = select_lines(client, sql_of(name), parameters)
    row: list[Any] = msgspec.json.decode(line)
    return row


def sql_of(name: str) -> str:
    """The text of a query, or of a part of one."""
    folder = files("sinks.clickhouse") / "audit"
    return "\n".join((folder / f"{part}.sql").read_text() for part in _PARTS.get(name, (name,)))
