"""One connection to Kafka for all exporters of a process that want the same one.

    exporter ── Outbox ──┐
    exporter ── Outbox ──┴── SharedProducer ── Producer (kafka-python, or a fake)

A producer is disposable: when it fails or falls silent it is discarded, a new one is connected, and what
was not acknowledged is sent again. Nobody counts twice for that, because every event has an identity.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from trueup.drops import RareWarning
from trueup.forks import survive_fork
from trueup.settings import KafkaSettings

logger = logging.getLogger(__name__)

FIRST_RETRY = 0.5
LONGEST_RETRY = 30.0
"""Seconds between two attempts to connect: doubled from the first to the longest."""


class Trouble(Enum):
    """What kept a message from being acknowledged."""

    CONNECTION = auto()
    """The producer cannot deliver any more: connect a new one and send again, as often as it takes."""
    REFUSED = auto()
    """The broker answered with an error: send again, a few times."""
    TOO_LARGE = auto()
    """The broker's limit is smaller than ours: do not send again."""


@dataclass(frozen=True)
class Failure:
    """Why a message was not acknowledged."""

    trouble: Trouble
    text: str


class UnreachableError(Exception):
    """There is no connection now."""


class TopicUnavailableError(Exception):
    """The broker does not know the topic, after the client waited for it."""


Done = Callable[[Failure | None], None]
"""Called once, from any thread, when a message was acknowledged (None) or failed."""


class Producer(Protocol):
    """What an Outbox needs of a Kafka client."""

    def send(self, topic: str, payload: bytes, done: Done) -> None:
        """Hand over a message. May block for seconds. Raises TopicUnavailableError or the client's errors."""

    def close(self) -> None:
        """Give up what is not acknowledged, and end all threads. Never blocks, never raises."""


Connect = Callable[[KafkaSettings], Producer]
"""Connects a producer, or raises. May block for a few seconds."""


class SharedProducer:
    """Connects when it is first needed, and again after a producer was discarded. Safe from any thread."""

    def __init__(self, settings: KafkaSettings, connect: Connect, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._connect = connect
        self._clock = clock
        self._warning = RareWarning(clock)
        self._users = 0
        self._inherited: list[Producer] = []
        self._generation = 0
        self._reset()
        survive_fork(self)

    def _reset(self) -> None:
        self._connecting = threading.Lock()  # held while an attempt blocks; the state lock never is
        self._state = threading.Lock()
        self._producer: Producer | None = None
        self._failures = 0
        self._retry_at = float("-inf")
        self._last_error = "not connected yet"
        self.given_up = False
        """A shutdown waited in vain for a connection: the next one need not."""

    def forked(self) -> None:
        """In a child: the parent's connection is not ours. Keep it from being finalised, and start over."""
        if self._producer is not None:
            self._inherited.append(self._producer)
        self._generation += 1
        self._reset()

    def get(self) -> tuple[int, Producer]:
        """The producer and its generation. Connects if need be. Raises UnreachableError."""
        with self._connecting:
            with self._state:
                if self._producer is not None:
                    return self._generation, self._producer
                if self._users == 0 or self._retry_at > self._clock():
                    raise UnreachableError(self._last_error)
            try:
                producer = self._connect(self._settings)
            except Exception as error:
                self._failed(f"{type(error).__name__}: {error}")
                raise UnreachableError(self._last_error) from error
            with self._state:
                if self._users > 0:
                    self._generation += 1
                    self._producer = producer
                    self.given_up = False
                    return self._generation, producer
            producer.close()
            raise UnreachableError("closed")

    def discard(self, generation: int, why: str) -> None:
        """Give up a producer that failed; does nothing if it was replaced already."""
        with self._state:
            producer = self._producer if generation == self._generation else None
            if producer is not None:
                self._producer = None
        if producer is not None:
            self._failed(why)
            producer.close()

    def works(self) -> None:
        """A message was acknowledged: the next trouble is a new one."""
        self._failures = 0

    def retry_now(self) -> None:
        """Allow an attempt at once: a shutdown cannot wait for the backoff."""
        with self._state:
            self._retry_at = float("-inf")

    def retry_in(self) -> float:
        """Seconds until the next attempt is allowed."""
        return max(0.0, self._retry_at - self._clock())

    @property
    def connected(self) -> bool:
        """Whether there is a producer now."""
        return self._producer is not None

    def _failed(self, why: str) -> None:
        with self._state:
            delay = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(self._failures, 10))
            self._failures += 1
            self._retry_at = self._clock() + delay
            self._last_error = why
        if self._warning.due():
            logger.warning(
                "no connection to Kafka at %s (%s); telemetry is held and sent when it is back. "
                "Check that the broker runs and that TRUEUP_KAFKA_BOOTSTRAP names it",
                self._settings.bootstrap,
                why,
            )

    def join(self) -> None:
        """One more exporter uses this."""
        with self._state:
            self._users += 1

    def leave(self) -> bool:
        """One exporter fewer uses this; the last one closes the producer, and True is returned."""
        with self._state:
            self._users -= 1
            if self._users > 0:
                return False
            producer, self._producer = self._producer, None
        if producer is not None:
            producer.close()
        return True


class _Registry:
    """The shared producers of this process, by what they connect to."""

    def __init__(self) -> None:
        self._shared: dict[object, SharedProducer] = {}
        self._lock = threading.Lock()
        survive_fork(self)

    def forked(self) -> None:
        self._lock = threading.Lock()

    def acquire(self, settings: KafkaSettings, connect: Connect) -> SharedProducer:
        key = _key(settings, connect)
        with self._lock:
            shared = self._shared.get(key)
            if shared is None:
                shared = self._shared[key] = SharedProducer(settings, connect)
            shared.join()
            return shared

    def release(self, shared: SharedProducer, settings: KafkaSettings, connect: Connect) -> None:
        with self._lock:
            if shared.leave():
                self._shared.pop(_key(settings, connect), None)


def _key(settings: KafkaSettings, connect: Connect) -> object:
    return connect, tuple(sorted(settings.producer_options().items(), key=lambda option: option[0]))


_registry = _Registry()
acquire = _registry.acquire
release = _registry.release
