"""Burn rates from counts. docs/budget-cases.md and the Prometheus comparison have the plain rule; here is the guard."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from pipeline.slo.burn import Rule, burn_rate, describe, read
from pipeline.slo.counts import Counts, Row, Series
from pipeline.slo.durations import MINUTES_PER_DAY, MINUTES_PER_MONTH
from pipeline.slo.guard import traffic_per_month
from pipeline.slo.windows import GUARD_OFF, Guard, Pair, Severity, default_pairs

PAIR = Pair(Severity.PAGE, 60, 5, Fraction(4))
TARGET = Fraction(9, 10)  # the pair burns above 40% bad
MIN_THREE = Guard(3, 0, Fraction(1, 2), ())
RECENT_THREE = Guard(0, 3, Fraction(1, 2), ())


def rule(guard: Guard, *pairs: Pair) -> Rule:
    return Rule(TARGET, MINUTES_PER_MONTH, pairs or (PAIR,), guard)


def events(*outcomes: tuple[int, str]) -> Series:
    """One row per (minute, word): every letter is an event, `x` a bad one."""
    return Series(Row(minute, word.count("x"), len(word), len(word)) for minute, word in outcomes)


def test_one_bad_event_of_one_burns_but_three_are_needed_to_fire() -> None:
    series = events((100, "x"))
    assert read(series, 100, rule(GUARD_OFF))[0].fires
    guarded = read(series, 100, rule(MIN_THREE))[0]
    assert guarded.crossed
    assert not guarded.fires
    assert guarded.required == 3
    assert read(events((98, "x"), (99, "x"), (100, "x")), 100, rule(MIN_THREE))[0].fires


def test_a_quiet_short_window_looks_back_to_the_last_events() -> None:
    """Five minutes without a task say nothing; the last three tasks do."""
    series = events((70, "x"), (75, "x"), (80, "x"))
    assert not read(series, 100, rule(GUARD_OFF))[0].crossed
    reading = read(series, 100, rule(RECENT_THREE))[0]
    assert reading.crossed
    assert reading.short == Counts(3, 3, 3)


def test_but_it_does_not_begin_to_fire_without_a_bad_event_just_now() -> None:
    series = events((70, "x"), (75, "x"), (80, "x"))
    assert not read(series, 100, rule(RECENT_THREE))[0].fires
    assert read(series, 84, rule(RECENT_THREE))[0].fires


def test_one_bad_event_just_now_among_good_ones_does_not_begin_to_fire() -> None:
    series = events((60, "xxxxxx"), (90, ".."), (100, "x"))
    assert read(series, 100, rule(GUARD_OFF))[0].fires
    assert not read(series, 100, rule(RECENT_THREE))[0].fires


def test_three_good_events_in_a_row_end_it() -> None:
    series = events((60, "xxxxxx"), (90, ".."), (100, "."))
    assert not read(series, 100, rule(RECENT_THREE))[0].crossed


def test_the_last_events_are_not_sought_beyond_the_long_window() -> None:
    series = events((10, "xxx"), (100, "."))
    assert read(series, 100, rule(RECENT_THREE))[0].short == Counts(0, 1, 1)


def test_an_inclusive_pair_fires_at_its_threshold() -> None:
    series = events((100, "xx..."))
    exact = Pair(Severity.PAGE, 60, 5, Fraction(4), inclusive=True)
    plain, inclusive = read(series, 100, rule(GUARD_OFF, PAIR, exact))
    assert (plain.fires, inclusive.fires) == (False, True)
    assert not read(Series(), 100, rule(GUARD_OFF, exact))[0].fires


def test_a_rush_hour_needs_more_bad_events_than_its_month_would() -> None:
    """Chance gathers more bad events where there are more events."""
    week = 7 * MINUTES_PER_DAY
    steady = Rule(TARGET, week, default_pairs(week, TARGET)[1:2])
    quiet = [Row(minute, 0, 1, 1) for minute in range(0, week, 144)]
    busy = Series([*quiet, *(Row(week + minute, minute % 2, 1, 1) for minute in range(60))])
    by_its_week = steady.required(traffic_per_month(busy.window(week + 59, week).total, week))[0]
    assert read(busy, week + 59, steady)[0].required > by_its_week


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 10**9))
def test_scaling_all_counts_changes_no_burn_rate(bad: int, good: int, times: int) -> None:
    counts = Counts(bad, bad + good, bad + good)
    scaled = Counts(bad * times, (bad + good) * times, (bad + good) * times)
    assert burn_rate(counts, TARGET) == burn_rate(scaled, TARGET)
    one, many = Series([Row(0, *counts)]), Series([Row(0, *scaled)])
    assert read(one, 0, rule(GUARD_OFF))[0].fires == read(many, 0, rule(GUARD_OFF))[0].fires


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=90), st.integers(0, 100))
def test_what_fires_is_above_the_limit_in_both_windows(counts: list[tuple[int, int]], until: int) -> None:
    rows = [Row(minute, bad, bad + good, bad + good) for minute, (bad, good) in enumerate(counts)]

    def above(length: int) -> bool:
        inside = [row for row in rows if until - length < row.minute <= until]
        total = sum(row.total for row in inside)
        return total > 0 and Fraction(sum(row.bad for row in inside), total) / (1 - TARGET) > PAIR.threshold

    assert read(Series(rows), until, rule(GUARD_OFF))[0].fires == (above(60) and above(5))


def test_without_events_there_is_no_burn_rate() -> None:
    assert burn_rate(Counts(0, 0, 0), TARGET) is None


def test_a_reading_in_words() -> None:
    reading = read(events((60, "xxxx."), (100, "xxx")), 100, rule(RECENT_THREE))[0]
    assert describe(reading, TARGET) == (
        "7 of 8 bad in 1h, 3 of 3 most recently: budget spent 8.75x too fast (limit 4x)"
    )
