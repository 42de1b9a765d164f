"""A message of `agent.actions`: up to 4096 events of one partition.

It is a JSON array of pieces, one a line. A piece is what some events of a task have in common (`event.HEAD`) and then
what each of them tells besides. The `seq` of an event says how many events of the message come before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import NamedTuple

import msgspec

from schemas.event import EVENTS_PER_MESSAGE, FIELDS, HEAD, UNTOLD, Event
from schemas.units import UINT64_MAX
from schemas.words import CostCategory, Intervention, Kind, Outcome, Verdict

MOST_BYTES = 32 * 1024 * 1024
"""Of the pieces that a bad line is taken apart into: each has the whole head."""
NOT_EVENTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises: bytes that are no events, or nested without end."""


class Piece(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    """Events of a task, one after the other, that have the fields of HEAD in common."""

    task_id: str
    task_source: str
    tenant: str
    workflow: str
    stage: str
    environment: str
    agent: str
    agent_version: str
    trace_id: str
    events: list[Event]


class Decoded(NamedTuple):
    """What is in a message. `text`: the JSON that it was read from, for a store to read again."""

    pieces: Sequence[Piece]
    text: bytes
    events: int


class Wrong(NamedTuple):
    """What of a message is no event."""

    why: str
    line: bytes
    """The event in a piece of its own, or whatever is between two line breaks."""


class Parted(NamedTuple):
    """An encoded event: what it may have in common with others, and the rest."""

    head: bytes
    rest: bytes


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Piece]).decode
_head_of = attrgetter(*HEAD)
_BETWEEN = b",\n"
_REST = len(FIELDS) - len(HEAD)
_ROOM = len(b"[,[]],\n")

decode_event = msgspec.json.Decoder(Event).decode
"""An event from a JSON array of all of FIELDS. Raises one of NOT_EVENTS."""


# --- writing --------------------------------------------------------------------------------------


def parted(event: Event) -> Parted:
    """Encode an event."""
    head = _encode(_head_of(event))
    return Parted(head[1:-1], _encode(event)[: -len(head)] + b"]")


def encode_line(event: Event) -> bytes:
    """A piece of one event, as a line of a message, without what comes between lines."""
    return _line(*parted(event))


def _line(head: bytes, *rests: bytes) -> bytes:
    return b"[%b,[%b]]" % (head, b",".join(rests))


def encode_message(lines: Iterable[bytes]) -> bytes:
    """The payload of a message of encoded pieces."""
    return b"[%b]" % _BETWEEN.join(lines)


def encode_messages(parts: Iterable[Parted], limit: int) -> Iterator[bytes]:
    """The payloads of messages of at most `limit` bytes each, unless one event alone is larger.

    The events of a piece stay in their order, and so do the pieces, by their first events.
    """
    pieces: dict[bytes, list[bytes]] = {}
    for head, rest in parts:
        pieces.setdefault(head, []).append(rest)
    lines: list[list[bytes]] = []
    size = events = 0
    for head, rests in pieces.items():
        begun = False
        for rest in rests:
            grows = len(rest) + (1 if begun else len(head) + _ROOM)
            if events and (size + grows > limit or events == EVENTS_PER_MESSAGE):
                yield encode_message([_line(*line) for line in lines])
                lines, size, events, begun = [], 0, 0, False
                grows = len(rest) + len(head) + _ROOM
            if not begun:
                lines.append([head])
                begun = True
            lines[-1].append(rest)
            size += grows
            events += 1
    if lines:
        yield encode_message([_line(*line) for line in lines])


# --- reading --------------------------------------------------------------------------------------


def decode_message(payload: bytes) -> Decoded:
    """What a message holds. Raises one of NOT_EVENTS."""
    try:
        return _checked(payload)
    except msgspec.ValidationError:
        text = _without_later_fields(payload)
        if text == payload:
            raise
        return _checked(text)


def decode_each(payload: bytes) -> tuple[Decoded, dict[int, Wrong]]:
    """Of a message that `decode_message` refuses what it holds all the same, and index -> what is wrong.

    Raises one of NOT_EVENTS for a message without a single good event, or of more than are allowed.
    """
    lines = [single for line in payload.removeprefix(b"[").removesuffix(b"]").split(_BETWEEN) for single in _each(line)]
    if len(lines) > EVENTS_PER_MESSAGE:
        raise msgspec.ValidationError(f"{len(lines)} events in a message; it must hold 1 to {EVENTS_PER_MESSAGE}")
    good: list[bytes] = []
    wrong: dict[int, Wrong] = {}
    for index, line in enumerate(lines):
        try:
            good.append(decode_message(encode_message([line])).text[1:-1])
        except NOT_EVENTS as error:
            wrong[index] = Wrong(str(error), line)
    return decode_message(encode_message(good)), wrong


def _each(line: bytes) -> list[bytes]:
    """The events of a line, each in a piece of its own; the line itself if it is no piece."""
    with suppress(*NOT_EVENTS):
        values = msgspec.json.decode(line, type=list[msgspec.Raw])
        if len(values) > len(HEAD):
            head = b",".join(map(bytes, values[: len(HEAD)]))
            events = msgspec.json.decode(values[len(HEAD)], type=list[msgspec.Raw])
            if events and len(head) * len(events) < MOST_BYTES:
                return [_line(head, bytes(event)) for event in events]
    return [line]


def _checked(text: bytes) -> Decoded:
    pieces = _decode(text)
    number = 0
    for piece in pieces:
        task_id, task_source, tenant, workflow = piece.task_id, piece.task_source, piece.tenant, piece.workflow
        stage, environment, trace_id = piece.stage, piece.environment, piece.trace_id
        agent, agent_version = piece.agent, piece.agent_version
        number += len(piece.events)
        for event in piece.events:
            if event.task_id is not UNTOLD:
                raise msgspec.ValidationError("an event that tells itself what it has in common with others, or more")
            event.task_id, event.task_source, event.tenant, event.workflow = task_id, task_source, tenant, workflow
            event.stage, event.environment, event.trace_id = stage, environment, trace_id
            event.agent, event.agent_version = agent, agent_version
            if event.start > event.at or event.hash > UINT64_MAX:
                raise msgspec.ValidationError("an event whose hash has more than 64 bits, or that starts after its end")
            if event.root or event.kind in _WORDS:
                _require_words(event)
    if not 0 < number <= EVENTS_PER_MESSAGE or not all(piece.events for piece in pieces):
        raise msgspec.ValidationError(
            f"{number} events in a message; it must hold 1 to {EVENTS_PER_MESSAGE}, and each of its pieces at least one"
        )
    return Decoded(pieces, text, number)


def _without_later_fields(text: bytes) -> bytes:
    """What a later version adds to pieces and events is left out: no column of this one holds it."""
    pieces = msgspec.json.decode(text, type=list[list[msgspec.Raw]])
    for piece in pieces:
        if len(piece) > len(HEAD):
            events = msgspec.json.decode(piece[len(HEAD)], type=list[list[msgspec.Raw]])
            if any(len(event) > _REST for event in events):
                piece[len(HEAD)] = msgspec.Raw(_encode([event[:_REST] for event in events]))
    return encode_message(_encode(piece[: len(HEAD) + 1]) for piece in pieces)


_OUTCOMES = frozenset[str](Outcome)
_WORDS: dict[str, tuple[str, frozenset[str]]] = {
    Kind.CLAIM: ("value", _OUTCOMES),
    Kind.VERDICT: ("value", frozenset[str](Verdict)),
    Kind.COST: ("name", frozenset[str](CostCategory)),
    Kind.INTERVENTION: ("name", frozenset[str](Intervention)),
}


def _require_words(event: Event) -> None:
    """Refuse what no normaliser makes: a single such event would stop every worker that reads it."""
    field, words = _WORDS.get(event.kind, ("value", _OUTCOMES))
    if getattr(event, field) not in words:
        raise msgspec.ValidationError(f"the {field} of a {event.kind} is none of {', '.join(sorted(words))}")
    if event.kind == Kind.INTERVENTION and (event.number or 0) < 0:
        raise msgspec.ValidationError("an intervention that took less than no time")
