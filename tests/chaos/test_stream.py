"""Disorder changes when events come and how often, and by which name: never which events there are."""

from __future__ import annotations

from itertools import islice, pairwise

import pytest

from bench.work import Work
from chaos.stream import LEARNT, Disorder, at_pace, disordered
from schemas.event import BY_TRACE, Event

START = 1_700_000_000_000_000
DISORDER = Disorder(late_by=50, much_later=2_000)


def work(number: int = 5_000, seed: int = 1) -> list[Event]:
    return list(islice(Work(seed, START, 100).events(), number))


@pytest.fixture(scope="module")
def given() -> list[Event]:
    return work()


@pytest.fixture(scope="module")
def told(given: list[Event]) -> list[Event]:
    return list(disordered(given, 7, DISORDER))


def test_no_event_is_left_out_and_none_is_made_up(given: list[Event], told: list[Event]) -> None:
    assert {event.hash for event in told} == {event.hash for event in given}


def test_some_events_come_twice(given: list[Event], told: list[Event]) -> None:
    assert 0.01 < (len(told) - len(given)) / len(given) < 0.05


def test_some_events_come_out_of_order(told: list[Event]) -> None:
    assert sum(after.at < before.at for before, after in pairwise(told)) > 100


def test_verdicts_come_much_later(given: list[Event], told: list[Event]) -> None:
    first = {event.hash: place for place, event in reversed(list(enumerate(told)))}
    late = [first[e.hash] - place for place, e in enumerate(given) if e.kind in LEARNT]
    assert max(late) > 1_000
    assert sum(by > DISORDER.late_by for by in late) > len(late) / 2


def test_some_spans_name_only_their_trace(told: list[Event]) -> None:
    nameless = [event for event in told if event.task_source == BY_TRACE and event.kind != "link"]
    assert 20 < len(nameless) < 300
    assert all(event.task_id == event.trace_id and not event.root for event in nameless)


def test_the_same_seed_makes_the_same_disorder(given: list[Event], told: list[Event]) -> None:
    assert list(disordered(given, 7, DISORDER)) == told
    assert list(disordered(given, 8, DISORDER)) != told


def test_the_times_of_events_pass_as_they_are_sent() -> None:
    events = list(at_pace(work(40_000), START, rate=5_000))
    assert events[-1].at - events[0].at == pytest.approx(8_000_000, rel=0.2)
    assert all(START - 1_000_000 < event.start <= event.at for event in events)
