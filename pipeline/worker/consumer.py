"""Faust's Kafka consumer, asking the broker often: Faust itself has no setting for it.

A fetch that finds nothing is held by the broker, and what arrives for a partition that was read in the meantime
waits behind it. Faust says 1.5 s, twice on the way from an event to its window: half of that way's time.
"""

from __future__ import annotations

from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer

FETCH_WAIT_MS = 100
"""How long the broker may hold a fetch that finds nothing."""


class _Thread(AIOKafkaConsumerThread):  # type: ignore[misc]
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer


class PromptConsumer(Consumer):  # type: ignore[misc]
    """For `app.transport.Consumer`."""

    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)
