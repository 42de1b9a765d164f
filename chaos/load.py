"""The load: canonical events onto agent.actions, a share as OTLP spans onto otlp_spans, at a steady rate."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

import msgspec
from kafka.errors import KafkaError

from bench.otlp import OPERATIONS, request_of
from bench.work import Work
from chaos import poison
from chaos.ledger import Ledger, Outgoing
from chaos.stream import Disorder, at_pace, disordered
from pipeline.config import Settings
from pipeline.kafka import producer
from schemas.event import BY_TRACE, Event, partition_of
from schemas.message import Parted, encode_messages, parted
from schemas.words import Kind

TICK = 0.1
"""Seconds between two sends."""
MOST_AT_ONCE = 10_000
"""Events of one send, when the load catches up after an outage of the brokers."""
OPEN_TASKS = 2_000
LATEST_SECONDS = 40
"""How long a verdict or a claim is held back at most; in short runs a third of the run."""
FLUSH_SECONDS = 240.0


class Unacknowledged(RuntimeError):
    """The brokers did not take everything in time: the run can say nothing."""


class Load:
    """Sends from a thread of its own until it is stopped; `failure` is what ended it before, if anything did."""

    def __init__(self, settings: Settings, ledger: Ledger, seed: int, rate: int, otlp: int, seconds: float) -> None:
        """`rate`: canonical events a second; `otlp`: spans a second beside them."""
        self._settings, self.ledger = settings, ledger
        # Not the idempotent one: it never comes back from some restarts of a broker (docs/decisions/0006).
        self._kafka = producer(
            settings, enable_idempotence=False, linger_ms=20, compression_type="lz4", batch_size=256 * 1024
        )
        self._stopping = threading.Event()
        self._refused: deque[Outgoing] = deque()
        self._under_way = 0
        self._lock = threading.Lock()
        start = time.time_ns() // 1_000
        late = int(min(LATEST_SECONDS, seconds / 3))
        open_tasks = (OPEN_TASKS, OPEN_TASKS * otlp // rate, 1)
        works = [Work(seed * 3 + number, start, tasks) for number, tasks in enumerate(open_tasks)]
        self._direct = disordered(
            self._running(at_pace(works[0].events(), start, rate)), seed, Disorder(much_later=late * rate)
        )
        spans = (event for event in at_pace(works[1].events(), start, otlp) if event.kind in OPERATIONS)
        self._otlp = disordered(self._running(spans), seed + 1, Disorder(late_by=2 * otlp, much_later=late * otlp))
        self._samples = (event for event in works[2].events() if event.kind == Kind.MODEL_CALL)
        self._draw = random.Random(seed)  # noqa: S311 - no secrets here
        self._rates = (rate, otlp)
        self.failure: BaseException | None = None
        self.seconds = 0.0
        """For how long it sent."""
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def finish(self) -> None:
        """Send what was held back, and return when Kafka has everything. Raises what the load failed with."""
        self._stopping.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure
        self._kafka.close()

    def poison(self, messages: int) -> None:
        """Send so many useless messages to each of the two topics."""
        k = self._settings.kafka
        for _ in range(messages):
            for topic, made in ((k.actions_topic, poison.actions), (k.spans_topic, poison.spans)):
                with self._lock:
                    bad = made(self._draw, next(self._samples))
                    self.ledger.note(bad.good, over_otlp=True)
                    self.ledger.poison += len(bad.indexes)
                    partition = self._draw.randrange(k.partitions)
                self._send(Outgoing(topic, partition, bad.payload, bad.indexes))

    # --- in the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            begun, sent = time.monotonic(), [0, 0]
            while not self._stopping.wait(TICK):
                passed = time.monotonic() - begun
                for which, (rate, send) in enumerate(zip(self._rates, (self._events, self._spans), strict=True)):
                    due = min(int(passed * rate) - sent[which], MOST_AT_ONCE)
                    sent[which] += send(due)
                self._again()
            self.seconds = time.monotonic() - begun
            while self._events(MOST_AT_ONCE) + self._spans(MOST_AT_ONCE):
                pass
            self._flush()
        except BaseException as error:  # noqa: BLE001 - `finish` raises it
            self.failure = error

    def _running(self, events: Iterator[Event]) -> Iterator[Event]:
        """The events, until the load is told to stop."""
        for event in events:
            if self._stopping.is_set():
                return
            yield event

    def _events(self, number: int) -> int:
        parts: dict[int, list[Parted]] = {}
        k = self._settings.kafka
        events = list(islice(self._direct, number))
        with self._lock:
            self.ledger.note(events)
        for event in events:
            parts.setdefault(partition_of(event.task_id, k.partitions), []).append(parted(event))
        for partition, some in parts.items():
            for payload in encode_messages(some, k.message_bytes):
                self._send(Outgoing(k.actions_topic, partition, payload))
        return len(events)

    def _spans(self, number: int) -> int:
        of_agent: dict[str, list[Event]] = {}
        k = self._settings.kafka
        events = list(islice(self._otlp, number))
        with self._lock:
            self.ledger.note(events, over_otlp=True)
        for event in events:
            of_agent.setdefault(event.workflow, []).append(_as_told(event))
        for number_of, spans in enumerate(of_agent.values()):
            self._send(Outgoing(k.spans_topic, number_of % k.partitions, request_of(spans)))
        return len(events)

    def _send(self, message: Outgoing) -> None:
        with self._lock:
            self._under_way += 1
        try:
            future = self._kafka.send(message.topic, message.payload, partition=message.partition)
        except KafkaError as error:
            self._failed(message, error)
            return
        future.add_callback(partial(self._acknowledged, message))
        future.add_errback(partial(self._failed, message))

    def _acknowledged(self, message: Outgoing, answer: Any) -> None:
        self.ledger.acknowledged(message, answer)
        with self._lock:
            self._under_way -= 1

    def _failed(self, message: Outgoing, _error: BaseException) -> None:
        self._refused.append(message)
        with self._lock:
            self._under_way -= 1
            self.ledger.refused += 1

    def _again(self) -> None:
        while self._refused:
            self._send(self._refused.popleft())

    def _flush(self) -> None:
        deadline = time.monotonic() + FLUSH_SECONDS
        patience = threading.Event()
        while self._under_way or self._refused:
            self._again()
            if time.monotonic() > deadline:
                raise Unacknowledged(
                    f"Kafka did not acknowledge {self._under_way} messages within {FLUSH_SECONDS:.0f} s; "
                    "look at the brokers"
                )
            patience.wait(TICK)


def _as_told(event: Event) -> Event:
    """A span that names no task says nothing about one."""
    return msgspec.structs.replace(event, task_id="") if event.task_source == BY_TRACE else event
