"""The second stage: batches of `agent.actions` into the store: one is written, one folded, one gathered at a time.

Folding and writing have a thread each, so the event loop stays free to keep the group membership.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from pipeline.config import Settings
from pipeline.fold.held import Keep
from pipeline.fold.message import Batch, Clock, Message, decode_control
from pipeline.fold.partition import PartitionFold
from pipeline.worker.breaker import Breaker
from pipeline.worker.letters import surplus, unusable
from pipeline.worker.patient import Patient
from schemas.event import EVENTS_PER_MESSAGE, Event, partition_of
from schemas.message import NOT_EVENTS, decode_each, decode_message
from schemas.rows import DeadLetter
from sinks.port import Snapshot, Store, Stored, write

EVENT_BYTES = 256
"""About what an event takes in a message. To count them before they are decoded took half a µs an event."""


class Arrival(NamedTuple):
    """A Kafka message as it came. `received` is its timestamp in microseconds."""

    partition: int
    offset: int
    received: int
    payload: bytes


class Folding:
    """Folds and writes. `fold` returns once the batch before is folded; the acks come in their order."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        forward: Callable[[dict[int, list[Event]]], Awaitable[None]],
        breaker: Breaker,
    ) -> None:
        """`forward` sends events to partitions of `agent.actions`, and returns when Kafka has them."""
        self._settings, self._forward, self._breaker = settings, forward, breaker
        self._folds: dict[int, PartitionFold] = {}
        self._compute = ThreadPoolExecutor(1, thread_name_prefix="fold")
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="ask")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._folding: asyncio.Task[None] | None = None
        self._in_flight: Future[None] | None = None
        self._acking: asyncio.Task[None] | None = None
        self._stopping = threading.Event()
        self.patient = Patient(store, self._stopping)
        self.events = 0
        self.dead = Counter[str]()
        """Records that became dead letters so far, by reason."""

    async def fold(self, arrivals: Sequence[Arrival], ack: Callable[[int, int], Awaitable[None]]) -> None:
        """Fold a batch and start to write it; `ack(start, end)` is called when those arrivals are durable.

        Raises what the fold of an earlier batch raised, Tripped among it: the process must stop then. The next batch
        comes soon, since clock messages do.
        """
        for start, end in self._chunks(arrivals):
            if self._folding is not None:
                await self._folding
            self._folding = asyncio.create_task(self._fold_and_write(arrivals[start:end], partial(ack, start, end)))

    async def _fold_and_write(self, arrivals: Sequence[Arrival], ack: Callable[[], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        snapshot, positions = await loop.run_in_executor(self._compute, self._fold, arrivals)
        await self._forward(self._by_partition(snapshot.forwards))
        if self._acking is not None:
            await self._acking
        self._in_flight = self._writing.submit(self._write, snapshot, positions)
        self._acking = asyncio.create_task(self._finish(self._in_flight, ack))

    def _by_partition(self, forwards: Sequence[Event]) -> dict[int, list[Event]]:
        events: dict[int, list[Event]] = {}
        for event in forwards:
            events.setdefault(partition_of(event.task_id, self._settings.kafka.partitions), []).append(event)
        return events

    async def drain(self) -> None:
        """Return when everything folded is written and acked."""
        if self._folding is not None:
            await self._folding
        if self._acking is not None:
            await self._acking

    def stop(self) -> None:
        """Give up waiting for a store that is away; what is not written will be read again."""
        self._stopping.set()
        self._compute.shutdown(wait=False, cancel_futures=True)
        self._asking.shutdown(wait=False, cancel_futures=True)
        self._writing.shutdown(wait=False, cancel_futures=True)

    def keep_only(self, partitions: set[int]) -> None:
        """Forget partitions that another worker owns now."""
        for partition in self._folds.keys() - partitions:
            self._folds.pop(partition, None)

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop: what its calls raise from then on is no error."""
        return self._stopping.is_set()

    @property
    def partitions(self) -> dict[int, PartitionFold]:
        """The folds of this worker."""
        return self._folds

    # --- in the fold thread -----------------------------------------------------------------------

    def _chunks(self, arrivals: Sequence[Arrival]) -> Iterator[tuple[int, int]]:
        """Split a batch where it would hold more than `worker.events`, by the bytes that events mostly have."""
        start = held = 0
        for i, arrival in enumerate(arrivals):
            n = len(arrival.payload) // EVENT_BYTES
            if i > start and held + n > self._settings.worker.events:
                yield start, i
                start, held = i, 0
            held += n
        if arrivals:
            yield start, len(arrivals)

    def _fold(self, arrivals: Sequence[Arrival]) -> tuple[Snapshot, dict[int, int]]:
        snapshot, positions = Snapshot(), {}
        by_partition: dict[int, list[Arrival]] = {}
        for arrival in arrivals:
            by_partition.setdefault(arrival.partition, []).append(arrival)
        partitions, asked = sorted(by_partition), []
        for some in (partitions[::2], partitions[1::2]):  # while the store answers for one half, the other is decoded
            work = [(self._fold_of(p, by_partition[p][0].offset), by_partition[p]) for p in some]
            ready = [(fold, self._batch(fold, came, snapshot)) for fold, came in work]
            unheld = {fold.partition: fold.unheld(batch) for fold, batch in ready}
            asked.append((ready, unheld, self._asking.submit(self.patient.stored, unheld)))
        for ready, unheld, answer in asked:
            found: dict[int, list[Stored]] = {}
            for stored in answer.result():
                found.setdefault(stored.row.partition, []).append(stored)
            for fold, batch in ready:
                if batch.messages:
                    snapshot.extend(fold.fold(batch, unheld[fold.partition], found.get(fold.partition, ())))
                    self.events += sum(m.events for m in batch.messages)
                positions[fold.partition] = fold.position
        most, topic = self._settings.limits.task_events, self._settings.kafka.actions_topic
        self._bury(snapshot, surplus(topic, snapshot.surplus, most))
        return snapshot, positions

    def _batch(self, fold: PartitionFold, came: Sequence[Arrival], snapshot: Snapshot) -> Batch:
        """Those that are new, decoded; what cannot be is a dead letter."""
        batch = Batch()
        for arrival in came:
            if arrival.offset * EVENTS_PER_MESSAGE > fold.position:  # else: redelivered, it is in already
                message, dead = self._decode(arrival)
                topic = self._settings.kafka.actions_topic
                self._breaker.count(topic, fold.partition, arrival.offset, 1, int(bool(dead)))
                batch.add(message)
                self._bury(snapshot, dead)
        return batch

    def _bury(self, snapshot: Snapshot, dead: Iterable[DeadLetter]) -> None:
        for letter in dead:
            self.dead[letter.reason] += letter.records
            snapshot.dead_letters.append(letter.line())

    def _fold_of(self, partition: int, offset: int) -> PartitionFold:
        """The fold of a partition; a new one where messages are missing, since another owner had them."""
        fold, worker = self._folds.get(partition), self._settings.worker
        if fold is None or offset * EVENTS_PER_MESSAGE > fold.position + 1:
            fold = self._folds[partition] = PartitionFold(
                partition,
                self.patient,
                next_offset=offset,
                epoch=self._settings.kafka.epoch,
                keep=Keep(worker.rows_held, worker.open_held, 5 * worker.rows_held),
                task_events=self._settings.limits.task_events,
                settled=self._settled,
            )
        return fold

    def _decode(self, arrival: Arrival) -> tuple[Message, list[DeadLetter]]:
        try:
            if arrival.payload.startswith(b"{"):
                control = decode_control(arrival.payload)
                if isinstance(control, Clock):
                    return Message(arrival.offset, arrival.received, clock=control), []
                return Message(arrival.offset, arrival.received, repair=control), []
            return Message(arrival.offset, arrival.received, *decode_message(arrival.payload)), []
        except NOT_EVENTS as error:
            return self._saved(arrival, str(error))

    def _saved(self, arrival: Arrival, why: str) -> tuple[Message, list[DeadLetter]]:
        """What is good of a message that cannot be decoded as a whole; whatever else it holds is dead letters."""
        try:
            decoded, wrong = decode_each(arrival.payload)
        except NOT_EVENTS:
            return Message(arrival.offset, arrival.received, dead=1), [self._dead(arrival, -1, why, arrival.payload)]
        dead = [self._dead(arrival, index, *what) for index, what in wrong.items()]
        return Message(arrival.offset, arrival.received, *decoded, dead=len(dead)), dead

    def _dead(self, arrival: Arrival, index: int, why: str, payload: bytes) -> DeadLetter:
        topic = self._settings.kafka.actions_topic
        return unusable(topic, arrival.partition, arrival.offset, index, arrival.received, why, payload)

    def _settled(self) -> None:
        if self._in_flight is not None:
            self._in_flight.result()

    # --- in the write thread ----------------------------------------------------------------------

    def _write(self, snapshot: Snapshot, positions: dict[int, int]) -> None:
        write(self.patient, snapshot)
        for partition, position in positions.items():
            fold = self._folds.get(partition)
            if fold is not None:
                fold.written(position)

    async def _finish(self, written: Future[None], ack: Callable[[], Awaitable[None]]) -> None:
        await asyncio.wrap_future(written)
        await ack()
