"""Sends messages with dead letters again, so that a corrected worker or configuration normalises them.

A copy goes to the topic of its original and says in a header which that is. What lands already is recognised
by its ids, and what cannot be used either becomes the same dead letter again: to replay twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.config import Settings
from pipeline.deadletter.originals import Gone, originals
from pipeline.kafka import Positions
from pipeline.normalise.origin import HEADER, Origin
from pipeline.replay.delivery import Delivery, TooLarge


@dataclass
class Sent:
    """What became of the messages."""

    sent: dict[Origin, int] = field(default_factory=dict)
    """Those that were sent, or would be, with their bytes."""
    gone: dict[Origin, str] = field(default_factory=dict)
    """Those that could not be sent, and why."""
    reached: Positions = field(default_factory=dict)
    """How far the copies reach in each partition."""


def incoming(settings: Settings) -> tuple[str, str]:
    """The topics that are normalised, whose messages can be replayed."""
    return settings.kafka.spans_topic, settings.kafka.logs_topic


def messages_of(rows: Sequence[dict[str, Any]]) -> list[Origin]:
    """The messages of some dead letters, each once."""
    return list(
        dict.fromkeys(Origin(row["topic"], row["partition"], row["offset"], row["received_us"]) for row in rows)
    )


def replay(settings: Settings, messages: Sequence[Origin], *, dry_run: bool = False) -> Sent:
    """Read messages where they are and send them again, to the same partition. Returns when Kafka has them.

    `dry_run` only looks whether they are there. Raises Unreachable, or the delivery's error.
    """
    done = Sent()
    topics = incoming(settings)
    for message in messages:
        if message.topic not in topics:
            done.gone[message] = f"only messages of {' and '.join(topics)} are normalised again"
    found = originals(settings, [message for message in messages if message.topic in topics])
    if dry_run:
        for _ in _there(found, done):
            continue
        return done
    with Delivery(settings) as delivery:
        done.reached = delivery.reached
        for message, record in _there(found, done):
            headers = [*((name, value) for name, value in record.headers if name != HEADER), message.header()]
            try:
                delivery.send(record.topic, record.value, key=record.key, partition=record.partition, headers=headers)
            except TooLarge as error:
                del done.sent[message]
                done.gone[message] = f"it has {error}"
        delivery.settle()
    return done


def _there(found: Iterator[tuple[Origin, Any]], done: Sent) -> Iterator[tuple[Origin, Any]]:
    """Those that are still there; the others are noted."""
    for message, record in found:
        if isinstance(record, Gone):
            done.gone[message] = record.why
        else:
            done.sent[message] = len(record.value or b"")
            yield message, record
