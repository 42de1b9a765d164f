"""The Faust app: the stages of the stream, as one list of agents.

otlp_spans, otlp_logs ──normalise──> agent.actions ──fold──> ClickHouse
                          └────────> agent.deadletter ──land──> ClickHouse

Kafka's committed offset is only a low-water mark: everything below it is durable, and what lies above
may be read again at any time. No tables, no transactions (docs/decisions/0001-faust-without-tables.md).
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import faust
import msgspec
import structlog

from pipeline.config import Settings
from pipeline.health import serve_health
from pipeline.normalise.normaliser import Normaliser, Packed
from pipeline.normalise.origin import origin_of
from pipeline.worker import kafka
from pipeline.worker.breaker import Breaker, Tripped
from pipeline.worker.clock import clock
from pipeline.worker.folding import Arrival, Folding
from pipeline.worker.health import Health
from schemas.event import Event
from schemas.message import NOT_EVENTS, Parted, encode_messages, parted
from schemas.rows import DeadLetter, Replay
from sinks.port import Store

log = structlog.get_logger()
CRASHED = 70
TRIPPED = 65
"""Exit codes, of sysexits.h: EX_SOFTWARE, and EX_DATAERR for the circuit breaker."""
LAST_WORDS_SECONDS = 5.0
"""How long a worker that its breaker stops still tells why on /readyz."""
YOUNG_ONLY = (500_000, 50, 1_000_000)
"""Thresholds of Python's garbage collector. Millions of rows live long and are in no cycles: looking through
them took a quarter of the time, and would stop the heartbeat for seconds."""


class Worker:
    """Composition root of the worker: `app` is the Faust app, `run` runs it until it is told to stop."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store = settings, store
        self.normaliser = Normaliser(settings)
        self.breaker = Breaker(settings.limits.dead_share, settings.limits.dead_window)
        self.folding = Folding(store, settings, self.send_on, self.breaker)
        self.health = Health(self.folding)
        self.app = kafka.faust_app(settings)
        topic = settings.kafka
        self._actions = kafka.raw_topic(self.app, topic.actions_topic)
        self._dead = kafka.raw_topic(self.app, topic.deadletter_topic)
        incoming = kafka.raw_topic(self.app, topic.spans_topic, topic.logs_topic)
        stages: list[tuple[str, Any, Callable[[Any, Sequence[Any]], Awaitable[None]]]] = [
            ("normalise", incoming, self.normalise),
            ("fold", self._actions, self.fold),
            ("land", self._dead, self.land),
        ]
        for name, source, stage in stages:
            self.app.agent(source, name=name, concurrency=1)(self._stage(name, stage))
        self.app.timer(interval=settings.worker.clock)(self.let_time_pass)
        self.app.on_partitions_assigned.connect(self._assigned)
        self.app.on_before_shutdown.connect(self._shutdown)

    # --- the stages -------------------------------------------------------------------------------

    async def normalise(self, stream: Any, events: Sequence[Any]) -> None:
        """OTLP messages become canonical events and dead letters; acked once Kafka has those."""
        packed = Packed()
        await asyncio.to_thread(self._normalise, packed, events)
        await self.send_actions(packed.parts)
        told = [dead.line() for dead in packed.dead_letters] + [replay.line() for replay in packed.replays]
        await kafka.delivered([await self._dead.send(value=line) for line in told])
        self.health.normalised(packed)
        await kafka.ack(stream, events)

    def _normalise(self, packed: Packed, events: Sequence[Any]) -> None:
        for event in events:
            m = event.message
            records, dead = packed.counts["records"], len(packed.dead_letters)
            origin = origin_of(m.topic, m.partition, m.offset, m.headers)
            received = kafka.received(m) or time.time_ns() // 1_000
            self.normaliser.add(packed, m.topic, m.partition, m.offset, received, m.value or b"", origin)
            if origin is None:  # what is replayed was bad once, and may be again
                bad = len(packed.dead_letters) - dead
                self.breaker.count(m.topic, m.partition, m.offset, max(packed.counts["records"] - records, bad), bad)

    async def fold(self, stream: Any, events: Sequence[Any]) -> None:
        """Canonical events become rows; acked once ClickHouse has them."""
        arrivals = [
            Arrival(e.message.partition, e.message.offset, kafka.received(e.message), e.message.value or b"")
            for e in events
        ]
        await self.folding.fold(arrivals, lambda start, end: kafka.ack(stream, events[start:end]))
        self.health.folded(arrivals)

    async def send_on(self, events: dict[int, list[Event]]) -> None:
        """Send events to their partitions of `agent.actions`; return when Kafka has them."""
        if events:
            await self.send_actions({partition: [*map(parted, some)] for partition, some in events.items()})

    async def send_actions(self, parts: dict[int, list[Parted]]) -> None:
        """The same of encoded events."""
        messages = await asyncio.to_thread(self._packed, parts)
        await kafka.delivered([await self._actions.send(value=payload, partition=p) for p, payload in messages])

    def _packed(self, parts: dict[int, list[Parted]]) -> list[tuple[int, bytes]]:
        limit = self.settings.kafka.message_bytes
        return [(p, payload) for p, some in parts.items() for payload in encode_messages(some, limit)]

    async def land(self, stream: Any, events: Sequence[Any]) -> None:
        """Dead letters of the first stage become rows."""
        rows = [row for e in events if (row := _told(e.message.value)) is not None]
        for table, kind in (("dead_letters", DeadLetter), ("replays", Replay)):
            lines = [row.line() for row in rows if isinstance(row, kind)]
            await asyncio.to_thread(self.folding.patient.write, table, lines)
        await kafka.ack(stream, events)

    async def let_time_pass(self) -> None:
        """Put a clock event into every partition of `agent.actions` that this worker owns."""
        owned = kafka.assigned(self.app, self.settings.kafka.actions_topic)
        payload = clock(self.settings, time.time_ns() // 1_000)
        for partition in sorted(owned):
            await self._actions.send(value=payload, partition=partition)

    # --- running ----------------------------------------------------------------------------------

    def _stage(self, name: str, stage: Callable[[Any, Sequence[Any]], Awaitable[None]]) -> Any:
        async def agent(stream: Any) -> None:
            worker = self.settings.worker
            async for batch in stream.noack_take(worker.messages, within=worker.linger):
                events = kafka.of_this_generation(self.app, batch)
                if not events:
                    continue
                try:
                    await stage(stream, events)
                except asyncio.CancelledError:
                    raise
                except Tripped as tripped:
                    await self._trip(name, tripped)
                except BaseException:
                    if self.folding.stopping:
                        return
                    # An actor that restarts goes on behind the hole it made; a process reads again.
                    log.critical("the worker stops: what it was at will be read again", stage=name, exc_info=True)
                    os._exit(CRASHED)
                self.health.beat(name)

        agent.__name__ = name
        return agent

    async def _trip(self, stage: str, tripped: Tripped) -> None:
        """Say why, let nothing of the bad stretch count as done, and end the process."""
        log.critical("the circuit breaker stops the worker", stage=stage, why=str(tripped))
        self.health.stopping(f"the circuit breaker stops this worker: {tripped}")
        await asyncio.sleep(LAST_WORDS_SECONDS)
        await kafka.go_back(self.app, tripped.topic, tripped.partition, tripped.first_offset)
        os._exit(TRIPPED)

    async def _assigned(self, _app: Any, assigned: set[Any], **_: Any) -> None:
        actions = self.settings.kafka.actions_topic
        self.folding.keep_only({tp.partition for tp in assigned if tp.topic == actions})
        self.breaker.keep_only({(tp.topic, tp.partition) for tp in assigned})
        self.health.assigned(len(assigned))

    async def _shutdown(self, _app: Any, **_: Any) -> None:
        try:
            await asyncio.wait_for(self.folding.drain(), timeout=10)
        except TimeoutError:
            log.warning("stopping with a batch that is not written; it will be read again")
        finally:
            self.folding.stop()

    def run(self) -> int:
        """Run until SIGTERM or SIGINT. Returns the exit code."""
        gc.set_threshold(*YOUNG_ONLY)
        with serve_health(self.health, self.settings.http):
            worker = faust.Worker(
                self.app, override_logging=False, redirect_stdouts=False, quiet=True, blocking_timeout=None
            )
            worker.spinner = None
            try:
                worker.execute_from_commandline()
            except SystemExit as stop:
                return stop.code if isinstance(stop.code, int) else 0
        return 0


def _told(value: bytes | None) -> DeadLetter | Replay | None:
    """A row of the dead letter topic, checked, since anybody may write to it. An empty message is a mark."""
    if not value:
        return None
    for decoder in _TOLD:
        with suppress(*NOT_EVENTS):
            return decoder.decode(value)
    log.error("a message of the dead letter topic is no dead letter", bytes=len(value))
    return None


_TOLD: tuple[msgspec.json.Decoder[DeadLetter] | msgspec.json.Decoder[Replay], ...] = (
    msgspec.json.Decoder(Replay),
    msgspec.json.Decoder(DeadLetter),
)
