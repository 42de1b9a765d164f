"""What the audit says of what the fold wrote: nothing, whatever the log, and however it was written."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from importlib.resources import files

import pytest

from schemas.event import BY_TRACE, Event
from schemas.rows import COUNTS
from schemas.units import MICRO, MINUTE_US, bucket
from schemas.words import Kind
from sinks.clickhouse.client import select_lines
from sinks.clickhouse.store import RAW_COLUMNS
from tests.audit.logs import BEGIN, ELSEWHERE, Log, event
from tests.audit.world import PARTITIONS, World, steps


@pytest.mark.parametrize("seed", range(1, 7))
def test_a_random_log_has_no_difference_and_landed_whole(world: World, seed: int) -> None:
    logs = world.land_three(seed, batch=3 + 5 * seed)
    found = world.audit()
    assert (found.total, found.differences, found.skipped) == (0, [], 0)

    told = {p: [e for m in log.messages for piece in m.pieces for e in piece.events] for p, log in logs.items()}
    assert found.landed == {**_landed(told), "dead_letters": sum(m.dead for log in logs.values() for m in log.messages)}
    assert found.tasks == len({(p, e.task_id) for p, events in told.items() for e in events if e.task_id})
    assert found.windows == world.rows("SELECT count() FROM windows")[0][0]


def _landed(told: Mapping[int, Sequence[Event]]) -> dict[str, int]:
    """How many distinct events the logs tell, each where it belongs in the end, and how many came again."""
    places, links, came = set(), set(), 0
    for partition, events in told.items():
        linked = {e.task_id for e in events if e.kind == Kind.LINK}
        is_linked, known = set(), set()
        for e in events:
            identity = (partition, e.task_id, e.hash)
            if e.kind == Kind.LINK:
                is_linked.add(e.task_id)
                links.add(identity)
            elif e.task_id in is_linked:
                places.add((ELSEWHERE, e.hash))
            elif identity not in known:
                known.add(identity)
                moves = e.task_id in linked and (e.task_source == BY_TRACE or len(e.task_id) == 32)
                places.add((ELSEWHERE, e.hash) if moves or e.task_id == ELSEWHERE else identity)
            came += e.task_id != ELSEWHERE
    return {"events": len(places), "duplicates": came - len(places) - len(links)}


def test_open_tasks_are_compared_and_are_in_no_window(world: World) -> None:
    log = Log(seed=5)
    world.land(0, log.grow(6))
    found = world.audit()
    statuses = {status for (status,) in world.rows("SELECT DISTINCT status FROM task_rows FINAL")}
    assert "open" in statuses
    assert (found.total, found.skipped) == (0, 0)
    assert found.tasks == world.rows("SELECT count() FROM task_rows FINAL")[0][0]


def test_the_random_logs_reach_every_column(landed: World) -> None:
    """Else a wrong definition of a column could not show."""
    sums = ", ".join(f"sum({name})" for name in COUNTS)
    (row,) = landed.rows(f"SELECT {sums}, sum(length(cycle_us)), sum(length(scores)) FROM window_rows FINAL")
    assert [name for name, total in zip((*COUNTS, "cycle_us", "scores"), row, strict=True) if not total] == []


def test_raw_events_that_are_not_merged_yet_count_once(world: World) -> None:
    """Rows of the same event, from a replay or from a resend that nobody remembered, in several parts and months."""
    log = Log(seed=4)
    world.land(0, log.grow(40) + log.end())
    before = world.audit()
    world.client.command("SYSTEM STOP MERGES raw_events")
    columns = ", ".join(f"`{name}`" for name in RAW_COLUMNS)
    for seq, at in (("seq", "at"), ("seq + 3 * 4096", "at"), ("seq + 4096", "at + 40 * 86400000000")):
        told = columns.replace("`seq`", f"{seq} AS `seq`").replace("`at`", f"{at} AS `at`")
        world.client.command(f"INSERT INTO raw_events ({columns}) SELECT {told} FROM raw_events WHERE seq < 30 * 4096")
    again = world.audit()
    assert again.total == 0
    assert again.landed == before.landed


def test_a_replay_from_the_beginning_changes_nothing(world: World) -> None:
    logs = world.land_three(seed=2)
    before = world.audit()
    world.folds.clear()
    for partition in PARTITIONS:
        world.land(partition, logs[partition].messages, batch=9)
    assert world.audit() == before


@pytest.mark.parametrize(("first", "last"), [(0, 1), (1, 3), (3, 7), (-9, 0)])
def test_a_range_compares_its_windows_and_the_tasks_with_events_in_it(landed: World, first: int, last: int) -> None:
    start, end = (BEGIN + first * MINUTE_US) // MICRO, (BEGIN + last * MINUTE_US) // MICRO
    found = landed.audit(start=start, end=end)
    assert (found.total, found.skipped) == (0, 0)
    inside = f"minute >= {start} AND minute < {end}"
    assert (
        found.windows
        == landed.rows(
            f"SELECT count() FROM window_rows FINAL WHERE {inside} AND tasks_finished + tasks_abandoned > 0"
        )[0][0]
    )
    assert (found.tasks > 0) == (found.windows > 0)


def test_what_is_outside_the_range_or_of_another_partition_is_not_told(damaged: World) -> None:
    (minute, partition), *_ = damaged.rows(
        "SELECT minute, partition FROM window_rows FINAL WHERE tasks_finished > 0 ORDER BY minute LIMIT 1"
    )
    damaged.insert(
        "window_rows", {"seq": "seq + 1", "actions": "actions + 1"}, f"minute = {minute} AND partition = {partition}"
    )
    assert damaged.audit().total > 0
    assert damaged.audit(start=minute, end=minute + 60).total > 0
    assert damaged.audit(start=minute + 60).total == 0
    assert damaged.audit(end=minute).total == 0
    assert damaged.audit(partitions=[p for p in PARTITIONS if p != partition]).total == 0


def test_an_event_is_late_when_the_log_had_come_more_than_a_minute_beyond_it(world: World) -> None:
    """An event that comes again, and one that is old only beside others of its own message, are not."""
    log = Log(seed=1)
    first = [event("a", Kind.STEP, BEGIN), event("b", Kind.STEP, BEGIN + 200 * MICRO)]
    ages = (61, 60, 0)
    second = [event(f"by {age}", Kind.STEP, BEGIN + 200 * MICRO - age * MICRO) for age in ages]
    world.land(0, [log.add(first), log.add(second), log.add(first)])
    world.land(1, [log.add([event("c", Kind.STEP, BEGIN)])])
    found = world.audit()
    assert (found.events, found.duplicates, found.late) == (6, 2, 1)


def test_partitions_in_several_queries_add_up(landed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    together = landed.audit()
    monkeypatch.setattr("sinks.clickhouse.audit.EVENTS_PER_QUERY", 1)
    assert landed.audit() == together


def test_an_empty_database_has_nothing_to_tell(world: World) -> None:
    found = world.audit()
    assert (found.total, found.tasks, found.windows, found.skipped) == (0, 0, 0, 0)
    assert found.landed == {"events": 0, "duplicates": 0, "dead_letters": 0}


@pytest.mark.parametrize("seed", [11, 12])
def test_a_batch_in_the_middle_of_being_written_is_no_difference(world: World, seed: int) -> None:
    """Between any two writes of a batch the audit is silent about what moves, and right about the rest."""
    log = Log(seed)
    world.land(0, log.grow(40, events=4))
    snapshot = world.fold(0, log.grow(3, events=4) + log.end())
    skipped = []
    for table, lines in steps(snapshot, size=6):
        found = world.audit()
        assert (found.total, found.differences) == (0, []), f"before a write of {table}"
        skipped.append(found.skipped)
        world.store.write(table, lines)
    assert skipped[0] == 0
    assert max(skipped) > 0
    found = world.audit()
    assert (found.total, found.skipped) == (0, 0)


def test_rows_that_no_envelope_vouches_for_are_skipped_and_counted(world: World) -> None:
    log = Log(seed=1)
    world.land(0, log.grow(30) + log.end())
    windows, tasks = (world.rows(f"SELECT count() FROM {table} FINAL")[0][0] for table in ("window_rows", "task_rows"))
    world.delete("envelope_rows", "1")
    found = world.audit()
    assert (found.total, found.tasks, found.windows) == (0, 0, 0)
    assert (found.skipped_windows, found.skipped_tasks) == (windows, tasks)


def test_the_bucket_of_a_duration_is_that_of_the_fold(world: World) -> None:
    edges = [n + d for n in (1 << power for power in range(1, 62)) for d in (-1, 0, 1)]
    values = sorted({0, *edges, *(random.Random(1).getrandbits(bits) for bits in range(1, 62) for _ in range(5))})  # noqa: S311
    head = (files("sinks.clickhouse") / "audit" / "spans.sql").read_text().rstrip().rstrip(",")
    (line,) = select_lines(
        world.client,
        f"{head} SELECT groupArray((v, bucket(v))) FROM (SELECT arrayJoin({{values:Array(UInt64)}}) AS v ORDER BY v)",
        {"values": values, "epoch": 0, "partitions": [], "ends": [], "whole": 1, "start": 0, "end": 0},
    )
    assert line.decode() == str([[[v, bucket(v)] for v in values]]).replace(" ", "")
