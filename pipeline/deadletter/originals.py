"""Reads messages again from where they are in Kafka."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from pipeline.config import Settings
from pipeline.kafka import Unreachable, client_options, micros
from pipeline.normalise.origin import Origin
from pipeline.reach import trouble

PATIENCE_SECONDS = 30.0


class Gone(NamedTuple):
    """A message that is not there any more, and why."""

    why: str


def originals(settings: Settings, wanted: Iterable[Origin]) -> Iterator[tuple[Origin, Any]]:
    """(position, kafka-python's record or Gone) of each, partition by partition. Raises Unreachable."""
    try:
        consumer = KafkaConsumer(
            **client_options(settings), auto_offset_reset="none", enable_auto_commit=False, group_id=None
        )
    except KafkaError as error:
        raise trouble(settings, error) from None
    try:
        ordered = sorted(wanted, key=lambda o: (o.topic, o.partition, o.offset))
        for (topic, partition), places in groupby(ordered, key=lambda o: (o.topic, o.partition)):
            if partition in (consumer.partitions_for_topic(topic) or ()):
                yield from _of_partition(consumer, TopicPartition(topic, partition), list(places))
            else:
                yield from ((place, Gone(f"{topic} has no partition {partition} any more")) for place in places)
    except KafkaError as error:
        raise trouble(settings, error) from None
    finally:
        consumer.close()


def _of_partition(consumer: Any, tp: TopicPartition, places: list[Origin]) -> Iterator[tuple[Origin, Any]]:
    consumer.assign([tp])
    first = consumer.beginning_offsets([tp])[tp]
    fetched: dict[int, Any] = {}
    for place in places:
        if place.offset < first:
            yield place, Gone(f"Kafka has removed it: what is left of {tp.topic} begins at offset {first} (retention)")
            continue
        if place.offset not in fetched:
            fetched = _fetch(consumer, tp, place.offset)
        yield place, _judged(place, fetched.get(place.offset))


def _judged(place: Origin, record: Any) -> Any:
    if record is None:
        return Gone(f"{place.topic} has nothing at that offset: it was removed, or the topic was made anew")
    if micros(record.timestamp) not in (0, place.received):  # 0: it has none to be known by
        return Gone("another message is at its place: the topic was made anew")
    return record


def _fetch(consumer: Any, tp: TopicPartition, offset: int) -> dict[int, Any]:
    """The records from an offset on that come at once; none if there is none."""
    consumer.seek(tp, offset)
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while time.monotonic() < deadline:
            records = consumer.poll(timeout_ms=500).get(tp)
            if records:
                return {record.offset: record for record in records}
            end = consumer.highwater(tp)
            if end is not None and end <= offset:
                return {}
    except OffsetOutOfRangeError:
        return {}
    raise Unreachable(f"Kafka gave nothing of {tp.topic} partition {tp.partition} in {PATIENCE_SECONDS:.0f} s")
