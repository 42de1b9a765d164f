"""Sends messages to Kafka, many in flight; one that is too large for it goes without harm to the others."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Self

from kafka import TopicPartition
from kafka.errors import MessageSizeTooLargeError

from pipeline.config import ConfigError, Settings
from pipeline.kafka import Positions, producer

LARGEST = 64 * 1024 * 1024
"""Bytes of a message that is sent at all."""
IN_FLIGHT = 500
ANSWER_SECONDS = 60


class TooLarge(Exception):
    """A message that was not sent; the text says how large it is, whose limit that exceeds, and the fix."""


class Delivery:
    """`with Delivery(settings) as delivery`. `reached` is how far the acknowledged messages reach.

    Methods raise Unreachable, ConfigError, or kafka-python's error of a delivery that failed.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kafka = self._producer()
        self._waiting: list[Future[Any]] = []
        self.reached: Positions = {}

    def _producer(self) -> Any:
        return producer(self._settings, max_request_size=LARGEST)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kafka.close()

    def send(self, topic: str, payload: bytes | None, **more: Any) -> None:
        """Send a message; `more` is kafka-python's. Raises TooLarge: then only this one was not sent."""
        if len(payload or b"") > self._settings.kafka.message_bytes:
            self._send_alone(topic, payload, **more)
            return
        self._waiting.append(self._kafka.send(topic, payload, **more))
        if len(self._waiting) >= IN_FLIGHT:
            self.settle()

    def settle(self) -> None:
        """Return when Kafka has everything that was sent."""
        self._kafka.flush()
        try:
            for future in self._waiting:
                self._acknowledged(future)
        except MessageSizeTooLargeError:
            raise ConfigError(
                f"Kafka takes no message of kafka.message_bytes ({self._settings.kafka.message_bytes}); "
                "lower it, or raise max.message.bytes of the topics"
            ) from None
        self._waiting.clear()

    def _send_alone(self, topic: str, payload: bytes | None, **more: Any) -> None:
        """Nothing else is in flight, since what is refused leaves a gap before whatever follows it."""
        self.settle()
        size = f"{len(payload or b'')} bytes"
        try:
            future = self._kafka.send(topic, payload, **more)
        except MessageSizeTooLargeError:
            raise TooLarge(f"{size}, and no message over {LARGEST} bytes is sent") from None
        try:
            self._acknowledged(future)
        except MessageSizeTooLargeError:
            self._kafka.close()
            self._kafka = self._producer()
            raise TooLarge(f"{size}, and Kafka takes none so large; raise max.message.bytes of {topic}") from None

    def _acknowledged(self, future: Future[Any]) -> None:
        place = future.get(timeout=ANSWER_SECONDS)  # type: ignore[attr-defined]
        tp = TopicPartition(place.topic, place.partition)
        self.reached[tp] = max(self.reached.get(tp, 0), place.offset + 1)
