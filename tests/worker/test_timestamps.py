"""Kafka timestamps: a producer sets them, and whatever it sets loses no dead letter."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.config import Settings
from pipeline.deadletter.originals import Gone, _judged
from pipeline.normalise.normaliser import Packed
from pipeline.normalise.origin import Origin
from pipeline.section import LONGEST_DAYS
from pipeline.worker import app
from pipeline.worker.app import Worker, _told
from schemas.event import TIME_END
from schemas.mapping.records import DAY_US
from schemas.rows import DeadLetter, Replay
from sinks.memory import MemoryStore
from tests.otlp import NOW_NS, span, traces

SETTINGS = Settings()
NOW_MS = NOW_NS // 1_000_000


def dead_letter(milliseconds: int) -> DeadLetter:
    """That of a span without ids, in a message of this Kafka timestamp."""
    message = SimpleNamespace(
        topic="otlp_spans", partition=0, offset=7, headers=(), timestamp=milliseconds / 1_000,
        value=traces(span(traceId="")),
    )  # fmt: skip
    packed = Packed()
    Worker(SETTINGS, MemoryStore())._normalise(packed, [SimpleNamespace(message=message)])
    (dead,) = packed.dead_letters
    return dead


@given(st.integers(-(2**63), 2**63 - 1))
@example(-1)
@example(0)
@example(TIME_END // 1_000 - 1)
@example(2**63 - 1)
def test_a_dead_letter_is_read_and_kept_whatever_the_timestamp_of_its_message(milliseconds: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.time, "time_ns", lambda: NOW_NS)
        dead = dead_letter(milliseconds)
    assert _told(dead.line()) == dead
    assert 0 < dead.received < TIME_END - LONGEST_DAYS * DAY_US, (
        "ClickHouse would take the end of its retention for past"
    )
    assert dead.received in (milliseconds * 1_000, NOW_NS // 1_000)


def test_a_timestamp_that_is_one_is_kept() -> None:
    assert dead_letter(NOW_MS - 5_000).received == (NOW_MS - 5_000) * 1_000


def test_a_message_is_known_again_by_its_timestamp_if_it_has_one() -> None:
    place = Origin("otlp_spans", 0, 7, NOW_MS * 1_000)
    for timestamp in (NOW_MS, -1, 2**63 - 1):
        record = SimpleNamespace(timestamp=timestamp)
        assert _judged(place, record) is record
    assert isinstance(_judged(place, SimpleNamespace(timestamp=NOW_MS + 1)), Gone)


def test_what_is_nested_without_end_on_the_dead_letter_topic_is_no_dead_letter() -> None:
    nested = b"[" * 20_000 + b"]" * 20_000
    row = DeadLetter("t", 0, 0, -1, 0, "r", "d", "p").line()
    assert _told(row[:-1] + b"," + nested + b"]") is None
    assert _told(nested) is None
    assert _told(msgspec.json.encode(["t", 0, 0, 0])) == Replay("t", 0, 0, 0)
