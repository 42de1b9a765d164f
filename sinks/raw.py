"""Raw events on their way into a store and back: a row for all that came in one message, a row for each that is read.

Most messages are stored whole. Their lines are put between brackets as they came, and ClickHouse takes
them apart: cutting them up here would cost more than folding them.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

import msgspec

from schemas.event import EVENTS_PER_MESSAGE, Event, decode_line

_encode = msgspec.json.Encoder().encode


class RawRow(msgspec.Struct, array_like=True):
    """Events of one message, as they are written. `indexes`: where in the message each of them was."""

    partition: int
    epoch: int
    offset: int
    indexes: list[int]
    events: list[Event]


decode_row = msgspec.json.Decoder(RawRow).decode


def raw_row(
    partition: int, epoch: int, offset: int, events: int, payload: bytes, left_out: Collection[int] = ()
) -> bytes:
    """The row of a message with so many events, without those whose indexes are left out (not all of them are)."""
    if left_out:
        lines = payload[1:-1].split(b"]\n[")
        indexes = [index for index in range(events) if index not in left_out]
        told, payload = _encode(indexes), b"[%b]" % b"]\n[".join([lines[index] for index in indexes])
    else:
        told = _all(events)
    return b"[%d,%d,%d,%b,[%b]]" % (partition, epoch, offset, told, payload.replace(b"]\n[", b"],["))


def raw_line(partition: int, epoch: int, seq: int, line: bytes) -> bytes:
    """The row of a single encoded event."""
    offset, index = divmod(seq, EVENTS_PER_MESSAGE)
    return b"[%d,%d,%d,[%d],[%b]]" % (partition, epoch, offset, index, line)


def decode_raw(line: bytes) -> tuple[int, int, Event]:
    """Partition, seq and event of a row of `raw_events` that was read: its columns in their order."""
    head = line[1:].split(b",", 3)
    return int(head[0]), int(head[2]), decode_line(b"[" + head[3])


@lru_cache(EVENTS_PER_MESSAGE)
def _all(events: int) -> bytes:
    return _encode(list(range(events)))
