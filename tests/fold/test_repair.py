"""A repair, in the shortest schedules that show what it does. `test_fold.py` has it meet everything else at random."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.config import Settings
from pipeline.fold.facts import empty_window
from pipeline.fold.message import NAMES_PER_REPAIR, Clock, Repair, decode_control
from pipeline.worker.clock import clock
from schemas.rows import WindowKey
from tests.fold.samples import BASE, MINUTE, SECOND, TASKS, Again, Spec
from tests.fold.world import PARTITION, World

KEY = WindowKey(BASE // SECOND, "t", "w", "production", "", "", "", "unclassified", "")


def grown(keep: int = 100) -> World:
    """Three tasks, of which one was given up, folded and written."""
    world = World(keep)
    world.append(Spec("root", "a"), Spec("costs tool", "a"), received=BASE + 1)
    world.append(Spec("root says failure", "b"), Spec("step", TASKS[2]), received=BASE + 2)
    world.tick(BASE + MINUTE, 1)
    world.append(Spec("satisfied", "a"), Spec("verdict failure", "b"), received=BASE + 3)
    for _ in range(4):
        world.fold()
        world.write()
    return world


def without_seq(world: World) -> tuple[list[object], list[object]]:
    tasks = [msgspec.structs.replace(row, seq=0) for row in world.store.task_rows.values()]
    return tasks, [msgspec.structs.replace(row, seq=0) for row in world.store.window_rows.values()]


def test_a_repair_of_what_is_right_changes_nothing_but_how_far_the_rows_are() -> None:
    world = grown(keep=1)
    before = without_seq(world)
    world.repair()
    world.fold()
    world.write()
    assert without_seq(world) == before
    rows = [*world.store.task_rows.values(), *world.store.window_rows.values()]
    assert {row.seq for row in rows} == {4 * 4096}
    world.finish()


def test_a_row_that_the_worker_has_right_in_memory_is_written_again() -> None:
    world = grown()
    world.spoil_task("a", {"actions": 99, "verdict_seen": 1})
    world.spoil_window(0)
    before = grown()
    world.repair()
    world.fold()
    world.write()
    assert without_seq(world) == without_seq(before)
    world.finish()


@pytest.mark.parametrize("keep", [1, 100])
def test_a_task_that_is_lost_is_made_again_with_when_things_became_known(keep: int) -> None:
    world = grown(keep)
    lost = world.store.task_rows.pop((PARTITION, "a"))
    world.crash()
    world.repair(["a"])
    world.fold()
    world.write()
    made = world.store.task_rows[PARTITION, "a"]
    assert msgspec.structs.replace(made, seq=lost.seq) == lost
    assert (made.claim_seen, made.answered_seen) == (BASE + 1, BASE + 3)
    world.finish()


def test_where_the_envelope_of_an_event_is_missing_the_row_tells_when_things_became_known() -> None:
    world = grown()
    before = world.store.task_rows[PARTITION, "a"]
    del world.store.envelopes[PARTITION, 0]
    world.repair(["a"])
    world.fold()
    world.write()
    assert msgspec.structs.replace(world.store.task_rows[PARTITION, "a"], seq=before.seq) == before


def test_a_task_and_a_window_that_there_should_not_be_count_nothing_afterwards() -> None:
    world = grown()
    imagined = msgspec.structs.replace(world.store.task_rows[PARTITION, "a"], task_id="nobody")
    world.store.write("tasks", [imagined.line()])
    world.spoil_window(0, model="imagined")
    world.repair(["nobody"])
    world.fold()
    world.write()
    nobody = world.store.task_rows[PARTITION, "nobody"]
    assert (nobody.status, nobody.events, nobody.claim, nobody.costs) == ("announced", 0, "", {})
    (window,) = [row for (_, key), row in world.store.window_rows.items() if key.model == "imagined"]
    assert not any([*window.counts, window.latency_us, window.scores])


def test_who_is_named_and_does_not_exist_is_not_made() -> None:
    world = grown()
    world.repair(["nobody"])
    world.fold()
    world.write()
    assert (PARTITION, "nobody") not in world.store.task_rows


def test_an_event_that_was_counted_twice_is_counted_once_and_later_ones_go_on_from_there() -> None:
    world = grown()
    world.count_twice(0)
    world.write()
    assert world.store.task_rows[PARTITION, "a"].costs == {"tool": 94}
    world.append(Spec("costs tool", "a"), Again(0))
    world.repair(["a"])
    world.append(Spec("costs tool", "a"))
    world.fold(3)
    world.write()
    assert world.store.task_rows[PARTITION, "a"].costs == {"tool": 3 * 47}
    world.finish()


def test_a_window_that_a_repair_does_not_name_stays_as_it_is() -> None:
    world = grown()
    world.spoil_window(0)
    spoilt = dict(world.store.window_rows)
    world.repair(windows=lambda _: False)
    world.fold()
    world.write()
    assert world.store.window_rows == spoilt


def test_a_window_that_was_damaged_never_holds_less_than_nothing() -> None:
    """ClickHouse takes no negative counts: the worker would stop before it comes to the repair."""
    world = grown()
    for (partition, key), row in world.store.window_rows.items():
        world.store.write("windows", [msgspec.structs.replace(empty_window(key), seq=row.seq + 1).line(partition, 0)])
    world.damaged = True
    world.crash()
    world.append(Spec("corrected", "a"), Spec("verdict success", "b", at=1), Spec("root says failure", "a"))
    world.fold()
    world.write()
    windows = list(world.store.window_rows.values())
    assert min(n for row in windows for n in (*row.counts, *row.cycle_us.values(), *row.latency_us.values())) == 0
    world.finish()


def test_a_message_of_control_is_the_time_or_a_repair() -> None:
    assert isinstance(decode_control(clock(Settings(), 5)), Clock)
    asked = Repair(["a", "\u00fc\n"], [KEY])
    assert decode_control(msgspec.json.encode(asked)) == asked


@pytest.mark.parametrize(
    "payload",
    [
        b"{}",
        b'{"type":"repair","tasks":[1]}',
        b'{"type":"repair","windows":[[60,"t"]]}',
        msgspec.json.encode(Repair(windows=[KEY._replace(minute=61)])),
        msgspec.json.encode(Repair(windows=[KEY._replace(minute=-60)])),
        msgspec.json.encode(Repair(windows=[KEY._replace(minute=2**32 + 32)])),
        msgspec.json.encode(Repair(tasks=["a"] * (NAMES_PER_REPAIR + 1))),
    ],
)
def test_a_message_of_control_that_nobody_of_ours_sends_is_refused(payload: bytes) -> None:
    """What the store would not take would stop every worker that reads it."""
    with pytest.raises(msgspec.DecodeError):
        decode_control(payload)
