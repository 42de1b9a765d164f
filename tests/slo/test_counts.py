"""Sums over windows, against counting by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.slo.counts import Counts, Row, Series

MINUTES = st.integers(0, 60)


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    minutes = sorted(draw(st.sets(MINUTES, max_size=20)))
    made = []
    for minute in minutes:
        eligible = draw(st.integers(0, 6))
        total = draw(st.integers(0, eligible))
        made.append(Row(minute, draw(st.integers(0, total)), total, eligible))
    return made


def by_hand(given_rows: list[Row], start: int, end: int) -> Counts:
    inside = [row for row in given_rows if start <= row.minute < end]
    return Counts(sum(r.bad for r in inside), sum(r.total for r in inside), sum(r.eligible for r in inside))


@given(rows(), MINUTES, st.integers(1, 70))
def test_window_is_the_sum_of_its_minutes(made: list[Row], until: int, length: int) -> None:
    series = Series(made)
    assert series.window(until, length) == by_hand(made, until - length + 1, until + 1)
    assert series.between(until, until + length) == by_hand(made, until, until + length)


@pytest.mark.parametrize(("until", "bad"), [(9, 0), (10, 1), (14, 1), (15, 0)])
def test_a_window_of_five_minutes_holds_a_minute_for_five_minutes(until: int, bad: int) -> None:
    assert Series([Row(10, 1, 1, 1)]).window(until, 5).bad == bad


@given(rows(), MINUTES, st.integers(1, 20), st.integers(0, 12), st.integers(20, 70))
def test_recent_is_the_shortest_stretch_with_enough_events(
    made: list[Row], until: int, short: int, events: int, long: int
) -> None:
    lengths = [each for each in range(short, long) if by_hand(made, until - each + 1, until + 1).total >= events]
    length = lengths[0] if lengths else long
    expected = by_hand(made, until - length + 1, until + 1)
    found = Series(made).recent(until, short, at_least=events, at_most_minutes=long)
    assert (found.bad, found.total) == (expected.bad, expected.total)


@given(rows(), st.lists(st.tuples(MINUTES, MINUTES), max_size=4))
def test_without_drops_exactly_the_spans_and_keeps_the_original(made: list[Row], spans: list[tuple[int, int]]) -> None:
    series = Series(made)
    kept = [row for row in made if not any(start <= row.minute < end for start, end in spans)]
    assert list(series.without(spans)) == kept
    assert list(series) == made


@given(rows(), rows())
def test_replacing_minutes_gives_the_series_with_those_minutes(made: list[Row], late: list[Row]) -> None:
    series = Series(made)
    for row in reversed(late):
        series.replace(row)
    expected = {row.minute: row for row in [*made, *late]}
    assert list(series) == [expected[minute] for minute in sorted(expected)]


@pytest.mark.parametrize("row", [Row(15, 2, 1, 1), Row(15, -1, 1, 1), Row(15, 0, 2, 1)])
def test_impossible_counts_are_refused_and_change_nothing(row: Row) -> None:
    series = Series([Row(1, 0, 1, 1), Row(9, 1, 1, 1)])
    for change in (series.append, series.replace):
        with pytest.raises(ValueError, match="minute=15"):
            change(row)
    assert len(series) == 2


def test_minutes_come_in_order() -> None:
    with pytest.raises(ValueError, match="not after 3"):
        Series([Row(3, 0, 1, 1), Row(3, 0, 1, 1)])
