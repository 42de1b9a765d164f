"""A store that never gives up: while the real one is away, calls wait and try again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

import structlog

from schemas.event import Event
from schemas.rows import TaskRow, WindowKey, WindowRow
from sinks.port import Store, Transient

log = structlog.get_logger()
Result = TypeVar("Result")

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 15.0


class Patient:
    """Implements `sinks.port.Store`: Transient is waited out, until `stopping` is set; Refused passes through.

    `blocked` is told since when the store has been away (monotonic seconds), and None when it is back.
    """

    def __init__(self, store: Store, stopping: threading.Event, blocked: Callable[[float | None], None]) -> None:
        self._store, self._stopping, self._blocked = store, stopping, blocked

    def write(self, table: str, lines: Sequence[bytes]) -> None:
        self._insist(lambda: self._store.write(table, lines))

    def frontier(self, partition: int) -> int:
        return self._insist(lambda: self._store.frontier(partition))

    def open_tasks(self, partition: int) -> Iterable[TaskRow]:
        return self._insist(lambda: self._store.open_tasks(partition))

    def tasks(self, partition: int, task_ids: Iterable[str]) -> list[TaskRow]:
        return self._insist(lambda: self._store.tasks(partition, task_ids))

    def events(self, partition: int, upto: Mapping[str, int]) -> dict[str, list[tuple[int, Event]]]:
        return self._insist(lambda: self._store.events(partition, upto))

    def stored_tasks(self, task_ids: Mapping[int, Collection[str]]) -> set[str]:
        return self._insist(lambda: self._store.stored_tasks(task_ids))

    def newest_window(self, partition: int) -> int:
        return self._insist(lambda: self._store.newest_window(partition))

    def windows(self, partition: int, keys: Iterable[WindowKey]) -> list[WindowRow]:
        return self._insist(lambda: self._store.windows(partition, keys))

    def _insist(self, call: Callable[[], Result]) -> Result:
        pause, since = FIRST_PAUSE, None
        while True:
            try:
                result = call()
            except Transient as error:
                if since is None:
                    since = time.monotonic()
                    self._blocked(since)
                    log.warning("ClickHouse is away; events wait in Kafka until it is back", why=str(error))
                if self._stopping.wait(pause):
                    raise
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            if since is not None:
                self._blocked(None)
                log.info("ClickHouse is back", away_seconds=round(time.monotonic() - since, 1))
            return result
