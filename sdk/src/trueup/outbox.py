"""The bounded queue between an exporter and Kafka, and the thread that empties it.

A message stays in the outbox until Kafka acknowledges it. What does not fit is refused and counted, so
memory is bounded and the agent never waits; trouble with Kafka costs at most what does not fit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from opentelemetry import context, trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

from trueup.drops import DropReason, Drops, RareWarning
from trueup.forks import survive_fork
from trueup.producer import Failure, SharedProducer, TopicUnavailableError, Trouble, UnreachableError

logger = logging.getLogger(__name__)

MOST_REFUSALS = 3
"""How often a broker may refuse a message before it is dropped."""
WATCH_INTERVAL = 1.0
"""Seconds between two looks at the messages that wait for their acknowledgement."""


@dataclass(eq=False)
class Message:
    """A request on its way. `generation` is that of the producer that has it; None while it waits."""

    number: int
    payload: bytes
    count: int
    generation: int | None = None
    sent_at: float = 0.0
    refusals: int = 0


class Outbox:
    """Holds at most `limit` bytes for one topic. `offer` never blocks on Kafka and never raises."""

    def __init__(
        self,
        topic: str,
        shared: SharedProducer,
        drops: Drops,
        *,
        limit: int,
        delivery_timeout: float,
        clock: Callable[[], float] = time.monotonic,
        watch_interval: float = WATCH_INTERVAL,
    ) -> None:
        self._topic = topic
        self._shared = shared
        self._drops = drops
        self._limit = limit
        self._delivery_timeout = delivery_timeout
        self._clock = clock
        self._watch_interval = watch_interval
        self._topic_warning = RareWarning(clock)
        self._next_number = 0
        self._delivered = 0
        self._closing = False
        self._reset()
        survive_fork(self)
        self._start()  # now, not with the first message: an interpreter that is exiting starts no threads

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._held: dict[int, Message] = {}  # everything that is not settled, oldest first
        self._waiting: deque[Message] = deque()  # the part of it that no producer has
        self._held_bytes = 0
        self._watch_at = float("-inf")
        self._stopped = self._closing
        self._thread: threading.Thread | None = None

    def forked(self) -> None:
        """In a child: the parent delivers what is held; a thread starts with the first message."""
        self._delivered = 0
        self._reset()

    def offer(self, payload: bytes, count: int) -> bool:
        """Take a message of `count` items, or count them as dropped and return False."""
        with self._changed:
            if self._closing:
                reason = DropReason.AFTER_SHUTDOWN
            elif self._held_bytes + len(payload) > self._limit:
                reason = DropReason.QUEUE_FULL
            else:
                self._next_number += 1
                message = Message(self._next_number, payload, count)
                self._held[message.number] = message
                self._held_bytes += len(payload)
                self._waiting.append(message)
                self._start()
                self._changed.notify_all()
                return True
        self._drops.add(reason, count)
        return False

    def flush(self, timeout: float) -> bool:
        """Wait until everything offered so far is settled; False if `timeout` seconds were not enough."""
        self._shared.retry_now()
        with self._changed:
            self._changed.notify_all()
            newest = self._next_number
            return self._changed.wait_for(lambda: next(iter(self._held), newest + 1) > newest, max(0.0, timeout))

    def close(self, timeout: float) -> None:
        """Refuse what comes from now on, wait up to `timeout` seconds, then drop and count the rest.

        Where another outbox waited for the same broker in vain already, it does not wait again.
        """
        with self._changed:
            if self._closing:
                return
            self._closing = True
        if not self.flush(0 if self._shared.given_up else timeout):
            self._shared.given_up = not self._shared.connected
        with self._changed:
            self._stopped = True
            rest = sum(message.count for message in self._held.values())
            self._held.clear()
            self._held_bytes = 0
            self._changed.notify_all()
        reason = DropReason.DELIVERY_FAILED if self._shared.connected else DropReason.BROKER_UNREACHABLE
        self._drops.add(reason, rest, "not acknowledged before the shutdown's timeout")

    @property
    def delivered(self) -> int:
        """Items that Kafka acknowledged."""
        return self._delivered

    @property
    def held(self) -> int:
        """Items that wait for Kafka."""
        with self._changed:
            return sum(message.count for message in self._held.values())

    def _start(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name=f"trueup-outbox-{self._topic}", daemon=True)
            with suppress(RuntimeError):  # the interpreter is ending: what is held is counted by close()
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        _stay_out_of_traces()
        with suppress(UnreachableError):
            self._shared.get()  # early: trouble shows at the start, and a short program has no time to connect
        while not self._stopped:
            try:
                message = self._next()
                if message is not None:
                    self._transmit(message)
                self._give_up_on_silence()
            except Exception:
                logger.exception("unexpected; sending to Kafka goes on")
                with self._changed:
                    self._changed.wait(self._watch_interval)

    def _next(self) -> Message | None:
        """The next message to send; None now and then while others are on their way, to watch those."""
        with self._changed:
            if not self._waiting and not self._stopped:
                self._changed.wait(self._watch_interval if self._held else None)
            while self._waiting and not self._stopped:
                message = self._waiting.popleft()
                if message.number in self._held:
                    return message
        return None

    def _transmit(self, message: Message) -> None:
        try:
            generation, producer = self._shared.get()
        except UnreachableError:
            self._wait_for_connection(message)
            return
        message.generation, message.sent_at = generation, self._clock()
        try:
            producer.send(self._topic, message.payload, partial(self._done, message, generation))
        except TopicUnavailableError as unavailable:
            if self._topic_warning.due():
                logger.warning("Kafka topic %s cannot be written: %s; create it", self._topic, unavailable)
            with self._changed:
                self._send_again(message)
                self._changed.wait(self._watch_interval)
        except Exception as error:  # noqa: BLE001 - the agent's process must outlive any client's trouble
            self._done(message, generation, Failure(Trouble.CONNECTION, f"{type(error).__name__}: {error}"))

    def _wait_for_connection(self, message: Message) -> None:
        with self._changed:
            self._send_again(message)
            pause = self._shared.retry_in()  # looked at under the lock, so that a flush is not slept through
            if not self._stopped and pause > 0:
                self._changed.wait(pause)

    def _done(self, message: Message, generation: int, failure: Failure | None) -> None:
        """The producer's answer, from its thread. It is too late for a message that was sent again."""
        if failure is None:
            self._shared.works()
        elif failure.trouble is Trouble.CONNECTION:
            self._shared.discard(generation, failure.text)
        with self._changed:
            if message.number not in self._held or message.generation != generation:
                return
            reason = self._reason_to_drop(message, failure)
            if failure is None or reason is not None:
                del self._held[message.number]
                self._held_bytes -= len(message.payload)
                self._delivered += message.count if failure is None else 0
            else:
                self._send_again(message)
            self._changed.notify_all()
        if failure is not None and reason is not None:
            self._drops.add(reason, message.count, failure.text)

    @staticmethod
    def _reason_to_drop(message: Message, failure: Failure | None) -> DropReason | None:
        if failure is None or failure.trouble is Trouble.CONNECTION:
            return None
        if failure.trouble is Trouble.TOO_LARGE:
            return DropReason.TOO_LARGE
        message.refusals += 1
        return DropReason.DELIVERY_FAILED if message.refusals >= MOST_REFUSALS else None

    def _send_again(self, message: Message) -> None:
        message.generation = None
        self._waiting.appendleft(message)

    def _give_up_on_silence(self) -> None:
        """Discard a producer that owes an acknowledgement for too long, and send again what it has."""
        now = self._clock()
        if now < self._watch_at:
            return
        self._watch_at = now + self._watch_interval
        with self._changed:
            on_their_way = [message for message in self._held.values() if message.generation is not None]
        overdue = next((m for m in on_their_way if now - m.sent_at > self._delivery_timeout), None)
        if overdue is not None and (generation := overdue.generation) is not None:
            silence = Failure(Trouble.CONNECTION, f"no acknowledgement for {self._delivery_timeout:g} seconds")
            for message in reversed(on_their_way):
                if message.generation == generation:
                    self._done(message, generation, silence)


def _stay_out_of_traces() -> None:
    """Let no instrumentation trace our own sends: every export would cause the next one."""
    unsampled = trace.NonRecordingSpan(trace.SpanContext(1, 1, is_remote=False))
    context.attach(trace.set_span_in_context(unsampled, context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True)))
