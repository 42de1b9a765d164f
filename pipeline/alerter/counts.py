"""The counts that a tick looks at: loaded once, then brought up to date by the tasks that changed."""

from __future__ import annotations

from collections.abc import Sequence

from clickhouse_connect.driver.client import Client

from pipeline.objectives.book import Book
from pipeline.objectives.counting import book_of, horizon, lag, measured, needs, reach
from pipeline.objectives.standing import in_force, measure
from pipeline.slo.durations import MINUTES_PER_DAY
from pipeline.slo.objective import Objective
from pipeline.slo.observe import Measured
from schemas.units import MINUTE_US
from sinks.clickhouse.connection import Connection
from sinks.clickhouse.counting import Progress, changed_tasks, counted_tasks, progress
from sinks.objectives import AdjustmentRow, ObjectiveStore

LAG_EVERY = 10
"""Minutes between measurements of how long verdicts take: costly, and slow to change."""


class LandedCounts:
    """The counts of the tasks in ClickHouse. A book lives for a day: then it begins later, and old tasks are let go."""

    def __init__(self, connect: Client | Connection, store: ObjectiveStore, epoch: int, partitions: int) -> None:
        self.taken_until: int | None = None
        """The last minute whose telemetry does not wait for a worker, if some does: see `health.taken_until`."""
        self._store = store
        self._adjustments: list[AdjustmentRow] = []
        self._connection, self._epoch, self._partitions = Connection.of(connect), epoch, partitions
        self._wanted: frozenset[object] = frozenset()
        self._book: Book | None = None
        self._progress = Progress(epoch, partitions)
        self._loaded = self._lagged = 0
        self._lags: dict[object, int | None] = {}

    def refresh(self, objectives: Sequence[Objective], now: int) -> None:
        """Bring the counts up to date. What fails here is done again by the next refresh."""
        wanted: frozenset[object] = frozenset((needs(each), reach(each)) for each in objectives)
        if self._book is None or wanted != self._wanted or now - self._loaded >= MINUTES_PER_DAY:
            self._load(objectives, now)
            self._wanted, self._loaded, self._lagged = wanted, now, 0
        else:
            # The place is taken before the tasks are read, so that none can slip between the two.
            with self._connection.client() as client:
                reached = progress(client, self._epoch, self._partitions, self._progress)
                self._book.take(changed_tasks(client, self._progress))
            self._progress = reached
        self._adjustments = in_force(self._store.adjustments())
        if now - self._lagged >= LAG_EVERY:
            self._lags, self._lagged = {}, now

    def _load(self, objectives: Sequence[Objective], now: int) -> None:
        book = book_of(objectives, now)
        with self._connection.client() as client:
            reached = progress(client, self._epoch, self._partitions)
            if book.workflows:
                book.take(counted_tasks(client, book.workflows, book.since * MINUTE_US))
        self._book, self._progress = book, reached

    @property
    def complete_until(self) -> int | None:
        """The last minute of which everything has landed; 0 while a partition has never been folded."""
        folded, taken = self._progress.complete_until or 0, self.taken_until
        return folded if taken is None else min(folded, taken)

    def measured(self, objective: Objective) -> Measured:
        """The counts of one objective of the last refresh."""
        return measured(self._counts, objective, self._lag(objective))

    def _lag(self, objective: Objective) -> int | None:
        """Measured once for all objectives that ask the same of the same tasks."""
        asked = (needs(objective).delays, objective.alerting.maturity, horizon(objective))
        if asked not in self._lags:
            self._lags[asked] = lag(self._counts, objective, self._lagged)
        return self._lags[asked]

    def remaining(self, objective: Objective, now: int) -> float | None:
        """The signed share of its budget that is left, adjustments included; None without events."""
        account = measure(objective, self._counts, self._adjustments, now).account
        left = account.adjusted.remaining if account else None
        return None if left is None else float(left)

    @property
    def _counts(self) -> Book:
        if self._book is None:
            raise RuntimeError("counts are read before they were refreshed")
        return self._book
