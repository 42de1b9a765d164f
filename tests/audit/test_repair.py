"""What the audit finds is what a repair names, and after it the audit finds nothing; on a real ClickHouse."""

from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pipeline.fold.message import NAMES_PER_REPAIR, Message, Repair, decode_control
from pipeline.repair import messages, named
from schemas.rows import WindowKey
from tests.audit.logs import BEGIN, Log
from tests.audit.world import World

MOST_BYTES = 2_000
DAMAGE = {
    "task_rows": {"seq": "seq + 1", "actions": "actions + 7", "case_type": "'imagined'", "verdict_seen": "5"},
    "window_rows": {"seq": "seq + 1", "tasks_finished": "tasks_finished + 7", "scores": "map('nobody', (1, 5))"},
}


def repair(world: World, logs: dict[int, Log]) -> int:
    """Have what the audit finds repaired; the number of messages."""
    sent = list(messages(*named(world.audit(detail=10_000).differences), MOST_BYTES))
    for partition, payload in sent:
        asked = decode_control(payload)
        assert isinstance(asked, Repair)
        log = logs[partition]
        log.messages.append(Message(len(log.messages), BEGIN, repair=asked))
        world.land(partition, [log.messages[-1]])
    return len(sent)


def damage(world: World) -> None:
    for table, changed in DAMAGE.items():
        world.insert(table, changed, "status IN ('finished', 'linked')" if table == "task_rows" else "1")
    finished = "status = 'finished' ORDER BY task_id LIMIT 1"
    world.insert("task_rows", {"task_id": "'nobody'"}, finished)
    world.insert("window_rows", {"model": "'imagined'"}, "tasks_finished > 0 ORDER BY minute LIMIT 1")
    world.delete("task_rows", "task_id = 'task-1'")
    world.delete("window_rows", "workflow = 'v'")


def test_whatever_was_damaged_is_right_again_and_a_repair_may_come_again(world: World) -> None:
    """Rows that the fold holds in memory and rows that it does not, in more messages than one."""
    logs = world.land_three(seed=3)
    damage(world)
    assert world.audit().total > 100
    assert repair(world, logs) > len(logs)
    found = world.audit()
    assert (found.total, found.skipped) == (0, 0)
    assert repair(world, logs) == 0

    world.folds.clear()  # the last messages are read again, by another owner
    for partition, log in logs.items():
        world.land(partition, log.messages[-5:])
        world.land(partition, log.grow(10) + log.end())
    found = world.audit()
    assert (found.total, found.skipped) == (0, 0)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
keys = st.builds(WindowKey, st.integers(0, 2**26).map(lambda n: 60 * n), *[st.sampled_from(("", "é", "x" * 90))] * 8)


@given(
    tasks=st.sets(st.tuples(st.integers(0, 2), texts), max_size=30),
    windows=st.sets(st.tuples(st.integers(0, 2), keys), max_size=30),
)
def test_everything_is_named_once_in_messages_of_bounded_size(
    tasks: set[tuple[int, str]], windows: set[tuple[int, WindowKey]]
) -> None:
    told = Counter[object]()
    for partition, payload in messages(tasks, windows, MOST_BYTES):
        asked = decode_control(payload)
        assert isinstance(asked, Repair)
        names = [*asked.tasks, *asked.windows]
        told.update((partition, name) for name in names)
        assert len(names) == 1 or len(payload) < MOST_BYTES + 100
    assert told == Counter([*tasks, *windows])


def test_a_message_names_no_more_than_a_worker_takes() -> None:
    tasks = {(0, f"task-{n}") for n in range(2 * NAMES_PER_REPAIR + 1)}
    sizes = [len(msgspec.json.decode(payload)["tasks"]) for _, payload in messages(tasks, set(), 10**6)]
    assert sizes == [NAMES_PER_REPAIR, NAMES_PER_REPAIR, 1]
