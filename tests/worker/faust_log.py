"""Faust with everything of its own, on a log in memory instead of a broker: what it acks, commits and reads again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

from faust.transport.consumer import Consumer
from faust.transport.producer import Producer
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from pipeline.config import Settings
from pipeline.worker.kafka import faust_app, raw_topic

TOPIC = "log"
FIRST = TP(TOPIC, 0)
SECONDS = 10.0
"""After which a condition will not come true any more."""

Agent = Callable[[Any], Awaitable[None]]


class Record(NamedTuple):
    """A message of the log."""

    offset: int
    value: bytes


class Log:
    """The partitions of a topic, and what a consumer group has committed."""

    def __init__(self, partitions: Collection[TP] = (FIRST,), fetched: int = 100) -> None:
        """`fetched`: the most records of a partition that a fetch brings."""
        self.partitions, self.fetched = frozenset(partitions), fetched
        self.records: dict[TP, list[Record]] = {tp: [] for tp in partitions}
        self.committed: dict[TP, int] = {}
        self.fetches = 0
        """How often it was asked for records."""
        self.grown = asyncio.Event()
        self.over = asyncio.Event()
        """Set at the end of a test: an agent may wait for it."""

    def append(self, tp: TP, *values: bytes, skip: int = 0) -> None:
        """Messages at the end of a partition, `skip` offsets after the one before, as compaction leaves them."""
        records = self.records[tp]
        start = (records[-1].offset + 1 if records else 0) + skip
        records += [Record(start + number, value) for number, value in enumerate(values)]
        self.grown.set()


class LogConsumer(Consumer):  # type: ignore[misc]
    """Faust's consumer, all of it but the connection."""

    def __init__(self, log: Log, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.source = log
        self._positions: dict[TP, int] = {}
        self._assigned: set[TP] = set()

    async def rebalance(self, assigned: Iterable[TP]) -> None:
        """What a driver calls when the group gives this member other partitions, or the same ones again."""
        self.app.on_rebalance_start()
        if self._assigned:
            await self.on_partitions_revoked(set(self._assigned))
        self._assigned = set(assigned)
        self._positions.clear()
        self.app.consumer_generation_id += 1
        await self.on_partitions_assigned(set(self._assigned), self.app.consumer_generation_id)

    async def subscribe(self, topics: Iterable[str]) -> None:
        self.add_future(self.rebalance(self.source.partitions))  # Faust goes on before the group has met

    def assignment(self) -> set[TP]:
        return self._assigned

    async def _getmany(self, active_partitions: Any, timeout: float) -> Mapping[TP, list[Record]]:
        self.source.fetches += 1
        found: dict[TP, list[Record]] = {}
        for tp in active_partitions:
            position = self._positions.get(tp, 0)
            records = [each for each in self.source.records[tp] if each.offset >= position][: self.source.fetched]
            if records:
                found[tp] = records
                self._positions[tp] = records[-1].offset + 1
        if not found:
            self.source.grown.clear()
            await _quiet(self.source.grown.wait(), timeout / 50)
        return found

    def _to_message(self, tp: TP, record: Record) -> ConsumerMessage:
        place = (tp.topic, tp.partition, record.offset)
        generation = self.app.consumer_generation_id
        return ConsumerMessage(*place, 1.0, 0, None, None, record.value, None, tp=tp, generation_id=generation)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        self.source.committed.update(offsets)
        return True

    async def seek_to_committed(self) -> Mapping[TP, int]:
        committed = {tp: self.source.committed[tp] for tp in self._assigned if tp in self.source.committed}
        self._positions = dict(committed)
        return committed

    async def _seek(self, partition: TP, offset: int) -> None:
        self._positions[partition] = offset

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        for tp, offset in partitions.items():
            await self.seek(tp, offset)

    async def position(self, tp: TP) -> int | None:
        return self._positions.get(tp)

    def highwater(self, tp: TP) -> int:
        return len(self.source.records[tp])

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        return {tp: self.highwater(tp) for tp in partitions}

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        return dict.fromkeys(partitions, 0)

    async def seek_to_beginning(self, *partitions: TP) -> None:
        self._positions.update(dict.fromkeys(partitions, 0))

    def topic_partitions(self, topic: str) -> int | None:
        return len(self.source.partitions)

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        return partition

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    async def create_topic(self, *_: Any, **__: Any) -> None:
        """The log is there."""

    def close(self) -> None:
        """Nothing is open."""


class Running:
    """A Faust app that reads the log with the worker's settings, and with one agent."""

    def __init__(self, app: Any, log: Log) -> None:
        self.app, self.log = app, log

    @property
    def consumer(self) -> Any:
        return self.app.consumer

    def acked(self, tp: TP = FIRST) -> set[int]:
        """Offsets that Faust may commit, and those of them that it has committed already."""
        return set(self.consumer._acked[tp]) | set(range(self.log.committed.get(tp, 0)))

    async def commit(self) -> dict[TP, int]:
        """What the group has committed, once all that may be committed is."""
        await self.consumer.commit()
        return self.log.committed

    async def rebalance(self) -> None:
        """The group meets again, and gives this member the same partitions."""
        before = self.app.consumer_generation_id
        await self.consumer.rebalance(self.log.partitions)
        await self.until(lambda: self.app.consumer_generation_id > before and self.app.flow_control.is_active())

    async def until(self, condition: Callable[[], Any]) -> None:
        """Return when it holds. Fails after a time in which it must have."""
        async with asyncio.timeout(SECONDS):
            while not condition():
                await asyncio.sleep(0.001)


@asynccontextmanager
async def running(
    agent: Agent, log: Log, *, changes: Mapping[str, Any] | None = None, **topic: Any
) -> AsyncIterator[Running]:
    """The worker's Faust app with `agent`. `changes`: of Faust's settings; `topic`: of the agent's topic."""
    app = faust_app(Settings())
    app.conf.broker_commit_interval = 3600.0  # a test commits when it looks
    for name, value in (changes or {}).items():
        setattr(app.conf, name, value)
    app.transport.Consumer = partial(LogConsumer, log)
    app.transport.Producer = Producer
    app.agent(app.topic(TOPIC, **topic) if topic else raw_topic(app, TOPIC), name="agent", concurrency=1)(agent)
    app.finalize()
    app.tables.sleep = _no_time  # a second that Faust leaves for tables to be declared; there are none
    held = Running(app, log)
    await app.start()
    try:
        await held.until(lambda: app.flow_control.is_active() and log.fetches)
        yield held
    finally:
        log.over.set()
        async with asyncio.timeout(SECONDS):
            await app.stop()


async def _no_time(_seconds: float) -> None:
    await asyncio.sleep(0)


async def _quiet(waiting: Any, timeout: float) -> None:
    try:
        await asyncio.wait_for(waiting, timeout)
    except TimeoutError:
        return
