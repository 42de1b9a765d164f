"""The port between the fold and what keeps its rows.

Writes are absolute rows, so each may be repeated. The order in which a snapshot is written and rows
are loaded is what makes replays and stale owners harmless (`docs/decisions/0002-snapshots.md`): dead
letters, raw events, windows, tasks, envelopes; and back tasks before windows.

Every method may block. Transient means: nothing is known about what was written, try the same again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from schemas.event import Event
from schemas.rows import TaskRow, WindowKey, WindowRow


class Transient(Exception):
    """The store is away or overloaded. The same call may succeed later."""


class Barred(Transient):
    """The store is there and does not let us in: a password, a right or a table is missing.

    Once a person has done what `fix` says, the same call succeeds; so whoever has time waits.
    """

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(f"{why}; {fix}")
        self.why, self.fix = why, fix


class Unable(Transient):
    """The store is there and could not do it: it lacks memory or room, or has another trouble of its own."""

    fix = "its log says more; give it what it lacks, or ask for less, and try again"


class Refused(Exception):
    """The store will never take this: a defect of ours or of its schema. Retrying cannot help."""


class Surplus(NamedTuple):
    """An event that its task has no room for."""

    partition: int
    seq: int
    received: int
    """Kafka timestamp of its message, microseconds."""
    event: Event
    after: int
    """The seq of the last event that its task took in."""


@dataclass(slots=True)
class Snapshot:
    """What one step of the fold leaves to be written: encoded rows, each a JSON array of its columns."""

    events: list[bytes] = field(default_factory=list)
    windows: list[bytes] = field(default_factory=list)
    tasks: list[bytes] = field(default_factory=list)
    dead_letters: list[bytes] = field(default_factory=list)
    envelopes: list[bytes] = field(default_factory=list)
    forwards: list[Event] = field(default_factory=list)
    """What goes to another task. Kafka must have it before anything is written."""
    surplus: list[Surplus] = field(default_factory=list)
    """What is in no row. Whoever writes the snapshot makes dead letters of it."""

    def extend(self, other: Snapshot) -> None:
        """Join the snapshot of another partition to this one."""
        for table in WRITE_ORDER:
            getattr(self, table).extend(getattr(other, table))
        self.forwards.extend(other.forwards)
        self.surplus.extend(other.surplus)


class OpenTasks(NamedTuple):
    """The open tasks of a workflow in one partition: as much of them as a clock needs."""

    workflow: str
    seq: int
    """The greatest of their rows."""
    last_seen: list[int]
    """`TaskRow.last_seen` of each task (microseconds), ascending."""
    task_ids: list[str]
    """In the same order."""


class Stored(NamedTuple):
    """A task as it is in the store."""

    row: TaskRow
    events: list[tuple[int, Event]]
    """Its raw events with their seq, up to the row's."""


WRITE_ORDER = ("dead_letters", "events", "windows", "tasks", "envelopes")


class Store(Protocol):
    """Keeps rows by (epoch, partition, key); of the same key the one with the greatest seq."""

    def write(self, table: str, lines: Sequence[bytes]) -> None:
        """Write encoded rows of one of WRITE_ORDER durably. Raises Transient or Refused."""

    def frontier(self, partition: int) -> int:
        """The greatest seq of any window or task of a partition; -1 when there is none."""

    def open_tasks(self, partition: int) -> list[OpenTasks]:
        """The tasks of a partition that are open, by workflow."""

    def tasks(self, partition: int, task_ids: Iterable[str]) -> list[TaskRow]:
        """Those of the tasks that exist."""

    def events(self, partition: int, upto: Mapping[str, int]) -> dict[str, list[tuple[int, Event]]]:
        """Task id -> its raw events with their seq, up to the seq given for the task."""

    def stored(self, task_ids: Mapping[int, Collection[str]]) -> list[Stored]:
        """Those of the tasks, by partition, that exist. One question for a batch; a cheap one if none does."""

    def tasks_beyond(self, partition: int, seq: int, most: int) -> list[TaskRow]:
        """Those of a partition whose row is beyond a place of its log; if they are more than `most`, the first."""

    def windows_beyond(self, partition: int, seq: int, most: int) -> list[WindowRow]:
        """The same of windows; those of a minute and workflow come together, so they may be a few more."""

    def newest_window(self, partition: int) -> int:
        """The greatest minute of any window of a partition; -1 when there is none."""

    def windows(self, partition: int, keys: Iterable[WindowKey]) -> list[WindowRow]:
        """Those of the windows that exist."""

    def closed_tasks(self, partition: int, places: Collection[tuple[str, int]]) -> list[TaskRow]:
        """The finished and abandoned tasks that count in any of these (workflow, minute)."""

    def received(self, partition: int, offsets: Collection[int]) -> dict[int, int]:
        """Offset -> Kafka timestamp (microseconds) of its message, of those that have an envelope."""


def write(store: Store, snapshot: Snapshot) -> None:
    """Write a snapshot in the order that keeps windows never behind tasks, and envelopes last."""
    for table in WRITE_ORDER:
        lines = getattr(snapshot, table)
        if lines:
            store.write(table, lines)
