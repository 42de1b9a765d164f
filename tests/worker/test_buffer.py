"""The buffer before a stage is under pressure by bytes as well as by messages."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from mode.utils.queues import FlowControlEvent

from pipeline.worker.buffer import BYTES, Buffer

MESSAGES = 1_000


def event(size: int) -> Any:
    return SimpleNamespace(message=SimpleNamespace(value=bytes(size)))


def fill(sizes: list[int]) -> tuple[Buffer, list[str]]:
    """A buffer with events of these sizes, and what it called for."""
    buffer, called = Buffer(MESSAGES, flow_control=FlowControlEvent()), list[str]()
    high, low = (lambda: called.append("pause")), (lambda: called.append("resume"))
    for size in sizes:
        buffer.put_nowait_enhanced(event(size), on_pressure_high=high, on_pressure_drop=low)
    return buffer, called


def run(sizes: list[int], take: int = 0) -> list[str]:
    async def fill_and_take() -> list[str]:
        buffer, called = fill(sizes)
        for _ in range(take):
            await buffer.get()
        return called

    return asyncio.run(fill_and_take())


def test_many_small_messages_pause_a_partition() -> None:
    assert run([1] * 800) == []
    assert run([1] * 801) == ["pause"]


def test_a_few_large_messages_pause_it_as_well() -> None:
    assert run([BYTES // 10] * 8) == []
    assert run([BYTES // 10] * 9 + [1]) == ["pause"]


def test_it_is_resumed_when_enough_of_the_bytes_are_taken() -> None:
    assert run([BYTES // 10] * 10, take=5) == ["pause"]
    assert run([BYTES // 10] * 10, take=8) == ["pause", "resume"]


def test_bytes_alone_do_not_make_it_full_so_that_other_stages_go_on() -> None:
    async def is_full(sizes: list[int]) -> bool:
        return fill(sizes)[0].full()

    assert not asyncio.run(is_full([BYTES] * 3))
    assert asyncio.run(is_full([1] * MESSAGES))


def test_a_cleared_buffer_holds_no_bytes() -> None:
    async def after_clear() -> int:
        buffer, _ = fill([BYTES])
        buffer.clear()
        return buffer.qsize()

    assert asyncio.run(after_clear()) == 0
