"""What the worker leans on, or is built to avoid, of what Faust does with acks, offsets and what it buffers.

Why: docs/decisions/0001-faust-without-tables.md. A failure here after an upgrade of faust-streaming, mode-streaming
or aiokafka says that a reason has changed, not that the worker is wrong: look at what rests on it first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import faust.streams
import pytest

from pipeline.worker.kafka import of_this_generation
from tests.worker.faust_agents import TAKEN, Failed, Taker, ack, agent, holds, log, offsets
from tests.worker.faust_log import FIRST, Log, Record, Running, running

# --- who acks what an agent failed at ---------------------------------------------------------


async def acked_after_a_failure(way: str) -> tuple[set[int], int]:
    """The offsets acked once an agent has failed at the first of its batches, and how many messages that had."""
    failed: list[int] = []

    async def handle(_: Any, batch: Any) -> None:
        if not failed:
            failed.append(len(batch))
            raise Failed
        await source.over.wait()

    source, taker = log(5), Taker(way, handle)
    async with running(agent(taker), source) as held:
        await held.until(lambda: taker.runs == 2 or (failed and held.acked()))
        return held.acked(), failed[0]


@pytest.mark.parametrize("way", ["take", "take_events"])
def test_take_acks_a_batch_at_which_its_agent_failed(way: str) -> None:
    acked, messages = asyncio.run(acked_after_a_failure(way))
    assert acked == set(range(messages))


def test_noack_take_acks_nothing_of_a_batch_at_which_its_agent_failed() -> None:
    assert asyncio.run(acked_after_a_failure("noack_take"))[0] == set()


def test_plain_iteration_acks_the_event_at_which_its_agent_failed() -> None:
    assert asyncio.run(acked_after_a_failure("async for"))[0] == {0}


def test_noack_take_acks_what_the_agent_acks_and_nothing_else() -> None:
    seen: list[int] = []

    async def handle(stream: Any, batch: Any) -> None:
        await ack(stream, [event for event in batch if event.message.offset != 3])
        seen.extend(offsets(batch))

    async def run() -> tuple[set[int], int]:
        async with running(agent(Taker("noack_take", handle)), log(6)) as held:
            await held.until(lambda: len(seen) == 6)
            acked = held.acked()
            return acked, (await held.commit())[FIRST]

    assert asyncio.run(run()) == ({0, 1, 2, 4, 5}, 3)


@pytest.mark.parametrize(("way", "acked"), [("take", {0, 1}), ("noack_take", set())])
def test_cancelling_an_agent_acks_the_batch_that_take_is_at_and_not_that_of_noack_take(
    way: str, acked: set[int]
) -> None:
    at: list[Any] = []

    async def handle(_: Any, batch: Any) -> None:
        at.append(batch)
        await source.over.wait()

    async def run() -> set[int]:
        async with running(agent(taker), source) as held:
            await held.until(lambda: at)
            for actor in held.app.agents["agent"]._actors:
                actor.actor_task.cancel()
            await held.until(lambda: taker.runs == 2)
            return held.acked()

    source, taker = log(TAKEN), Taker(way, handle)
    assert asyncio.run(run()) == acked


# --- Faust's own decoding -------------------------------------------------------------------------


def test_an_error_in_fausts_decoding_ends_a_batching_agent_in_silence_and_acks_all_that_it_does_not_see() -> None:
    seen: list[Any] = []

    async def handle(_: Any, batch: Any) -> None:
        seen.append(batch)

    async def run() -> None:
        source, taker = Log(), Taker("noack_take", handle)
        source.append(FIRST, b"no JSON")
        async with running(agent(taker), source, value_type=dict, value_serializer="json") as held:
            await held.until(lambda: taker.returned)
            assert held.acked() == {0}
            source.append(FIRST, b'{"good": 1}', b'{"good": 2}')
            await held.until(lambda: held.acked() == {0, 1, 2})
            assert (seen, taker.runs, held.app.should_stop) == ([], 1, False)

    asyncio.run(run())


@pytest.mark.parametrize("value", [b"\xff\x00 no JSON", b"", b"null"])
def test_a_topic_of_raw_bytes_gives_any_bytes_as_they_are(value: bytes) -> None:
    seen: list[bytes] = []

    async def handle(_: Any, batch: Any) -> None:
        seen.extend(event.message.value for event in batch)

    async def run() -> None:
        source = Log()
        source.append(FIRST, value, b"next")
        async with running(agent(Taker("noack_take", handle)), source) as held:
            await held.until(lambda: len(seen) == 2)

    asyncio.run(run())
    assert seen == [value, b"next"]


# --- which offset is committed ------------------------------------------------------------


async def committed_over_a_hole(held: Running, acked: Sequence[int]) -> int | None:
    """What is committed once these offsets are acked, as an agent would ack them."""
    for offset in acked:
        held.consumer.ack(held.consumer._to_message(FIRST, Record(offset, b"")))
    return (await held.commit()).get(FIRST)


@pytest.mark.parametrize("committed", [None, 0])
def test_a_hole_at_the_start_of_a_partition_is_committed_over(committed: int | None) -> None:
    async def run() -> int | None:
        source = log(20)
        if committed is not None:
            source.committed[FIRST] = committed
        async with running(holds, source) as held:
            return await committed_over_a_hole(held, range(10, 20))

    assert asyncio.run(run()) == 20


def test_a_hole_after_a_committed_offset_is_not_committed_over() -> None:
    async def run() -> int | None:
        source = log(20)
        source.committed[FIRST] = 5
        async with running(holds, source) as held:
            return await committed_over_a_hole(held, range(10, 20))

    assert asyncio.run(run()) == 5


async def after_missing_offsets(acked: Sequence[int]) -> int | None:
    """What is committed of a partition whose offsets are 0, 1, 2, 6 and 7, when these are acked."""
    source = log(3)
    source.append(FIRST, b"6", b"7", skip=3)
    async with running(holds, source) as held:
        await held.until(lambda: held.consumer._read_offset[FIRST] == 7)
        await committed_over_a_hole(held, range(3))
        return await committed_over_a_hole(held, acked)


def test_an_ack_out_of_order_commits_over_the_message_that_follows_missing_offsets() -> None:
    assert asyncio.run(after_missing_offsets([7])) == 8


def test_acks_in_order_commit_no_message_that_is_not_acked() -> None:
    assert asyncio.run(after_missing_offsets([6])) == 7


def test_an_agent_that_starts_again_goes_on_behind_its_hole_which_is_then_committed() -> None:
    """Why the worker ends its process instead."""
    seen: list[int] = []

    async def handle(stream: Any, batch: Any) -> None:
        seen.extend(offsets(batch))
        if 0 in offsets(batch):
            raise Failed
        await ack(stream, batch)

    async def run() -> dict[Any, int]:
        source, taker = log(0), Taker("noack_take", handle)
        async with running(agent(taker), source) as held:
            source.append(FIRST, b"0")
            await held.until(lambda: taker.runs == 2)
            source.append(FIRST, b"1", b"2")
            await held.until(lambda: len(held.acked()) == 2)
            return dict(await held.commit())

    assert asyncio.run(run()) == {FIRST: 3}
    assert seen == [0, 1, 2]


# --- what was buffered before a rebalance ---------------------------------------------------------


async def stale_message() -> tuple[list[int], set[int]]:
    """The offsets that an agent saw, and those acked, when a message of the generation before came late."""
    seen: list[int] = []

    async def handle(stream: Any, batch: Any) -> None:
        seen.extend(offsets(batch))
        await ack(stream, batch)

    source = Log()
    async with running(agent(Taker("noack_take", handle)), source) as held:
        stale = held.consumer._to_message(FIRST, Record(7, b"stale"))
        await held.rebalance()
        await held.app.topics.on_message(stale)
        await held.app.topics.on_message(held.consumer._to_message(FIRST, Record(9, b"of now")))
        await held.until(lambda: seen)
        return seen, held.acked()


def test_a_message_of_an_earlier_generation_is_skipped_and_not_acked() -> None:
    assert faust.streams._CStreamIterator is not None, "this wheel of faust-streaming has no compiled streams"
    assert asyncio.run(stale_message()) == ([9], {9})


def test_without_the_compiled_streams_it_is_skipped_and_acked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faust.streams, "_CStreamIterator", None)
    assert asyncio.run(stale_message()) == ([9], {7, 9})


def test_what_noack_take_holds_survives_a_rebalance_and_is_delivered_again() -> None:
    """So the worker drops what is not of this generation."""
    batches: list[Any] = []

    async def three(stream: Any) -> None:
        async for batch in stream.noack_take(3, within=3_600.0):
            batches.append(batch)
            return  # it could not be stopped while it waits for another

    async def run() -> tuple[list[Any], list[Any]]:
        async with running(three, log(2)) as held:
            await held.until(lambda: len(held.consumer._unacked_messages) == 2)
            await held.rebalance()
            await held.until(lambda: batches)
            (batch,) = batches
            return batch, of_this_generation(held.app, batch)

    batch, ours = asyncio.run(run())
    assert [(event.message.offset, event.message.generation_id) for event in batch] == [(0, 1), (1, 1), (0, 2)]
    assert offsets(ours) == [0]
