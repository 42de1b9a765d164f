"""Dead letters of `agent.actions`: what is no message of a worker's making, and what a task has no room for."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Iterator, Sequence

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


def surplus(topic: str, events: Iterable[Surplus], most: int) -> Iterator[DeadLetter]:
    """Of events whose task has `most` events already, or twice as many: one for those that came together.

    That is in one message, and between two events that the task took in: so that who reads a message again from any
    place that a row may be at makes the same ones. Events are kept as they are, with the names of their fields, as
    many as there is room for: the normaliser has left out the content.
    """
    together: dict[tuple[int, int, str, int], list[Surplus]] = {}
    for one in events:
        key = one.partition, one.seq // EVENTS_PER_MESSAGE, one.event.task_id, one.after
        together.setdefault(key, []).append(one)
    for (partition, offset, _, _), some in together.items():
        why = f"limits.task_events: its task has {most} events already; these are {len(some)} more"
        first = some[0]
        letter = _letter(
            topic, partition, offset, first.seq % EVENTS_PER_MESSAGE, first.received, Reason.TASK_FULL, why, _told(some)
        )
        letter.records = len(some)
        yield letter


def _told(some: Sequence[Surplus]) -> bytes:
    """A JSON array of the first of them."""
    told: list[bytes] = []
    room = PAYLOAD_BYTES - len(b"[]")
    for one in some:
        told.append(msgspec.json.encode(msgspec.structs.asdict(one.event)))
        room -= len(told[-1]) + len(b",")
        if room < 0:
            break
    return b"[%b]" % b",".join(told if room >= 0 or len(told) == 1 else told[:-1])


def _letter(
    topic: str, partition: int, offset: int, index: int, received: int, reason: Reason, why: str, payload: bytes
) -> DeadLetter:
    kept = base64.b64encode(payload[:PAYLOAD_BYTES]).decode()
    return DeadLetter(topic, partition, offset, index, received or time.time_ns() // 1_000, str(reason), why, kept)
