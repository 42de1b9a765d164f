"""What objectives are counted from, as ClickHouse gives it."""

from __future__ import annotations

from itertools import count

import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.clickhouse import ClickHouse
from pipeline.objectives.facts import TaskFacts
from schemas.event import EVENTS_PER_MESSAGE
from schemas.rows import Envelope, TaskRow
from sinks.clickhouse.client import Address, connect
from sinks.clickhouse.counting import Progress, changed_tasks, counted_tasks, progress
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.store import ClickHouseStore
from tests.objectives.samples import NOW, facts, row, rows, us

_databases = count()


@pytest.fixture(scope="module")
def client(clickhouse: ClickHouse) -> Client:
    address = Address(port=clickhouse.port, database=f"counting_{next(_databases)}")
    migrate(address, retention_days=0)
    return connect(address)


@pytest.fixture
def empty(client: Client) -> Client:
    for table in ("task_rows", "envelope_rows"):
        client.command(f"TRUNCATE TABLE {table}")
    return client


def write(client: Client, *tasks: TaskRow) -> None:
    ClickHouseStore(client).write("tasks", [task.line() for task in tasks])


def fold(client: Client, *envelopes: tuple[int, int, int], epoch: int = 0) -> None:
    """Envelopes as (partition, offset, minute)."""
    lines = [Envelope(p, epoch, offset, us(minute), 1, 0, 0).line() for p, offset, minute in envelopes]
    ClickHouseStore(client).write("envelopes", lines)


def read(lines: list[bytes]) -> dict[str, TaskFacts]:
    found = [msgspec.json.decode(line, type=TaskFacts) for line in lines]
    assert len({task.key for task in found}) == len(found)
    return {task.key: task for task in found}


def decoded(*tasks: TaskRow) -> dict[str, TaskFacts]:
    return read([facts(task) for task in tasks])


@settings(max_examples=15)
@given(st.lists(st.integers(0, 10**6).map(str).flatmap(rows), unique_by=lambda task: task.task_id, max_size=9))
def test_a_task_is_read_as_its_row_says(client: Client, tasks: list[TaskRow]) -> None:
    client.command("TRUNCATE TABLE task_rows")
    write(client, *tasks)
    assert read(changed_tasks(client, Progress(0, 1))) == decoded(*tasks)
    wanted = [
        task
        for task in tasks
        if task.status in ("finished", "abandoned") and task.stage != "control" and task.workflow == "claims"
    ]
    assert read(counted_tasks(client, ["claims"], 0)) == decoded(*wanted)


def test_only_the_newest_version_of_a_task_is_read(empty: Client) -> None:
    old, new = row("a", seq=5, claim="failure"), row("a", seq=9)
    for task in (new, old):
        write(empty, task)
    assert read(changed_tasks(empty, Progress(0, 1))) == decoded(new)
    assert read(counted_tasks(empty, ["claims"], 0)) == decoded(new)


def test_what_changed_since_a_place_in_each_partition_is_read(empty: Client) -> None:
    def in_partition(task_id: str, partition: int, seq: int) -> TaskRow:
        return msgspec.structs.replace(row(task_id, seq=seq), partition=partition)

    last = 3 * EVENTS_PER_MESSAGE - 1
    before, after = in_partition("a", 0, last), in_partition("b", 0, last + 1)
    elsewhere, ahead = in_partition("c", 1, 7), in_partition("d", 2, 10**9)
    write(empty, before, after, elsewhere, ahead)
    since = Progress(0, 3, {0: 2, 2: 10**9})
    assert read(changed_tasks(empty, since)) == decoded(after, elsewhere)
    assert changed_tasks(empty, Progress(1, 3)) == []


def test_tasks_that_were_no_news_since_are_not_loaded_but_old_ones_with_late_verdicts_are(empty: Client) -> None:
    quiet, late = row("a", minute=NOW - 100), row("b", minute=NOW - 100, verdict="failure", verdict_seen=us(NOW))
    write(empty, quiet, late)
    assert read(counted_tasks(empty, ["claims", "it's"], us(NOW - 10))) == decoded(late)


def test_progress_is_told_by_the_envelopes(empty: Client) -> None:
    nothing = progress(empty, 0, 2)
    assert (nothing.places, nothing.complete_until) == ([-1, -1], None)
    fold(empty, (0, 0, NOW), (0, 4, NOW + 3))
    half = progress(empty, 0, 2, nothing)
    assert (half.places, half.complete_until) == ([5 * EVENTS_PER_MESSAGE - 1, -1], None)
    fold(empty, (1, 0, NOW + 2))
    both = progress(empty, 0, 2, half)
    assert (both.places[1], both.complete_until) == (EVENTS_PER_MESSAGE - 1, NOW + 1)
    fold(empty, (1, 1, NOW + 9))
    assert progress(empty, 0, 2, both).complete_until == NOW + 2
    assert progress(empty, 0, 2, both) == progress(empty, 0, 2)


def test_a_new_epoch_begins_its_places_anew_and_is_as_complete_as_the_one_before(empty: Client) -> None:
    fold(empty, (0, 50, NOW))
    begun = progress(empty, 1, 1)
    assert (begun.places, begun.complete_until) == ([-1], NOW - 1)
    fold(empty, (0, 0, NOW + 5), epoch=1)
    assert progress(empty, 1, 1, begun).places == [EVENTS_PER_MESSAGE - 1]
    assert progress(empty, 1, 1).complete_until == NOW + 4
