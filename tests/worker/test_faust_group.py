"""What the worker leans on, or is built to avoid, of what Faust does in a group, under pressure, and per message.

Why: docs/decisions/0001-faust-without-tables.md. A failure here after an upgrade of faust-streaming, mode-streaming
or aiokafka says that a reason has changed, not that the worker is wrong: look at what rests on it first.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from faust.transport.consumer import Consumer
from mode import Service

from tests.worker.faust_agents import TAKEN, Taker, ack, agent, holds, log, offsets
from tests.worker.faust_log import FIRST, Log, running

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
