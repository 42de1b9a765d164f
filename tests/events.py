"""Canonical events to test with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from bench.work import UNLIMITED
from pipeline.fold.message import Message
from pipeline.normalise.normaliser import Packed
from schemas.event import Event, event_hash
from schemas.message import decode_message, encode_message, encode_messages, parted
from schemas.words import Kind

AT = 1_700_000_041_000_000


def event(event_id: str = "e", task_id: str = "t", **told: Any) -> Event:
    """An event that tells nothing but what is given."""
    nothing: dict[str, Any] = {
        "kind": "step", "task_source": "trueup.task.id", "at": AT, "start": AT, "tenant": "", "workflow": "w",
        "stage": "production", "environment": "", "agent": "a", "agent_version": "", "case_type": "", "model": "",
        "trace_id": "t" * 32, "span_id": "s" * 16, "parent_id": "", "root": 0, "name": "", "error_type": "",
        "input_tokens": None, "output_tokens": None, "cache_read_tokens": None, "cache_write_tokens": None,
        "reasoning_tokens": None, "cost": None, "cost_source": "", "value": "", "explicit": 0, "number": None,
        "weight": 0, "flag": None, "attributes": {}, "scope": "", "response_id": "",
    }  # fmt: skip
    values = {**nothing, "task_id": task_id, "event_id": event_id, **told}
    return Event(event_hash(event_id), **{**values, "kind": Kind(values["kind"])})


def told_in(payload: bytes) -> list[Event]:
    """The events of a message of `agent.actions`."""
    return [event for piece in decode_message(payload).pieces for event in piece.events]


def sent(packed: Packed) -> list[Event]:
    """What the normaliser sends to `agent.actions`, by partition."""
    payloads = (payload for parts in packed.parts.values() for payload in encode_messages(parts, UNLIMITED))
    return [event for payload in payloads for event in told_in(payload)]


def payload_of(events: Iterable[Event]) -> bytes:
    """A message of events in this order: those beside each other that can be are one piece."""
    runs = groupby(map(parted, events), key=attrgetter("head"))
    return encode_message(payload[1:-1] for _, run in runs for payload in encode_messages(run, UNLIMITED))


def message(offset: int, received: int, events: Sequence[Event] = (), **more: Any) -> Message:
    """The same, decoded, as the fold sees it; `more`: of Message."""
    told = decode_message(payload_of(events)) if events else ()
    return Message(offset, received, *told, **more)
