"""The run without faults: the same log gives the same rows, and every row that differs is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import islice

import pytest
from clickhouse_connect.driver.client import Client

from bench.work import Work
from chaos import truth
from chaos.stream import Disorder, disordered
from deploy.local.clickhouse import ClickHouse
from pipeline.config import Settings
from pipeline.connections import address_of
from pipeline.worker.clock import clock
from pipeline.worker.folding import Arrival
from schemas.event import Event, partition_of
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import migrate
from tests.events import payload_of

pytestmark = pytest.mark.e2e
NOW = time.time_ns() // 1_000
PARTITIONS = 2


def log(batches: int) -> list[list[Arrival]]:
    """Messages of both partitions in so many batches, the last of them the end of time."""
    events = disordered(islice(Work(3, NOW, 50).events(), 3_000), 3, Disorder(late_by=100, much_later=1_000))
    messages = [_message(partition, list(events_of)) for partition, events_of in enumerate(_parted(events))]
    arrivals = [arrival for of_partition in messages for arrival in of_partition]
    size = -(-len(arrivals) // batches)
    return [arrivals[at : at + size] for at in range(0, len(arrivals), size)]


def _parted(events: Iterator[Event]) -> list[list[Event]]:
    parted: list[list[Event]] = [[] for _ in range(PARTITIONS)]
    for event in events:
        parted[partition_of(event.task_id, PARTITIONS)].append(event)
    return parted


def _message(partition: int, events: list[Event]) -> list[Arrival]:
    payloads = [payload_of(events[at : at + 50]) for at in range(0, len(events), 50)]
    payloads += [b"poison", clock(Settings(), NOW + 10**13)]
    return [Arrival(partition, offset, NOW, payload) for offset, payload in enumerate(payloads)]


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with ClickHouse() as server:
        settings = Settings.model_validate({"kafka": {"partitions": PARTITIONS}, "clickhouse": {"url": server.url}})
        migrate(address_of(settings), retention_days=0)
        asyncio.run(truth._fold(settings, log(batches=40)))
        sent_on = truth.fold_again(settings, log(batches=3))
        assert sent_on
        yield settings


@pytest.fixture(scope="module")
def client(settings: Settings) -> Client:
    return connect(address_of(settings))


def test_the_same_log_gives_the_same_rows_in_however_many_batches(settings: Settings, client: Client) -> None:
    found = truth.compare(client, settings)
    assert (found.differences, found.told) == (0, [])
    assert all(rows > 50 for rows in found.rows.values())


@pytest.mark.parametrize(
    ("table", "change", "told"),
    [
        ("window_rows", "SELECT * REPLACE (tool_calls + 1 AS tool_calls, seq + 1 AS seq)", 2),
        ("window_rows", "SELECT * REPLACE (seq + 1 AS seq)", 2),
        ("task_rows", "SELECT * REPLACE (seq + 1 AS seq)", 2),
        ("task_rows", "SELECT * REPLACE ('nobody' AS task_id)", 1),
        ("raw_events", "SELECT * REPLACE (12345 AS hash)", 1),
    ],
)
def test_a_row_that_differs_is_told_from_both_sides(
    settings: Settings, client: Client, table: str, change: str, told: int
) -> None:
    """The rows of before are put back, so that each test begins with the same ones."""
    columns = ", ".join(name for (name,) in client.query(_COLUMNS, parameters={"t": table}).result_rows)
    counted = "WHERE tasks_finished > 0" if table == "window_rows" else "WHERE 1"
    client.command(f"CREATE TABLE kept AS {table}")
    client.command(f"INSERT INTO kept ({columns}) SELECT {columns} FROM {table}")
    client.command(f"INSERT INTO {table} ({columns}) {change} FROM {table} FINAL {counted} ORDER BY seq LIMIT 1")
    try:
        found = truth.compare(client, settings)
        assert found.differences == told
        assert len(found.told) == told
    finally:
        client.command(f"EXCHANGE TABLES kept AND {table}")
        client.command("DROP TABLE kept")


_COLUMNS = """SELECT name FROM system.columns
WHERE database = currentDatabase() AND table = {t:String} AND default_kind != 'MATERIALIZED'"""


def test_what_a_trace_sends_on_must_have_come_to_its_task(settings: Settings, client: Client) -> None:
    ((task, event),) = client.query(f"SELECT task_id, hash FROM {truth.DATABASE}.raw_events LIMIT 1").result_rows
    assert truth.lost_on_the_way(client, {(task, event)}) == 0
    assert truth.lost_on_the_way(client, {(task, event), ("nobody", event), (task, 1)}) == 2
    assert truth.lost_on_the_way(client, set()) == 0
