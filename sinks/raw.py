"""Raw events on their way into a store and back: a row for all that came in one message, a row for each that is read.

Most messages are stored whole, as they came, and ClickHouse takes them apart: cutting them up here took 2
of 11 µs an event (decision 0002).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate

import msgspec

from schemas.event import EVENTS_PER_MESSAGE, Event
from schemas.message import Piece, decode_event, decode_message, encode_line, encode_message

_encode = msgspec.json.Encoder().encode


class RawRow(msgspec.Struct, array_like=True):
    """Events of one message, as they are written."""

    partition: int
    epoch: int
    offset: int
    starts: list[int]
    """Where in the message the events of each piece begin."""
    text: msgspec.Raw
    """The pieces."""

    def events(self) -> Iterator[tuple[int, Event]]:
        """Each event with its seq."""
        for start, piece in zip(self.starts, decode_message(bytes(self.text)).pieces, strict=True):
            yield from enumerate(piece.events, self.offset * EVENTS_PER_MESSAGE + start)


decode_row = msgspec.json.Decoder(RawRow).decode


def raw_row(
    partition: int, epoch: int, offset: int, pieces: Sequence[Piece], text: bytes, left_out: Collection[int] = ()
) -> bytes:
    """The row of a message, without the events whose indexes are left out. `text`: of `decode_message`."""
    if left_out:
        events = enumerate(event for piece in pieces for event in piece.events)
        return _one_by_one(partition, epoch, offset, [each for each in events if each[0] not in left_out])
    starts = [0, *accumulate(len(piece.events) for piece in pieces[:-1])]
    return b"[%d,%d,%d,%b,%b]" % (partition, epoch, offset, _encode(starts), text)


def in_our_words(line: bytes) -> bytes:
    """The same row in JSON of our own: what somebody else wrote may be good, and yet not as ClickHouse reads it."""
    row = decode_row(line)
    events = [(seq % EVENTS_PER_MESSAGE, event) for seq, event in row.events()]
    return _one_by_one(row.partition, row.epoch, row.offset, events)


def _one_by_one(partition: int, epoch: int, offset: int, events: Sequence[tuple[int, Event]]) -> bytes:
    starts, text = _encode([index for index, _ in events]), encode_message(encode_line(event) for _, event in events)
    return b"[%d,%d,%d,%b,%b]" % (partition, epoch, offset, starts, text)


def raw_line(partition: int, epoch: int, seq: int, line: bytes) -> bytes:
    """The row of a single encoded event."""
    offset, index = divmod(seq, EVENTS_PER_MESSAGE)
    return b"[%d,%d,%d,[%d],[%b]]" % (partition, epoch, offset, index, line)


def decode_raw(line: bytes) -> tuple[int, int, Event]:
    """Partition, seq and event of a row of `raw_events` that was read: its columns in their order."""
    head = line[1:].split(b",", 3)
    return int(head[0]), int(head[2]), decode_event(b"[" + head[3])
