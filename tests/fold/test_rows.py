"""Rows come back from their lines as they were, and have as many values as their tables have columns."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schemas.event import EVENTS_PER_MESSAGE, FIELDS
from schemas.message import decode_message, encode_line
from schemas.rows import COUNTS, TASK_COLUMNS, WINDOW_COLUMNS, DeadLetter, Envelope, TaskRow, WindowKey, WindowRow
from sinks.raw import decode_raw, decode_row, raw_line, raw_row
from tests.events import payload_of
from tests.fold.samples import event, specs

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(["\x00", '"', "\\", "\n", "🙂"])
numbers = st.integers(0, 2**62)
histograms = st.dictionaries(st.integers(0, 4_000), st.integers(1, 2**40), max_size=3)
windows = st.builds(
    WindowRow,
    key=st.builds(WindowKey, st.integers(0, 2**32 - 1), *[texts] * 8),
    seq=numbers,
    counts=st.lists(st.integers(-(2**120), 2**120), min_size=len(COUNTS), max_size=len(COUNTS)),
    cycle_us=histograms,
    latency_us=histograms,
    scores=st.dictionaries(texts, st.tuples(st.integers(1, 9), st.integers(-(2**70), 2**70)), max_size=2),
)
tasks = st.builds(
    TaskRow,
    partition=st.integers(0, 99),
    epoch=st.integers(0, 9),
    task_id=texts,
    seq=numbers,
    workflow=texts,
    case_type=texts,
    satisfaction=st.none() | numbers,
    root_cost=st.none() | numbers,
    interventions=st.dictionaries(texts, numbers, max_size=2),
    costs=st.dictionaries(texts, numbers, max_size=2),
    latency_us=histograms,
    scores=st.dictionaries(texts, st.integers(-(2**62), 2**62), max_size=2),
    trace_ids=st.lists(texts, max_size=2),
)


@given(row=windows, partition=st.integers(0, 99), epoch=st.integers(0, 9))
def test_a_window_comes_back_from_its_line(row: WindowRow, partition: int, epoch: int) -> None:
    line = row.line(partition, epoch)
    assert WindowRow.from_line(line) == (partition, row)
    assert len(msgspec.json.decode(line)) == len(WINDOW_COLUMNS)
    assert b"\n" not in line


@given(row=tasks)
def test_a_task_comes_back_from_its_line(row: TaskRow) -> None:
    assert msgspec.json.decode(row.line(), type=TaskRow) == row
    assert len(msgspec.json.decode(row.line())) == len(TASK_COLUMNS)
    assert b"\n" not in row.line()


@given(spec=specs, text=texts, partition=st.integers(0, 99), epoch=st.integers(0, 9), seq=numbers)
def test_a_raw_event_comes_back_from_its_line(spec, text: str, partition: int, epoch: int, seq: int) -> None:
    told = msgspec.structs.replace(event(spec, 0), task_id=text, scope=text, attributes={text: text})
    row = decode_row(raw_line(partition, epoch, seq, encode_line(told)))
    assert (row.partition, row.epoch, [*row.events()]) == (partition, epoch, [(seq, told)])
    read = msgspec.json.encode([partition, epoch, seq, *msgspec.to_builtins(told)])
    assert decode_raw(read) == (partition, seq, told)
    assert len(msgspec.json.decode(read)) == 3 + len(FIELDS)


@given(told=st.lists(specs, min_size=1, max_size=5), text=texts, left_out=st.sets(st.integers(0, 4)))
def test_a_message_is_one_row_without_what_is_left_out(told, text: str, left_out: set[int]) -> None:
    events = [msgspec.structs.replace(event(one, n), scope=text, attributes={text: text}) for n, one in enumerate(told)]
    pieces, text, number = decode_message(payload_of(events))
    assert ([e for piece in pieces for e in piece.events], number) == (events, len(events))
    left_out -= {0}
    row = decode_row(raw_row(3, 1, 9, pieces, text, left_out))
    assert (row.partition, row.epoch, row.offset) == (3, 1, 9)
    first = 9 * EVENTS_PER_MESSAGE
    assert [*row.events()] == [(first + index, e) for index, e in enumerate(events) if index not in left_out]


@given(text=texts, number=numbers)
def test_dead_letters_and_envelopes_come_back_from_their_lines(text: str, number: int) -> None:
    dead = DeadLetter(text, 7, number, -1, number, text, text, text)
    assert msgspec.json.decode(dead.line(), type=DeadLetter) == dead
    envelope = Envelope(7, 1, number, number, 4_096, 0, 1)
    assert msgspec.json.decode(envelope.line(), type=Envelope) == envelope
