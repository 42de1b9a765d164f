"""Waits until everything that the agents told is in ClickHouse."""

from __future__ import annotations

from collections.abc import Callable

from kafka import TopicPartition

from pipeline.config import Settings
from pipeline.kafka import Positions, producer
from pipeline.replay.land import wait_until_landed


def land(settings: Settings, *, alive: Callable[[], bool], waiting: Callable[[str, int], None]) -> None:
    """Return when all that Kafka had acknowledged before this call has landed. Open tasks then count as abandoned.

    Raises Stalled, or the delivery's error.
    """
    wait_until_landed(settings, _marks(settings), end_of_time=True, alive=alive, waiting=waiting)


def _marks(settings: Settings) -> Positions:
    """Put an empty request at the end of each partition of the first hop, and say where it is.

    The place comes from its acknowledgement: the SDK keeps its own to itself, and asking the local broker
    for the end of a partition tells a place within its last batch.
    """
    k = settings.kafka
    empty = {k.spans_topic: b'{"resourceSpans":[]}', k.logs_topic: b'{"resourceLogs":[]}'}
    kafka = producer(settings)
    try:
        sent = [
            kafka.send(topic, payload, partition=partition)
            for topic, payload in empty.items()
            for partition in range(k.partitions)
        ]
        kafka.flush()
        places = [future.get(timeout=60) for future in sent]
    finally:
        kafka.close()
    return {TopicPartition(place.topic, place.partition): place.offset + 1 for place in places}
