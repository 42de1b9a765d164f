"""Each poison becomes exactly the dead letters that are expected of it, and what is good of it lands."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

import pytest

from bench.work import Work
from chaos import poison
from pipeline.config import Settings
from pipeline.normalise.normaliser import Normaliser, Packed
from pipeline.worker.breaker import Breaker
from pipeline.worker.folding import Arrival, Folding
from schemas.event import Event
from schemas.words import Kind
from sinks.memory import MemoryStore
from tests.events import sent

NOW = time.time_ns() // 1_000
SEEDS = range(60)


def sample(seed: int) -> Event:
    return next(event for event in Work(seed, NOW, 1).events() if event.kind == Kind.MODEL_CALL)


def draw(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - no secrets here


async def nowhere(_lines: dict[int, list[bytes]]) -> None:
    """Nothing is sent on."""


async def acked(_start: int, _end: int) -> None:
    """Nobody commits."""


async def folded(payloads: Sequence[bytes]) -> MemoryStore:
    store = MemoryStore()
    folding = Folding(store, Settings(), nowhere, Breaker(1, 1_000))
    await folding.fold([Arrival(0, offset, NOW, payload) for offset, payload in enumerate(payloads)], acked)
    await folding.drain()
    folding.stop()
    return store


def test_every_poison_of_actions_is_one_dead_letter() -> None:
    made = [poison.actions(draw(seed), sample(seed)) for seed in SEEDS]
    store = asyncio.run(folded([each.payload for each in made]))
    letters = {(offset, index) for _, _, offset, index in store.dead_letters}
    assert letters == {(offset, index) for offset, each in enumerate(made) for index in each.indexes}
    assert store.raw == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_poison_of_spans_is_its_dead_letters_and_its_good_events(seed: int) -> None:
    made, packed = poison.spans(draw(seed), sample(seed)), Packed()
    Normaliser(Settings()).add(packed, "otlp_spans", 0, 0, NOW, made.payload)
    assert tuple(dead.index for dead in packed.dead_letters) == made.indexes
    landed = sent(packed)
    assert {e.hash for e in landed if e.kind != Kind.LINK} == {e.hash for e in made.good}


def test_there_are_many_poisons() -> None:
    payloads = {poison.actions(draw(seed), sample(0)).payload[:40] for seed in SEEDS}
    assert len(payloads) > 8
    assert len({poison.spans(draw(seed), sample(0)).indexes for seed in SEEDS}) == 4
