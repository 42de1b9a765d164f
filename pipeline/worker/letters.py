"""Dead letters of `agent.actions`: what is no message of a worker's making, and what a task has no room for."""

from __future__ import annotations

import base64
import time

import msgspec

from pipeline.normalise.redact import redact_bytes
from schemas.described import unquoted
from schemas.event import EVENTS_PER_MESSAGE
from schemas.rows import DeadLetter
from schemas.words import Reason
from sinks.port import Surplus

PAYLOAD_BYTES = 65_536
"""What is kept of a payload."""


def unusable(
    topic: str, partition: int, offset: int, index: int, received: int, why: str, payload: bytes
) -> DeadLetter:
    """Of bytes that are no events. `index` is -1 for a whole message; `received`: see DeadLetter, 0 is unknown."""
    return _letter(
        topic, partition, offset, index, received, Reason.NOT_AN_ACTION_MESSAGE, unquoted(why), redact_bytes(payload)
    )


def surplus(topic: str, one: Surplus, most: int) -> DeadLetter:
    """Of an event whose task has `most` events already, or twice as many.

    It is kept as it is, with the names of its fields: the normaliser has left out the content.
    """
    offset, index = divmod(one.seq, EVENTS_PER_MESSAGE)
    why = f"limits.task_events: its task has {most} events already"
    payload = msgspec.json.encode(msgspec.structs.asdict(one.event))
    return _letter(topic, one.partition, offset, index, one.received, Reason.TASK_FULL, why, payload)


def _letter(
    topic: str, partition: int, offset: int, index: int, received: int, reason: Reason, why: str, payload: bytes
) -> DeadLetter:
    kept = base64.b64encode(payload[:PAYLOAD_BYTES]).decode()
    return DeadLetter(topic, partition, offset, index, received or time.time_ns() // 1_000, str(reason), why, kept)
