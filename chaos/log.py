"""The log of agent.actions, read from its beginning to its end."""

from __future__ import annotations

import time
from collections.abc import Iterator

from kafka import KafkaConsumer, TopicPartition

from pipeline.config import Settings
from pipeline.kafka import client_options
from pipeline.worker.folding import Arrival

MESSAGES = 1_000
SILENCE_SECONDS = 60.0


class Silent(RuntimeError):
    """The brokers do not hand out what they say they have."""


def whole_log(settings: Settings) -> Iterator[list[Arrival]]:
    """Batches of messages, those of a partition in their order, up to the end there is now. Raises Silent."""
    consumer = KafkaConsumer(**client_options(settings), enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        tps = [TopicPartition(settings.kafka.actions_topic, p) for p in range(settings.kafka.partitions)]
        consumer.assign(tps)
        ends = consumer.end_offsets(tps)
        consumer.seek_to_beginning(*tps)
        heard = time.monotonic()
        while any(consumer.position(tp) < end for tp, end in ends.items()):
            found = consumer.poll(timeout_ms=500, max_records=MESSAGES)
            batch = [
                Arrival(tp.partition, record.offset, record.timestamp * 1_000, record.value or b"")
                for tp, records in found.items()
                for record in records
                if record.offset < ends[tp]
            ]
            if batch:
                heard = time.monotonic()
                yield batch
            elif time.monotonic() - heard > SILENCE_SECONDS:
                raise Silent(
                    f"nothing of {settings.kafka.actions_topic} came for {SILENCE_SECONDS:.0f} s before its end"
                )
    finally:
        consumer.close()
