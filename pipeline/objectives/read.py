"""Read from ClickHouse where objectives stand, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from pipeline.config import Settings
from pipeline.objectives.book import Book
from pipeline.objectives.counting import book_of
from pipeline.objectives.history import History, histories
from pipeline.objectives.standing import Standing, standings, watched
from pipeline.slo.alert_state import AlertState
from pipeline.slo.durations import MINUTES_PER_DAY
from pipeline.slo.objective import Objective
from pipeline.slo.resolve import DEFAULT_RETENTION
from schemas.units import MINUTE_US
from sinks.clickhouse.counting import counted_tasks
from sinks.objectives import ObjectiveStore


@dataclass(frozen=True, slots=True)
class Overview:
    """Every workflow's history, and where its objectives stand."""

    histories: Mapping[str, History]
    standings: Mapping[str, list[Standing]]


def retention_of(settings: Settings) -> int:
    """For how many minutes counts are kept."""
    return settings.clickhouse.retention_days * MINUTES_PER_DAY or DEFAULT_RETENTION


def overview(
    client: Client,
    store: ObjectiveStore,
    settings: Settings,
    states: Mapping[str, AlertState],
    now: int,
    workflow: str | None = None,
) -> Overview:
    """Where the objectives of every workflow, or of one, stand at the minute `now`."""
    known = histories(store.versions(), retention_of(settings))
    chosen = {name: history for name, history in known.items() if workflow in (None, name)}
    book = load(client, [each for history in chosen.values() for each in watched(history)], now)
    adjustments = store.adjustments()
    found = {name: standings(history, book, adjustments, dict(states), now) for name, history in chosen.items()}
    return Overview(chosen, found)


def load(client: Client, objectives: Iterable[Objective], now: int) -> Book:
    """A book with the counts of some objectives."""
    book = book_of(objectives, now)
    if book.workflows:
        book.take(counted_tasks(client, book.workflows, book.since * MINUTE_US))
    return book
