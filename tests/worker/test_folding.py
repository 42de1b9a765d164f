"""What a message of `agent.actions` that nobody should have sent costs: itself, and nothing beside it."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.config import Settings
from pipeline.worker.breaker import Breaker
from pipeline.worker.folding import EVENT_BYTES, Arrival, Folding
from schemas.event import EVENTS_PER_MESSAGE, TIME_END, Event
from schemas.message import encode_line, encode_message
from sinks.memory import MemoryStore
from tests.events import AT, event, payload_of

GOOD = [encode_line(event(f"e{n}", task_id=f"t{n}")) for n in range(5)]
LATE = encode_line(event("late", at=TIME_END))
NESTED = b"[" * 20_000 + b"]" * 20_000


async def nowhere(_lines: dict[int, list[Event]]) -> None:
    """Nothing is sent on."""


async def acked(_start: int, _end: int) -> None:
    """Nobody commits."""


def folded(*payloads: bytes) -> MemoryStore:
    async def fold() -> None:
        await folding.fold([Arrival(0, offset, AT, payload) for offset, payload in enumerate(payloads)], acked)
        await folding.drain()

    store = MemoryStore()
    folding = Folding(store, Settings(), nowhere, Breaker(1, 1_000))
    asyncio.run(fold())
    folding.stop()
    return store


@pytest.mark.parametrize("bad", [LATE, b"garbage", b"", b"[]", NESTED], ids=lambda bad: repr(bad[:20]))
def test_a_bad_line_is_a_dead_letter_and_takes_no_neighbour_with_it(bad: bytes) -> None:
    store = folded(encode_message([*GOOD[:2], bad, *GOOD[2:4], bad]), encode_message([GOOD[4]]))
    assert {(task, seq) for (_, task, _), (seq, _) in store.raw.items()} == {
        ("t0", 0), ("t1", 1), ("t2", 2), ("t3", 3), ("t4", EVENTS_PER_MESSAGE),
    }  # fmt: skip
    assert sorted(store.dead_letters) == [("agent.actions", 0, 0, 2), ("agent.actions", 0, 0, 5)]
    assert {offset: (e.events, e.dead) for (_, offset), e in store.envelopes.items()} == {0: (4, 2), 1: (1, 0)}
    assert store.task_rows.keys() == {(0, f"t{n}") for n in range(5)}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"garbage\nmore of it",
        NESTED,
        b'{"at":1,"abandon_after":1,"more":%b}' % NESTED,
        encode_message([GOOD[0], *[b""] * EVENTS_PER_MESSAGE]),
    ],
    ids=lambda payload: repr(payload[:20]),
)
def test_a_message_that_no_worker_made_is_one_dead_letter(payload: bytes) -> None:
    store = folded(payload, encode_message([GOOD[0]]))
    assert list(store.dead_letters) == [("agent.actions", 0, 0, -1)]
    assert {offset: (e.events, e.dead) for (_, offset), e in store.envelopes.items()} == {0: (0, 1), 1: (1, 0)}


def test_what_is_more_than_is_folded_at_once_is_folded_and_acked_in_parts_in_its_order() -> None:
    parts: list[tuple[int, int]] = []

    async def note(start: int, end: int) -> None:
        parts.append((start, end))

    async def fold() -> None:
        await folding.fold([Arrival(0, n, AT, whole) for n, whole in enumerate(payloads)], note)
        await folding.drain()

    payloads = [payload_of([event(f"{n}-{i}", task_id=f"t{n}") for i in range(4)]) for n in range(5)]
    store, at_once = MemoryStore(), len(payloads[0]) // EVENT_BYTES * 2
    folding = Folding(store, Settings(worker={"events": at_once}), nowhere, Breaker(1, 1_000))
    asyncio.run(fold())
    folding.stop()
    assert parts == [(0, 2), (2, 4), (4, 5)]
    assert {row.task_id: row.events for row in store.task_rows.values()} == {f"t{n}": 4 for n in range(5)}
