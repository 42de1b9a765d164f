"""What no worker can use, for both topics; each with the dead letters that it must become. Pure."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import msgspec

from bench.otlp import request_of
from schemas.event import EVENTS_PER_MESSAGE, Event
from schemas.message import encode_line, encode_message
from schemas.words import Kind

WHOLE_MESSAGE = -1
"""The index of a dead letter that is a whole message."""


class Poison(NamedTuple):
    """A message that is of no use, or of which some records are of none."""

    payload: bytes
    indexes: tuple[int, ...]
    """The dead letters that it becomes."""
    good: tuple[Event, ...] = ()
    """What of it lands all the same."""


def actions(draw: random.Random, sample: Event) -> Poison:
    """For agent.actions. `sample`: an event that is sent nowhere else."""
    line = encode_line(sample)
    whole = encode_message([line])

    def changed(**fields: Any) -> bytes:
        return encode_message([encode_line(msgspec.structs.replace(sample, **fields))])

    payload = draw.choice(
        (
            b"",
            draw.randbytes(draw.randint(1, 4_000)) + b"\xff",
            b"[1,2,3]",
            b"{}",
            b'{"at":"soon","abandon_after":[]}',
            whole[: len(whole) // 2],
            encode_message([line[1:], b"", line[:-1]]),
            encode_message([line] * (EVENTS_PER_MESSAGE + 1)),
            changed(hash=2**64),
            changed(start=sample.at + 1),
            changed(kind=Kind.VERDICT, value="perhaps"),
            changed(kind=Kind.INTERVENTION, name="shouted at"),
            whole.replace(str(sample.at).encode(), b"-1"),
        )
    )
    return Poison(payload, (WHOLE_MESSAGE,))


def spans(draw: random.Random, sample: Event) -> Poison:
    """For otlp_spans. `sample`: a span that is sent nowhere else."""
    whole = request_of([sample])
    other = msgspec.structs.replace(sample, span_id="00" * 8)
    ancient = msgspec.structs.replace(sample, start=1_000_000, at=2_000_000, span_id="0123456789abcdef")
    return draw.choice(
        (
            Poison(b"\xff" * draw.randint(1, 4_000), (WHOLE_MESSAGE,)),
            Poison(b"{not json", (WHOLE_MESSAGE,)),
            Poison(whole[:-7], (WHOLE_MESSAGE,)),
            Poison(request_of([other]), (0,)),
            Poison(request_of([sample, ancient]), (1,), (sample,)),
            Poison(request_of([ancient, other, sample]), (0, 1), (sample,)),
        )
    )
