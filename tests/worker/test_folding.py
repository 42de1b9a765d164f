"""What a message of `agent.actions` that nobody should have sent costs: itself, and nothing beside it."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import msgspec
import pytest

from pipeline.config import LimitSettings, Settings
from pipeline.worker.breaker import Breaker
from pipeline.worker.folding import EVENT_BYTES, Arrival, Folding
from schemas.event import EVENTS_PER_MESSAGE, TIME_END, Event
from schemas.message import encode_line, encode_message
from schemas.rows import DeadLetter
from schemas.words import Kind
from sinks.memory import MemoryStore
from tests.events import AT, event, payload_of

GOOD = [encode_line(event(f"e{n}", task_id=f"t{n}")) for n in range(5)]
LATE = encode_line(event("late", at=TIME_END))
NESTED = b"[" * 20_000 + b"]" * 20_000


async def nowhere(_lines: dict[int, list[Event]]) -> None:
    """Nothing is sent on."""


async def acked(_start: int, _end: int) -> None:
    """Nobody commits."""


def folded(*payloads: bytes, settings: Settings | None = None) -> MemoryStore:
    async def fold() -> None:
        await folding.fold([Arrival(0, offset, AT, payload) for offset, payload in enumerate(payloads)], acked)
        await folding.drain()

    store = MemoryStore()
    folding = Folding(store, settings or Settings(), nowhere, Breaker(1, 1_000))
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


def test_what_a_task_has_no_room_for_is_a_dead_letter_with_its_bytes_that_names_the_limit() -> None:
    """Of spans two, of what judges them two more; what is known is a duplicate all the same."""
    told = [event(f"e{n}", task_id="t", kind=Kind.TOOL_CALL, name="find", attributes={"secret": "s"}) for n in range(4)]
    told += [event(f"v{n}", task_id="t", kind=Kind.VERDICT, value="success") for n in range(3)]
    room = Settings(limits=LimitSettings(task_events=2))
    store = folded(payload_of([*told[:4], told[0]]), payload_of(told[4:]), settings=room)
    assert sorted(seq for seq, _ in store.raw.values()) == [0, 1, EVENTS_PER_MESSAGE, EVENTS_PER_MESSAGE + 1]
    assert {(d.offset, d.index, d.records, d.received, d.reason) for d in store.dead_letters.values()} == {
        (0, 2, 2, AT, "task_full"), (1, 2, 1, AT, "task_full"),
    }  # fmt: skip
    letter = store.dead_letters["agent.actions", 0, 0, 2]
    assert letter.detail == "limits.task_events: its task has 2 events already; these are 2 more"
    assert [(each["task_id"], each["event_id"], each["name"]) for each in kept(letter)] == [
        ("t", "e2", "find"), ("t", "e3", "find"),
    ]  # fmt: skip
    assert {offset: (e.events, e.dead) for (_, offset), e in store.envelopes.items()} == {0: (5, 0), 1: (3, 0)}
    assert store.task_rows[0, "t"].events == 4


def test_of_more_events_than_a_dead_letter_has_room_for_the_first_are_kept() -> None:
    told = [event(f"e{n}", task_id="t", attributes={"k": "v" * 10_000}) for n in range(10)]
    (letter,) = folded(payload_of(told), settings=Settings(limits=LimitSettings(task_events=1))).dead_letters.values()
    assert letter.records == 9
    assert [each["event_id"] for each in kept(letter)] == ["e1", "e2", "e3", "e4", "e5", "e6"]


def kept(letter: DeadLetter) -> list[dict[str, Any]]:
    return list(msgspec.json.decode(base64.b64decode(letter.payload)))


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
