"""Damage, one thing at a time: the audit names exactly that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from schemas.rows import COUNTS
from sinks.clickhouse.audit import TASK_FACTS, WINDOW_COLUMNS, Difference
from tests.audit.world import PARTITIONS, World

DIMENSIONS = "tenant, workflow, stage, environment, agent, agent_version, case_type, model"
ROW = f"partition, minute, {DIMENSIONS}"
KEY = f"[formatDateTime(toDateTime(minute, 'UTC'), '%FT%TZ'), {DIMENSIONS}]"
"""As a difference tells it."""

TEXTS = (*DIMENSIONS.split(", "), "status", "task_source", "claim", "verdict", "verifier", "linked_to")
MAPS = {
    "cycle_us": "map(9, 1)::Map(UInt16, UInt64)",
    "latency_us": "map(9, 1)::Map(UInt16, UInt64)",
    "interventions": "map('nodded', 1)::Map(LowCardinality(String), UInt32)",
    "costs": "map('air', 1)::Map(LowCardinality(String), UInt64)",
}
WINDOW_MAPS = MAPS | {"scores": "map('nobody', (1, 5))::Map(String, Tuple(UInt64, Int64))"}
TASK_MAPS = MAPS | {"scores": "map('nobody', 5)::Map(String, Int64)"}
"""What no log of these tests leads to."""


def places(differences: Iterable[Difference]) -> set[tuple[str, int, tuple[str, ...]]]:
    """The rows that differ."""
    return {(d.kind, d.partition, d.key) for d in differences}


def columns(differences: Iterable[Difference]) -> set[tuple[str, int, tuple[str, ...], str]]:
    """The columns of rows that differ."""
    return {(d.kind, d.partition, d.key, d.column) for d in differences}


def a_window(world: World) -> tuple[int, tuple[str, ...], str]:
    """A window that counts something: partition, key, and a condition that only it meets."""
    ((partition, key, code),) = world.rows(
        f"SELECT partition, {KEY}, cityHash64({ROW}) FROM window_rows FINAL WHERE tasks_finished > 0 ORDER BY 3 LIMIT 1"
    )
    return partition, tuple(key), f"cityHash64({ROW}) = {code}"


def a_task(world: World, status: str) -> tuple[int, str, str]:
    """A task of this status: partition, id, and a condition that only it meets."""
    ((partition, task),) = world.rows(
        f"SELECT partition, task_id FROM task_rows FINAL WHERE status = '{status}' ORDER BY task_id LIMIT 1"
    )
    return partition, task, f"partition = {partition} AND task_id = '{task}'"


def test_a_wrong_value_in_any_column_of_a_window_is_named(damaged: World) -> None:
    """Each column in a window of its own, in a row that is newer than the right one."""
    windows = damaged.rows(f"SELECT partition, {KEY} FROM window_rows FINAL WHERE tasks_finished > 0 ORDER BY {ROW}")
    expected = {
        ("window", partition, tuple(key), column)
        for (partition, key), column in zip(windows, WINDOW_COLUMNS, strict=False)
    }
    assert len(expected) == len(WINDOW_COLUMNS)
    _spoil(
        damaged, "window_rows", "tasks_finished > 0", ROW, {name: _wrong(name, WINDOW_MAPS) for name in WINDOW_COLUMNS}
    )

    found = damaged.audit()
    assert columns(found.differences) == expected
    assert found.total == len(expected)
    assert all(int(d.stored) == int(d.recomputed) + 1 for d in found.differences if d.column in COUNTS)


def test_a_wrong_value_in_any_column_of_a_task_is_named(damaged: World) -> None:
    """Each column in a task of its own, in a row that is newer than the right one."""
    chosen, order = "status = 'finished'", "partition, task_id"
    tasks = damaged.rows(f"SELECT partition, task_id FROM task_rows FINAL WHERE {chosen} ORDER BY {order}")
    expected = {("task", p, (task,), column) for (p, task), column in zip(tasks, TASK_FACTS, strict=False)}
    assert len(expected) == len(TASK_FACTS)
    _spoil(damaged, "task_rows", chosen, order, {name: _wrong(name, TASK_MAPS) for name in TASK_FACTS})

    found = damaged.audit()
    assert columns(found.differences) == expected
    assert found.total == len(expected)


def _spoil(world: World, table: str, where: str, order: str, wrong: Mapping[str, str]) -> None:
    """Of the n-th row in this order, make the n-th column wrong."""
    values = ", ".join(f"if(n = {n}, {value}, {name}) AS {name}" for n, (name, value) in enumerate(wrong.items()))
    numbered = f"SELECT *, row_number() OVER (ORDER BY {order}) - 1 AS n FROM {table} FINAL WHERE {where}"
    world.client.command(
        f"INSERT INTO {table} SELECT * EXCEPT (n) REPLACE (seq + 1 AS seq, {values}) "
        f"FROM ({numbered}) WHERE n < {len(wrong)} SETTINGS prefer_column_name_to_alias = 1"
    )


def _wrong(column: str, maps: Mapping[str, str]) -> str:
    """Another value for a column."""
    if column in TEXTS:
        return f"concat({column}, '!')"
    return maps.get(column) or ("['x']" if column == "trace_ids" else f"ifNull({column}, 0) + 1")


def test_a_missing_window_is_named_with_all_that_it_counted(damaged: World) -> None:
    partition, key, only = a_window(damaged)
    damaged.delete("window_rows", only)
    found = damaged.audit()
    assert places(found.differences) == {("window", partition, key)}
    assert all(d.stored in ("0", "{}") and d.recomputed not in ("0", "{}") for d in found.differences)
    assert "tasks_finished" in {d.column for d in found.differences}


def test_a_window_too_many_is_named(damaged: World) -> None:
    partition, key, only = a_window(damaged)
    damaged.insert("window_rows", {"model": "'imagined'"}, only)
    found = damaged.audit()
    assert places(found.differences) == {("window", partition, (*key[:-1], "imagined"))}
    assert all(d.recomputed in ("0", "{}") for d in found.differences)


def test_a_window_too_many_that_counts_nothing_is_none(damaged: World) -> None:
    nothing = dict.fromkeys(COUNTS, "0") | {name: "map()" for name in WINDOW_MAPS if name in WINDOW_COLUMNS}
    damaged.insert("window_rows", nothing | {"model": "'imagined'"}, a_window(damaged)[2])
    assert damaged.audit().total == 0


def test_a_missing_raw_event_that_no_window_counts_shows_in_its_task_alone(damaged: World) -> None:
    before = damaged.audit()
    ((partition, task, code),) = damaged.rows(
        "SELECT partition, task_id, hash "
        "FROM raw_events AS e FINAL JOIN task_rows AS t FINAL USING (partition, task_id) "
        "WHERE e.kind = 'outcome' AND t.status = 'finished' ORDER BY hash LIMIT 1"
    )
    damaged.delete("raw_events", f"hash = {code} AND partition = {partition} AND task_id = '{task}'")
    found = damaged.audit()
    source = ("task", partition, (task,), "task_source")  # where the event was the only one to tell it
    assert columns(found.differences) - {source} == {("task", partition, (task,), "events")}
    assert (found.events, found.duplicates) == (before.events - 1, before.duplicates + 1)


def test_a_missing_raw_event_that_a_window_counts_shows_in_its_task_and_its_window(damaged: World) -> None:
    place = KEY.replace("minute", "intDiv(t.claim_at, 60000000) * 60").replace(
        "case_type", "if(t.case_type = '', 'unclassified', t.case_type)"
    )
    for name in DIMENSIONS.replace("case_type, ", "").split(", "):
        place = place.replace(f" {name}", f" t.{name}")
    ((partition, task, key, code),) = damaged.rows(
        f"SELECT partition, task_id, {place}, hash "
        "FROM raw_events AS e FINAL JOIN task_rows AS t FINAL USING (partition, task_id) "
        "WHERE e.kind = 'cost' AND e.name = 'operations' AND e.cost > 0 AND t.status = 'finished' ORDER BY hash LIMIT 1"
    )
    damaged.delete("raw_events", f"hash = {code} AND partition = {partition} AND task_id = '{task}'")
    found = damaged.audit()
    assert places(found.differences) == {("task", partition, (task,)), ("window", partition, tuple(key))}
    assert {d.column for d in found.differences if d.kind == "task"} == {"events", "costs"}
    assert all("cost" in d.column for d in found.differences if d.kind == "window")


def test_a_missing_task_row_is_named(damaged: World) -> None:
    partition, task, only = a_task(damaged, "finished")
    damaged.delete("task_rows", only)
    found = damaged.audit()
    assert places(found.differences) == {("task", partition, (task,))}
    assert ("status", "", "finished") in {(d.column, d.stored, d.recomputed) for d in found.differences}


def test_a_task_of_which_nothing_was_said_is_named(damaged: World) -> None:
    damaged.insert("task_rows", {"task_id": "'nobody'"}, a_task(damaged, "finished")[2])
    assert {d.key for d in damaged.audit().differences} == {("nobody",)}


def test_a_task_given_up_in_its_window_but_not_in_its_row_is_named(damaged: World) -> None:
    """Which of the two is wrong, only the log's clock knew."""
    partition, _, only = a_task(damaged, "abandoned")
    damaged.insert("task_rows", {"seq": "seq + 1", "status": "'open'"}, only)
    found = damaged.audit()
    ((kind, where, _),) = places(found.differences)
    assert (kind, where) == ("window", partition)
    told = {d.column: int(d.stored) - int(d.recomputed) for d in found.differences if d.column in COUNTS}
    assert told["tasks_abandoned"] == 1


@pytest.mark.parametrize(("first", "last", "key"), [(0, 0, ("0",)), (5, 5, ("5",)), (9, 11, ("9", "11"))])
def test_a_hole_in_the_log_is_named(damaged: World, first: int, last: int, key: tuple[str, ...]) -> None:
    damaged.delete("envelope_rows", f"partition = 1 AND offset >= {first} AND offset <= {last}")
    missing = str(last - first + 1)
    assert damaged.audit().differences == [Difference("gap", 1, key, "envelopes", "0", missing)]
    assert damaged.audit(partitions=[p for p in PARTITIONS if p != 1]).total == 0


def test_a_message_with_more_events_than_it_held_is_named(damaged: World) -> None:
    ((offset, events),) = damaged.rows(
        "SELECT intDiv(seq, 4096) AS offset, max(bitAnd(seq, 4095)) + 1 FROM raw_events FINAL WHERE partition = 7 "
        "GROUP BY offset HAVING count() > 2 ORDER BY offset LIMIT 1"
    )
    damaged.client.command(
        f"ALTER TABLE envelope_rows UPDATE events = 2 WHERE partition = 7 AND offset = {offset}",
        settings={"mutations_sync": 1},
    )
    assert damaged.audit().differences == [Difference("message", 7, (str(offset),), "events", "2", str(events))]


def test_an_unreadable_message_that_nobody_kept_is_named(damaged: World) -> None:
    ((partition, offset),) = damaged.rows("SELECT partition, offset FROM dead_letter_rows ORDER BY 1, 2 LIMIT 1")
    before = damaged.audit()
    damaged.delete("dead_letter_rows", f"partition = {partition} AND offset = {offset}")
    found = damaged.audit()
    assert found.differences == [Difference("dead_letter", partition, (str(offset),), "dead", "0", "1")]
    assert found.dead_letters == before.dead_letters - 1


def test_a_dead_letter_written_twice_stands_for_no_other(damaged: World) -> None:
    ((partition, offset),) = damaged.rows("SELECT partition, offset FROM dead_letter_rows ORDER BY 1, 2 LIMIT 1")
    one = f"partition = {partition} AND offset = {offset}"
    damaged.client.command("SYSTEM STOP MERGES dead_letter_rows")
    damaged.insert("dead_letter_rows", {"received": "received"}, one)
    damaged.insert("envelope_rows", {"events": "2", "dead": "2"}, one)
    assert damaged.rows(f"SELECT count() FROM dead_letter_rows WHERE {one}") == [(2,)]
    assert damaged.audit().differences == [Difference("dead_letter", partition, (str(offset),), "dead", "1", "2")]


def test_more_differences_than_are_told_are_all_counted(damaged: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.clickhouse.audit.DETAIL", 2)
    damaged.insert("window_rows", {"seq": "seq + 1", "actions": "actions + 1"}, "1")
    found = damaged.audit()
    assert found.total == damaged.rows("SELECT count() FROM window_rows FINAL")[0][0] > 2
    assert len(found.differences) == 2
    first = found.differences[0]
    assert str(first).endswith(f": actions is {first.stored!r}, recomputed {first.recomputed!r}")
