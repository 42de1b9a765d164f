"""Kafka timestamps: a producer sets them, and whatever it sets loses no dead letter."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.config import Settings
from pipeline.normalise.normaliser import Normaliser, Packed
from pipeline.worker.app import _told
from pipeline.worker.kafka import received
from schemas.rows import DeadLetter, Replay
from tests.otlp import NOW_NS, span, traces


@given(st.integers(-(2**63), 2**63 - 1))
@example(-1)
@example(NOW_NS // 1_000_000)
@example(2**63 - 1)
def test_a_dead_letter_can_be_read_whatever_the_timestamp_of_its_message(milliseconds: int) -> None:
    packed = Packed()
    at = received(SimpleNamespace(timestamp=milliseconds / 1_000))
    Normaliser(Settings()).add(packed, "otlp_spans", 0, 7, at, traces(span(traceId="")))
    (dead,) = packed.dead_letters
    assert _told(dead.line()) == dead


def test_a_timestamp_is_kept_as_it_is_where_it_is_one() -> None:
    assert received(SimpleNamespace(timestamp=NOW_NS // 1_000_000 / 1_000)) == NOW_NS // 1_000


def test_what_is_nested_without_end_on_the_dead_letter_topic_is_no_dead_letter() -> None:
    nested = b"[" * 20_000 + b"]" * 20_000
    row = DeadLetter("t", 0, 0, -1, 0, "r", "d", "p").line()
    assert _told(row[:-1] + b"," + nested + b"]") is None
    assert _told(nested) is None
    assert _told(msgspec.json.encode(["t", 0, 0, 0])) == Replay("t", 0, 0, 0)
