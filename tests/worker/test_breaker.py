"""When the circuit breaker trips, and where it says to go back to."""

from __future__ import annotations

import pytest

from pipeline.worker.breaker import Breaker, Tripped

TOPIC = "otlp_spans"


def count(breaker: Breaker, messages: list[tuple[int, int]], *, partition: int = 0, first: int = 0) -> int:
    """Count (records, bad) of messages from an offset on; the offset after the last."""
    for offset, (records, bad) in enumerate(messages, first):
        breaker.count(TOPIC, partition, offset, records, bad)
    return first + len(messages)


def test_it_trips_once_more_than_the_share_of_a_full_window_is_bad() -> None:
    breaker = Breaker(0.5, 100)
    after = count(breaker, [(10, 0)] * 5 + [(10, 10)] * 5)
    with pytest.raises(Tripped, match="60 of the last 100 records of otlp_spans partition 0, from offset 1 on"):
        breaker.count(TOPIC, 0, after, 10, 10)


def test_a_share_that_is_just_reached_does_not_trip() -> None:
    count(Breaker(0.5, 100), [(10, 5)] * 1_000)


def test_bad_records_alone_do_not_trip_before_there_are_enough_to_judge() -> None:
    breaker = Breaker(0.5, 100)
    after = count(breaker, [(1, 1)] * 99)
    with pytest.raises(Tripped):
        breaker.count(TOPIC, 0, after, 1, 1)


def test_one_message_can_be_a_window() -> None:
    with pytest.raises(Tripped) as tripped:
        Breaker(0.5, 100).count(TOPIC, 3, 7, 5_000, 2_501)
    assert (tripped.value.topic, tripped.value.partition, tripped.value.first_offset) == (TOPIC, 3, 7)


def test_what_lies_before_the_window_counts_no_more() -> None:
    breaker = Breaker(0.5, 100)
    after = count(breaker, [(1, 1)] * 49 + [(1, 0)] * 1_000)
    after = count(breaker, [(1, 1)] * 50, first=after)
    with pytest.raises(Tripped) as tripped:
        breaker.count(TOPIC, 0, after, 1, 1)
    assert tripped.value.first_offset == after - 99


def test_each_partition_is_judged_by_itself() -> None:
    breaker = Breaker(0.5, 100)
    for partition in range(20):
        count(breaker, [(1, 1)] * 99, partition=partition)


def test_a_partition_that_was_away_begins_anew() -> None:
    breaker = Breaker(0.5, 100)
    count(breaker, [(1, 1)] * 99, partition=0)
    count(breaker, [(1, 1)] * 99, partition=1)
    breaker.keep_only({(TOPIC, 1)})
    breaker.count(TOPIC, 0, 99, 1, 1)
    with pytest.raises(Tripped, match="partition 1"):
        breaker.count(TOPIC, 1, 99, 1, 1)


def test_a_share_of_1_never_trips() -> None:
    count(Breaker(1, 1), [(1, 1)] * 10_000)


def test_messages_without_records_are_not_kept() -> None:
    breaker = Breaker(0.5, 100)
    count(breaker, [(0, 0)] * 10_000)
    assert not breaker._windows
