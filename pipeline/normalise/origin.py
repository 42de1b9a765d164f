"""Where a replayed message comes from: a header says so, and its dead letters stay those of the original.

So a record that cannot be used either becomes the same dead letter again, not one more. Whoever may write to a
topic of telemetry may send the header, too: what that can and cannot do is told in docs/events.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec

HEADER = "trueup.replay.of"


class Origin(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """The original of a replayed message."""

    topic: str
    partition: Annotated[int, msgspec.Meta(ge=0, le=65_535)]
    offset: Annotated[int, msgspec.Meta(ge=0, le=2**62)]
    received: Annotated[int, msgspec.Meta(ge=0, le=2**62)]
    """Its Kafka timestamp, microseconds."""

    def header(self) -> tuple[str, bytes]:
        """The header of a copy."""
        return HEADER, msgspec.json.encode(self)


def origin_of(
    topic: str, partition: int, offset: int, headers: Iterable[tuple[str, bytes | None]] | None
) -> Origin | None:
    """The original of the message at this place with these headers; None for an original.

    A copy comes after its original, in the same partition. A header that is not ours or says otherwise says nothing:
    so nobody can resolve a dead letter before it is there.
    """
    for name, value in headers or ():
        if name == HEADER:
            try:
                origin = msgspec.json.decode(value or b"", type=Origin)
            except (msgspec.DecodeError, UnicodeDecodeError):
                return None
            return origin if (origin.topic, origin.partition) == (topic, partition) and origin.offset < offset else None
    return None
