"""A store that never gives up: while the real one is away, calls wait and try again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import structlog

from schemas.event import Event
from schemas.rows import TaskRow, WindowKey, WindowRow
from sinks.port import Barred, OpenTasks, Store, Stored, Transient

log = structlog.get_logger()
Result = TypeVar("Result")

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0


class Outage(NamedTuple):
    """The store takes nothing."""

    since: float
    """Monotonic time at which the first call that failed was made."""
    error: Transient
    """Of the last attempt."""

    @property
    def barred(self) -> bool:
        """Whether a person has to do something before the store is back."""
        return isinstance(self.error, Barred)


class Patient:
    """Implements `sinks.port.Store`: Transient is waited out, until `stopping` is set; Refused passes through.

    Its calls may come from several threads; an outage is one, and is told once, however many of them wait.
    """

    def __init__(self, store: Store, stopping: threading.Event) -> None:
        self._store, self._stopping = store, stopping
        self._lock = threading.Lock()
        self._waiting = 0
        self._back = 0.0
        """Monotonic time at which the last outage was over."""
        self.outage: Outage | None = None
        """While any call waits."""

    def write(self, table: str, lines: Sequence[bytes]) -> None:
        self._insist(lambda: self._store.write(table, lines))

    def frontier(self, partition: int) -> int:
        return self._insist(lambda: self._store.frontier(partition))

    def open_tasks(self, partition: int) -> list[OpenTasks]:
        return self._insist(lambda: self._store.open_tasks(partition))

    def tasks(self, partition: int, task_ids: Iterable[str]) -> list[TaskRow]:
        return self._insist(lambda: self._store.tasks(partition, task_ids))

    def events(self, partition: int, upto: Mapping[str, int]) -> dict[str, list[tuple[int, Event]]]:
        return self._insist(lambda: self._store.events(partition, upto))

    def stored(self, task_ids: Mapping[int, Collection[str]]) -> list[Stored]:
        return self._insist(lambda: self._store.stored(task_ids))

    def tasks_beyond(self, partition: int, seq: int, most: int) -> list[TaskRow]:
        return self._insist(lambda: self._store.tasks_beyond(partition, seq, most))

    def windows_beyond(self, partition: int, seq: int, most: int) -> list[WindowRow]:
        return self._insist(lambda: self._store.windows_beyond(partition, seq, most))

    def newest_window(self, partition: int) -> int:
        return self._insist(lambda: self._store.newest_window(partition))

    def windows(self, partition: int, keys: Iterable[WindowKey]) -> list[WindowRow]:
        return self._insist(lambda: self._store.windows(partition, keys))

    def closed_tasks(self, partition: int, places: Collection[tuple[str, int]]) -> list[TaskRow]:
        return self._insist(lambda: self._store.closed_tasks(partition, places))

    def received(self, partition: int, offsets: Collection[int]) -> dict[int, int]:
        return self._insist(lambda: self._store.received(partition, offsets))

    def _insist(self, call: Callable[[], Result]) -> Result:
        pause, waits = FIRST_PAUSE, False
        while True:
            begun = time.monotonic()
            try:
                result = call()
            except Transient as error:
                waits = self._failed(begun, error, waits=waits)
                if self._stopping.wait(pause):
                    raise
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            if waits:
                self._succeeded()
            return result

    def _failed(self, begun: float, error: Transient, *, waits: bool) -> bool:
        """Whether the call is now one of those that wait. It is not if the outage that it met is over by now:
        that one has been told, and a call made now will say whether there is another.
        """
        with self._lock:
            if self.outage is None and begun < self._back:
                return False
            self._waiting += not waits
            before = self.outage
            self.outage = Outage(begun if before is None else before.since, error)
            if before is not None and before.barred == self.outage.barred:
                return True
        if isinstance(error, Barred):
            log.error("ClickHouse does not let the worker in; events wait in Kafka", why=error.why, fix=error.fix)
        else:
            log.warning("ClickHouse is away; events wait in Kafka until it is back", why=str(error))
        return True

    def _succeeded(self) -> None:
        with self._lock:
            self._waiting -= 1
            if self._waiting or self.outage is None:
                return
            self._back = time.monotonic()
            away, self.outage = self._back - self.outage.since, None
        log.info("ClickHouse is back", away_seconds=round(away, 1))
