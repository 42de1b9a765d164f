"""How far the consumer group is behind, in messages and in seconds.

The end of a partition is the high watermark of a fetch: what ListOffsets says is wrong on the local broker.
The same fetch brings the oldest message that is not handled yet, so its age is known as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition

from pipeline.config import Settings
from pipeline.kafka import Positions, Progress

PATIENCE_SECONDS = 10.0


@dataclass
class Lag:
    """Of one topic, all partitions together."""

    topic: str
    messages: int = 0
    oldest: float = 0.0
    """Seconds since the oldest message that waits came to Kafka."""
    lost: int = 0
    """Messages that Kafka removed before they were read."""
    beyond: int = 0
    """How far the group's positions are beyond the end."""


def lags(settings: Settings, consumer: Any, partitions: Mapping[str, int], now: Callable[[], float]) -> Iterator[Lag]:
    """The lag of each topic. `consumer`: one without a group, that is moved. Partitions that do not answer count 0."""
    tps = [TopicPartition(topic, partition) for topic, n in partitions.items() for partition in range(n)]
    with Progress(settings) as progress:
        committed = progress.committed(dict.fromkeys(tps, 0))
    first = consumer.beginning_offsets(tps)
    ends, sent = _ends(consumer, {tp: max(committed[tp], first[tp]) for tp in tps})
    for topic in partitions:
        lag = Lag(topic)
        for tp in (tp for tp in tps if tp.topic == topic and tp in ends):
            at = committed[tp]
            lag.messages += max(0, ends[tp] - max(at, first[tp]))
            lag.lost += max(0, first[tp] - at) if at else 0
            lag.beyond += max(0, at - ends[tp])
            if tp in sent:
                lag.oldest = max(lag.oldest, now() - sent[tp] / 1_000)
        yield lag


def _ends(consumer: Any, positions: Positions) -> tuple[Positions, dict[TopicPartition, int]]:
    """The end of each partition, and the timestamp (ms) of the first message from its position on."""
    consumer.assign(list(positions))
    for tp, position in positions.items():
        consumer.seek(tp, position)
    ends: Positions = {}
    sent: dict[TopicPartition, int] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(ends) < len(positions) and time.monotonic() < deadline:
        for tp, records in consumer.poll(timeout_ms=200).items():
            sent.setdefault(tp, records[0].timestamp)
        for tp in positions.keys() - ends.keys():
            end = consumer.highwater(tp)
            if end is not None:
                ends[tp] = end
                consumer.pause(tp)
    return ends, sent
