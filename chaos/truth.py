"""The run without faults: the same log, folded once from its beginning to its end, into tables of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from clickhouse_connect.driver.client import Client

from pipeline.config import Settings
from pipeline.connections import address_of
from pipeline.worker.breaker import Breaker
from pipeline.worker.folding import Arrival, Folding
from schemas.event import Event
from sinks.clickhouse.client import Asked, connect, select_lines
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.store import ClickHouseStore

DATABASE = "trueup_truth"
ROWS_HELD = 5_000
"""Closed tasks in memory per partition: enough for what comes late, and little enough for hours of log."""
TOLD = 20
"""Rows that differ that are told in full."""

_SORTED = "* REPLACE (mapSort(cycle_us) AS cycle_us, mapSort(latency_us) AS latency_us, mapSort(scores) AS scores)"
ROWS = {
    "windows": (f"SELECT {_SORTED} FROM {{database}}.windows WHERE partition = {{p:UInt16}}", "line"),  # noqa: S608
    "tasks": (
        "SELECT * REPLACE (mapSort(interventions) AS interventions, mapSort(costs) AS costs, "
        "mapSort(latency_us) AS latency_us, mapSort(scores) AS scores) "
        "FROM {database}.task_rows FINAL WHERE partition = {p:UInt16}",
        "task_id",
    ),
    "events": (
        "SELECT * REPLACE (mapSort(attributes) AS attributes) "
        "FROM {database}.raw_events FINAL WHERE partition = {p:UInt16}",
        "concat(task_id, ' ', event_id)",
    ),
}
"""Table -> all columns of its rows that count, maps in one order; and by what a row is told when it differs."""


class Compared(NamedTuple):
    """Rows of the run without faults, and those of both that the other does not have, by table."""

    rows: dict[str, int]
    differences: int
    told: list[str]


def fold_again(settings: Settings, log: Iterable[list[Arrival]]) -> set[tuple[str, int]]:
    """Fold a whole log into a database of its own, and say what it would have sent on.

    That is (task id, hash) of the events of traces that belong to a task. Raises what the fold raises.
    """
    mine = settings.model_copy(
        update={
            "clickhouse": settings.clickhouse.model_copy(update={"database": DATABASE}),
            "worker": settings.worker.model_copy(update={"rows_held": ROWS_HELD}),
        }
    )
    migrate(address_of(mine), retention_days=0)
    return asyncio.run(_fold(mine, log))


async def _fold(settings: Settings, log: Iterable[list[Arrival]]) -> set[tuple[str, int]]:
    sent_on: set[tuple[str, int]] = set()

    async def note(events: dict[int, list[Event]]) -> None:
        """What the workers sent on is in the log already."""
        sent_on.update((event.task_id, event.hash) for some in events.values() for event in some)

    async def acked(_start: int, _end: int) -> None:
        """Nobody reads on from here."""

    store = ClickHouseStore(connect(address_of(settings)), settings.kafka.epoch)
    folding = Folding(store, settings, note, Breaker(1, 1))
    try:
        for batch in log:
            await folding.fold(batch, acked)
        await folding.drain()
    finally:
        folding.stop()
    return sent_on


def compare(client: Client, settings: Settings) -> Compared:
    """The rows of the run with faults against those of the run without, bit for bit."""
    rows, differences, told = {}, 0, list[str]()
    for table, (select, key) in ROWS.items():
        rows[table] = 0
        for partition in range(settings.kafka.partitions):
            line = select_lines(client, _comparison(settings, select, key), {"p": partition, "told": TOLD})[0]
            there, different, examples = msgspec.json.decode(line)
            rows[table] += there
            differences += different
            told += [f"{table}, partition {partition}: {side}: {row}" for side, row in examples]
    return Compared(rows, differences, told[:TOLD])


def _comparison(settings: Settings, select: str, key: str) -> str:
    """One row: how many there are without faults, how many differ, and examples."""
    both = [select.replace("{database}", database) for database in (DATABASE, settings.clickhouse.database)]
    sides = " UNION ALL ".join(
        f"SELECT formatRow('JSONCompactEachRow', *) AS line, {key} AS told, {sign} AS side FROM ({rows})"  # noqa: S608
        for rows, sign in zip(both, (1, -1), strict=True)
    )
    return f"""SELECT sum(truths), countIf(surplus != 0), groupArraySampleIf({{told:UInt8}})(
            (if(surplus > 0, 'only without faults', 'only with faults'), told), surplus != 0)
        FROM (SELECT sum(side) AS surplus, countIf(side = 1) AS truths, any(told) AS told
            FROM ({sides}) GROUP BY sipHash128(line))"""  # noqa: S608 - our own words and names


def lost_on_the_way(client: Client, sent_on: set[tuple[str, int]]) -> int:
    """How many of the events that a trace sends on to its task are not there."""
    if not sent_on:
        return 0
    sql = f"SELECT uniqExact(task_id, hash) FROM {DATABASE}.raw_events WHERE (task_id, hash) IN asked"  # noqa: S608
    (line,) = select_lines(client, sql, asked=Asked(("task_id String", "hash UInt64"), sorted(sent_on)))
    (found,) = msgspec.json.decode(line)
    return len(sent_on) - int(found)
