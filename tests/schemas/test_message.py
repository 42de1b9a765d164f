"""Messages of `agent.actions`: how they are packed, and what is refused because it would stop a worker."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event import EVENTS_PER_MESSAGE, HEAD, Event
from schemas.message import (
    NOT_EVENTS,
    Decoded,
    decode_each,
    decode_message,
    encode_line,
    encode_message,
    encode_messages,
    parted,
)
from schemas.words import Kind
from tests.events import UNLIMITED, event, payload_of, told_in

EVENT = event(
    "t:s", "T-1", kind=Kind.MODEL_CALL, model="m", parent_id="p", name="m", input_tokens=5, cost=7,
    cost_source="reported", attributes={"k": "v"}, scope="s", response_id="r",
)  # fmt: skip


def line(**changes: Any) -> bytes:
    """The event as a piece of its own, with values that the type need not allow."""
    values = msgspec.to_builtins(msgspec.structs.asdict(EVENT)) | changes
    head = [values.pop(name) for name in HEAD]
    return msgspec.json.encode([*head, [[*values.values()]]])


def whole(*lines: bytes) -> bytes:
    return encode_message(lines or [line()])


# --- writing --------------------------------------------------------------------------------------

texts = st.sampled_from(["", "a", "line\nbreak \N{SNOWMAN}", '],["', "],\n[", "\t", "\\", '"'])
events = st.builds(
    lambda which, number, **told: msgspec.structs.replace(event(f"e{number}", f"T-{which}"), **told),
    st.integers(0, 2), st.integers(0, 9),
    tenant=texts, name=texts, trace_id=texts, attributes=st.dictionaries(texts, texts),
)  # fmt: skip


@given(told=st.lists(events, min_size=1, max_size=12), limit=st.integers(1, 4_000))
def test_packed_events_come_back_those_of_a_head_in_their_order(told: list[Event], limit: int) -> None:
    payloads = list(encode_messages(map(parted, told), limit))
    back = list(chain.from_iterable(map(told_in, payloads)))
    by_head: dict[tuple[str, ...], list[Event]] = {}
    for each in told:
        by_head.setdefault(tuple(getattr(each, name) for name in HEAD), []).append(each)
    assert back == list(chain.from_iterable(by_head.values()))


@given(told=st.lists(events, min_size=1, max_size=12), limit=st.integers(1, 4_000))
def test_a_message_is_within_the_limit_or_one_event_and_full(told: list[Event], limit: int) -> None:
    payloads = list(encode_messages(map(parted, told), limit))
    assert all(len(payload) <= limit or len(told_in(payload)) == 1 for payload in payloads)
    for one, after in pairwise(payloads):
        assert len(one) + len(encode_line(told_in(after)[0])) > limit - len(",\n")


def test_what_events_have_in_common_is_told_once() -> None:
    payload = payload_of([EVENT, msgspec.structs.replace(EVENT, name="other")])
    assert payload.count(b'"T-1"') == payload.count(b'"trueup.task.id"') == 1


def test_a_message_holds_no_more_events_than_positions_exist() -> None:
    packed = list(encode_messages([parted(EVENT)] * (EVENTS_PER_MESSAGE + 1), UNLIMITED))
    assert [decode_message(payload).events for payload in packed] == [EVENTS_PER_MESSAGE, 1]
    too_many = whole(line(), *[line()] * EVENTS_PER_MESSAGE)
    with pytest.raises(msgspec.ValidationError, match="4097 events in a message; it must hold 1 to 4096"):
        decode_message(too_many)


# --- reading --------------------------------------------------------------------------------------


def test_the_text_of_a_message_says_what_its_events_say() -> None:
    payload = payload_of([EVENT, msgspec.structs.replace(EVENT, task_id="other")])
    pieces, text, number = decode_message(payload)
    assert (text, number) == (payload, 2)
    assert [piece.task_id for piece in pieces] == ["T-1", "other"]
    assert [event.task_id for piece in pieces for event in piece.events] == ["T-1", "other"]


@pytest.mark.parametrize("value", ['"new"', '""', "null", '{"x":[1]}', '["a","b"]'])
def test_fields_that_a_later_version_adds_are_ignored_and_not_stored(value: str) -> None:
    """To an event, or to what events have in common."""
    later = line()[:-3] + f",{value}]],{value}]".encode()
    assert decode_message(whole(later, line())) == decode_message(whole(line(), line()))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "nonsense"},
        {"hash": -1},
        {"hash": 2**64},
        {"at": -1},
        {"at": 2**53},
        {"at": 1.5},
        {"start": EVENT.at + 1},
        {"root": 2},
        {"root": 1, "value": "banana"},
        {"kind": "claim", "value": "banana"},
        {"kind": "verdict", "value": "maybe"},
        {"kind": "cost", "name": "beer"},
        {"kind": "intervention", "name": "fired"},
        {"kind": "intervention", "name": "corrected", "number": -1},
        {"input_tokens": -1},
        {"output_tokens": 2**60},
        {"cost": -1},
        {"cost": 10**18 + 1},
        {"cost_source": "guessed"},
        {"number": 2**63},
        {"weight": -1},
        {"flag": 2},
        {"explicit": -1},
        {"task_id": None},
        {"trace_id": 7},
        {"attributes": {"k": 1}},
    ],
    ids=str,
)
def test_an_event_that_no_column_holds_or_no_window_counts_is_refused(changes: dict[str, Any]) -> None:
    assert decode_message(whole())
    with pytest.raises(msgspec.ValidationError):
        decode_message(whole(line(), line(**changes)))


def test_an_event_that_lacks_a_field_is_refused() -> None:
    """ClickHouse would refuse it, and with it everything that is written with it."""
    with pytest.raises(msgspec.ValidationError, match="of at least length"):
        decode_message(whole(line()[:-7] + b"]]]"))


NO_EVENTS = msgspec.json.encode([*HEAD, []])


@pytest.mark.parametrize(
    "payload",
    [b"", b"\n", b"[]", b"[[]]", b"[1,2]", b"null", b"garbage", b'["\xff"]', b"[" * 10_000, whole(NO_EVENTS)],
    ids=lambda payload: repr(payload[:12]),
)
def test_what_is_no_event_is_refused(payload: bytes) -> None:
    for decode in (decode_message, decode_each):
        with pytest.raises(NOT_EVENTS):
            decode(payload)


def test_a_piece_without_events_is_refused_beside_others() -> None:
    with pytest.raises(msgspec.ValidationError, match="each of its pieces at least one"):
        decode_message(whole(line(), NO_EVENTS))


def test_good_lines_of_a_bad_message_are_as_if_they_had_come_alone() -> None:
    good = [line(task_id=f"T-{n}") for n in range(3)]
    later = line(task_id="T-3")[:-3] + b',"new"]]]'
    decoded, wrong = decode_each(whole(good[0], line(at=-1), b"garbage", *good[1:], NO_EVENTS, later))
    assert decoded == decode_message(whole(*good, line(task_id="T-3")))
    assert wrong.keys() == {1, 2, 5}
    assert "Expected `int` >= 0" in wrong[1].why
    assert "malformed" in wrong[2].why
    assert [wrong[index].line for index in (2, 5)] == [b"garbage", NO_EVENTS]


def test_a_bad_event_takes_none_with_it_of_those_that_it_has_something_in_common_with() -> None:
    told = [msgspec.structs.replace(EVENT, at=EVENT.at + n) for n in range(4)]
    payload = payload_of(told).replace(b"%d,%d" % (told[2].at, EVENT.start), b'"noon",%d' % EVENT.start)
    (pieces, _, number), wrong = decode_each(payload_of([EVENT])[:-1] + b",\n" + payload[1:])
    assert ([event for piece in pieces for event in piece.events], number) == ([EVENT, *told[:2], told[3]], 4)
    assert wrong.keys() == {3}
    assert wrong[3].line == encode_line(told[2]).replace(
        b"%d,%d" % (told[2].at, EVENT.start), b'"noon",%d' % EVENT.start
    )


def test_a_line_that_would_be_very_large_when_it_is_taken_apart_stays_whole() -> None:
    head = [*HEAD[:-1], "x" * 20_000]
    bomb = msgspec.json.encode([*head, [*[[1]] * 4_000]])
    (_, _, number), wrong = decode_each(whole(line(), bomb))
    assert (number, wrong.keys(), wrong[1].line) == (1, {1}, bomb)


def test_nothing_is_saved_of_a_message_with_too_many_events() -> None:
    for more in ([b""] * EVENTS_PER_MESSAGE, [msgspec.json.encode([*HEAD, [1] * EVENTS_PER_MESSAGE])]):
        with pytest.raises(msgspec.ValidationError, match="4097 events in a message; it must hold 1 to 4096"):
            decode_each(whole(line(), *more))


@pytest.mark.parametrize(
    "payload",
    [line(), line() + line(), whole() + whole(), whole()[:-1], whole()[1:], b"[%b %b]" % (line(), line())],
    ids=range(6),
)
def test_a_message_is_one_array_of_pieces(payload: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_message(payload)


def test_each_event_of_a_good_message_has_what_it_has_in_common() -> None:
    decoded = decode_message(payload_of([EVENT, EVENT]))
    assert isinstance(decoded, Decoded)
    assert [piece.events for piece in decoded.pieces] == [[EVENT, EVENT]]
