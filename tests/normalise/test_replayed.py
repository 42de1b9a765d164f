"""A message that is sent again: its dead letters stay those of the original."""

from __future__ import annotations

import pytest

from pipeline.config import Settings
from pipeline.normalise.normaliser import Normaliser, Packed
from pipeline.normalise.origin import HEADER, Origin, origin_of
from tests.otlp import NOW_NS, span, traces

RECEIVED, AGAIN = NOW_NS // 1_000, NOW_NS // 1_000 + 60_000_000
ORIGIN = Origin("otlp_spans", 3, 1_042, RECEIVED)
BAD = traces(span(), span(traceId=""), span({"trueup.cost.usd": -1}, spanId="2" * 16))


def replayed(payload: bytes) -> Packed:
    packed = Packed()
    Normaliser(Settings()).add(packed, "otlp_spans", 3, 1_099, AGAIN, payload, ORIGIN)
    return packed


def test_what_cannot_be_used_either_is_the_same_dead_letter_again() -> None:
    first, packed = Packed(), replayed(BAD)
    Normaliser(Settings()).add(first, "otlp_spans", 3, 1_042, RECEIVED, BAD)
    assert [(d.index, d.replayed) for d in packed.dead_letters] == [(1, AGAIN), (2, AGAIN)]
    for dead in packed.dead_letters:
        dead.replayed = 0
    assert packed.dead_letters == first.dead_letters


def test_it_is_told_that_the_original_was_replayed() -> None:
    assert [replay.line() for replay in replayed(BAD).replays] == [b'["otlp_spans",3,1042,%d]' % AGAIN]
    assert [replay.offset for replay in replayed(b"garbage").replays] == [1_042]


def test_an_ordinary_message_replays_nothing() -> None:
    packed = Packed()
    Normaliser(Settings()).add(packed, "otlp_spans", 3, 1_042, RECEIVED, BAD)
    assert packed.replays == []


def test_a_header_says_which_message_it_is_a_copy_of() -> None:
    assert origin_of("otlp_spans", 3, 1_043, [("other", b"x"), ORIGIN.header()]) == ORIGIN


@pytest.mark.parametrize(
    "value",
    [
        b"", None, b"x", b"\xff", b"{}", b"[]", b'["otlp_spans",3,1042]', b'["otlp_spans",3,1042,1,5]',
        b'["otlp_spans",-1,1042,1]', b'["otlp_spans",70000,1042,1]', b'["otlp_spans",3,-1,1]',
        b'["otlp_spans",3,1e99,1]', b'["otlp_logs",3,1042,1]', b'[1,3,1042,1]',
    ],
)  # fmt: skip
def test_a_header_that_is_not_ours_or_of_another_topic_says_nothing(value: bytes | None) -> None:
    assert origin_of("otlp_spans", 3, 2**62, [(HEADER, value)]) is None


@pytest.mark.parametrize(("partition", "offset"), [(2, 1_043), (4, 1_043), (3, 1_042), (3, 0)])
def test_a_copy_is_behind_its_original_in_the_same_partition(partition: int, offset: int) -> None:
    assert origin_of("otlp_spans", partition, offset, [ORIGIN.header()]) is None


def test_a_message_without_headers_is_an_original() -> None:
    assert origin_of("otlp_spans", 3, 1_043, None) is None
    assert origin_of("otlp_spans", 3, 1_043, []) is None
