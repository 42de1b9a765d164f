"""The canonical event on the wire, and what is refused there because it would stop a worker."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from schemas.event import (
    EVENTS_PER_MESSAGE,
    FIELDS,
    NOT_EVENTS,
    Event,
    decode_lines,
    decode_message,
    encode_line,
    encode_message,
    event_hash,
    partition_of,
)
from schemas.words import Kind

EVENT = Event(
    hash=event_hash("t:s"), kind=Kind.MODEL_CALL, task_id="T-1", task_source="trueup.task.id", event_id="t:s",
    at=1_795_000_000_000_000, start=1_794_999_999_000_000, tenant="", workflow="refunds", stage="production",
    environment="prod", agent="desk", agent_version="1", case_type="", model="m", trace_id="t", span_id="s",
    parent_id="p", root=0, name="m", error_type="", input_tokens=5, output_tokens=None, cache_read_tokens=None,
    cache_write_tokens=None, reasoning_tokens=None, cost=7, cost_source="reported", value="", explicit=0, number=None,
    weight=0, flag=None, attributes={"k": "v"},
)  # fmt: skip


def line(**changes: Any) -> bytes:
    """The event as a line, with values that the type need not allow."""
    values = dict(zip(FIELDS, msgspec.json.decode(encode_line(EVENT)), strict=True))
    return msgspec.json.encode([*(values | changes).values()])


def test_a_message_brings_back_its_events() -> None:
    other = msgspec.structs.replace(EVENT, task_id="line\nbreak \N{SNOWMAN}")
    lines = [encode_line(EVENT), encode_line(other)]
    events, text = decode_message(encode_message(lines))
    assert events == [EVENT, other]
    assert msgspec.json.decode(text, type=list[Event]) == events


def test_a_message_holds_at_most_so_many_events() -> None:
    full = [encode_line(EVENT)] * EVENTS_PER_MESSAGE
    assert len(decode_message(encode_message(full))[0]) == EVENTS_PER_MESSAGE
    with pytest.raises(msgspec.ValidationError, match="4097 events in a message; it must hold 1 to 4096"):
        decode_message(encode_message([*full, full[0]]))


def test_fields_that_a_later_version_adds_are_ignored_and_not_stored() -> None:
    later = line()[:-1] + b',"new",{"x":[1]}]'
    assert decode_message(later + b"\n" + line()) == ([EVENT, EVENT], b"[%b,%b]" % (line(), line()))


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
        {"number": 2**63},
        {"weight": -1},
        {"flag": 2},
        {"explicit": -1},
        {"task_id": None},
        {"attributes": {"k": 1}},
    ],
    ids=str,
)
def test_an_event_that_no_column_holds_or_no_window_counts_is_refused(changes: dict[str, Any]) -> None:
    assert decode_message(line())
    with pytest.raises(msgspec.ValidationError):
        decode_message(line() + b"\n" + line(**changes))


@pytest.mark.parametrize("payload", [b"", b"\n", b"[]", b"[1,2]", b"null", b"garbage", b'["\xff"]', b"[" * 10_000])
def test_what_is_no_event_is_refused(payload: bytes) -> None:
    for decode in (decode_message, decode_lines):
        with pytest.raises(NOT_EVENTS):
            decode(payload)


def test_good_lines_of_a_bad_message_are_as_if_they_had_come_alone() -> None:
    good = [line(task_id=f"T-{n}") for n in range(3)]
    later = line(task_id="T-3")[:-1] + b',"new"]'
    events, text, wrong = decode_lines(b"\n".join([good[0], line(at=-1), b"garbage", *good[1:], later]))
    assert (events, text) == decode_message(encode_message([*good, line(task_id="T-3")]))
    assert wrong.keys() == {1, 2}
    assert "Expected `int` >= 0" in wrong[1]
    assert "malformed" in wrong[2]


def test_nothing_is_saved_of_a_message_with_too_many_lines() -> None:
    with pytest.raises(msgspec.ValidationError, match="4097 lines in a message; it must hold 1 to 4096"):
        decode_lines(line() + b"\n" * EVENTS_PER_MESSAGE)


@pytest.mark.parametrize(
    "payload",
    [
        line() + line(),
        line() + b" " + line() + b"\n",
        line() + b"\n\n" + line(),
        line() + line()[:-1] + b",[1]\n,[2]]",
        line() + b"\n" + line() + b"\n",
        line() + b"\n \n" + line(),
    ],
)
def test_each_line_is_one_event(payload: bytes) -> None:
    """Between two lines comes a line break and nothing else that JSON would not take for a space."""
    with pytest.raises(msgspec.DecodeError):
        decode_message(payload)


def test_hashes_and_partitions_are_the_same_everywhere_and_for_ever() -> None:
    """They are in the tables: another function would count every event of the past again."""
    assert event_hash("0102:0304") == 0x4EEC_F89A_2454_5120
    assert [partition_of(task, 12) for task in ("T-1", "T-2", "", "\ud800")] == [8, 1, 10, 4]


def test_tasks_spread_over_the_partitions() -> None:
    counts = Counter(partition_of(f"task-{i}", 12) for i in range(12_000))
    assert set(counts) == set(range(12))
    assert max(counts.values()) < 1.2 * min(counts.values())
