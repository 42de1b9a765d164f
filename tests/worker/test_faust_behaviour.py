"""What Faust does that the worker leans on, or is built to avoid (docs/decisions/0001-faust-without-tables.md).

A failure here after an upgrade of faust-streaming, mode-streaming or aiokafka says that a reason has changed, not
that the worker is wrong: look at what rests on it first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import faust.streams
import pytest
from faust.transport.consumer import Consumer
from mode import Service

from pipeline.worker.kafka import of_this_generation
from tests.worker.faust_log import FIRST, Log, Record, Running, running

TAKEN = 2
"""Messages of a batch."""


class Failed(Exception):
    """What an agent raises here."""


class Taker:
    """An agent: `handle` is called with each batch of its stream, by one of Faust's ways to take batches."""

    def __init__(self, way: str, handle: Callable[[Any, Any], Coroutine[Any, Any, None]]) -> None:
        self._way, self._handle = way, handle
        self.runs = self.returned = 0

    async def __call__(self, stream: Any) -> None:
        self.runs += 1
        if self._way == "async for":
            async for value in stream:
                await self._handle(stream, [value])
        else:
            async for batch in getattr(stream, self._way)(TAKEN, within=0.01):
                await self._handle(stream, batch)
        self.returned += 1


def agent(taker: Taker) -> Any:
    """A function of it, since Faust takes no other callable for an agent."""

    async def agent(stream: Any) -> None:
        await taker(stream)

    return agent


def log(messages: int) -> Log:
    """A partition with so many messages."""
    made = Log()
    made.append(FIRST, *(b"%d" % number for number in range(messages)))
    return made


def offsets(batch: Sequence[Any]) -> list[int]:
    return [event.message.offset for event in batch]


async def ack(stream: Any, batch: Sequence[Any]) -> None:
    for event in batch:
        await stream.ack(event)


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


async def holds(stream: Any) -> None:
    """An agent that acks nothing."""
    async for _ in stream.noack_take(TAKEN, within=0.01):
        pass


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


# --- rebalances ----------------------------------------------------------------------------------


async def rebalance_while_busy(wait_empty: bool) -> tuple[bool, int]:
    """Whether a rebalance ended while a batch was not acked, and how often it looked for acks before it was."""
    at: list[Any] = []
    looks = 0
    done = asyncio.Event()

    async def handle(stream: Any, batch: Any) -> None:
        at.append(batch)
        await done.wait()
        await ack(stream, batch)

    async def looked(**_: Any) -> None:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0)

    changes = {"stream_wait_empty": wait_empty}
    async with running(agent(Taker("noack_take", handle)), log(TAKEN), changes=changes) as held:
        await held.until(lambda: at)
        held.consumer._wait_for_ack = looked
        rebalancing = asyncio.create_task(held.rebalance())
        await held.until(lambda: rebalancing.done() or looks > 10)
        ended = rebalancing.done()
        done.set()
        await rebalancing
        return ended, looks


def test_a_rebalance_waits_for_acks_without_end_where_stream_wait_empty_is_on() -> None:
    ended, looks = asyncio.run(rebalance_while_busy(True))
    assert (ended, looks > 10) == (False, True)


def test_a_rebalance_does_not_wait_for_a_batch_with_the_settings_of_the_worker() -> None:
    assert asyncio.run(rebalance_while_busy(False)) == (True, 0)


# --- backpressure and membership -----------------------------------------------------------------


def test_nothing_is_fetched_while_every_partition_is_under_pressure_and_again_after_it() -> None:
    go_on, seen = asyncio.Event(), list[int]()

    async def handle(stream: Any, batch: Any) -> None:
        await go_on.wait()
        seen.extend(offsets(batch))

    async def run() -> None:
        source, naps = log(50), 0
        source.fetched = 1
        async with running(agent(Taker("noack_take", handle)), source, changes={"stream_buffer_maxsize": 10}) as held:
            sleep = held.consumer.sleep

            async def nap(seconds: float) -> None:
                nonlocal naps
                naps += seconds == 1
                await (asyncio.sleep(0.001) if seconds == 1 else sleep(seconds))

            held.consumer.sleep = nap
            await held.until(lambda: naps > 1)
            assert held.consumer._buffered_partitions == {FIRST}
            before = source.fetches
            await held.until(lambda: naps > 20)
            assert source.fetches == before  # and so the driver is not polled
            go_on.set()
            await held.until(lambda: len(seen) == 50)

    asyncio.run(run())


class _Member:
    """What aiokafka's heartbeat looks at, of a member that has fetched nothing for `idle` seconds."""

    UNKNOWN = ""

    def __init__(self, idle: float, limit: float) -> None:
        self.member_id = "member"
        self._heartbeat_interval_ms, self._session_timeout_ms, self._retry_backoff_ms = 1, 6_000, 1
        self._max_poll_interval = limit
        self._subscription = type("Subscription", (), {"fetcher_idle_time": idle})
        self.beats, self.left = 0, False

    async def ensure_coordinator_known(self) -> None:
        """It is known."""

    async def _do_heartbeat(self) -> bool:
        self.beats += 1
        if self.beats > 3:
            self.member_id = self.UNKNOWN  # ends the routine
        return True

    async def _maybe_leave_group(self) -> None:
        self.left, self.member_id = True, self.UNKNOWN


@pytest.mark.parametrize(("idle", "leaves"), [(999.0, False), (1_001.0, True)])
def test_aiokafka_leaves_the_group_when_it_was_not_polled_for_the_poll_interval(idle: float, leaves: bool) -> None:
    from aiokafka.consumer.group_coordinator import GroupCoordinator

    member = _Member(idle, limit=1_000.0)
    asyncio.run(GroupCoordinator._heartbeat_routine(member))
    assert member.left == leaves


def test_the_poll_interval_of_the_worker_reaches_aiokafka(monkeypatch: pytest.MonkeyPatch) -> None:
    import aiokafka

    from pipeline.config import Settings
    from pipeline.worker.kafka import faust_app

    given: dict[str, Any] = {}
    monkeypatch.setattr(aiokafka, "AIOKafkaConsumer", lambda **options: given.update(options))

    async def run() -> None:
        app = faust_app(Settings())
        consumer = app.transport.create_consumer(callback=ack, on_partitions_revoked=ack, on_partitions_assigned=ack)
        with suppress(AttributeError):  # of the consumer that is not made
            consumer._new_consumer_thread()._create_worker_consumer(app.transport)

    asyncio.run(run())
    assert given["max_poll_interval_ms"] == 24 * 3_600_000
    assert given["enable_auto_commit"] is False
    assert given["auto_offset_reset"] == "earliest"


# --- the price of a message ----------------------------------------------------------------------


def test_each_message_costs_four_tasks_of_asyncio() -> None:
    """Why events are packed, many to a message."""

    async def run() -> tuple[int, int]:
        calls = 0
        plain = Consumer.wait_first

        async def counted(*waiting: Any, **options: Any) -> Any:
            nonlocal calls
            calls += len(waiting) == 2
            return await plain(held.consumer, *waiting, **options)

        source = Log()
        async with running(holds, source) as held:
            held.consumer.wait_first = counted
            source.append(FIRST, *[b"message"] * 50)
            await held.until(lambda: held.consumer._read_offset[FIRST] == 49)
        return calls, await tasks_of(Service.wait_first)

    assert asyncio.run(run()) == (50, 4)


async def tasks_of(wait_first: Any) -> int:
    """The tasks made to wait for one of two things, as the fetcher waits for a message to be delivered."""
    made = 0
    loop = asyncio.get_running_loop()

    class Bare(Service):  # type: ignore[misc]
        """A service of nothing."""

    def count(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        nonlocal made
        made += 1
        return asyncio.Task(coroutine, loop=loop, **options)

    service, event = Bare(), asyncio.Event()
    loop.set_task_factory(count)
    try:
        await wait_first(service, asyncio.sleep(0), event.wait())
    finally:
        loop.set_task_factory(None)
    return made
