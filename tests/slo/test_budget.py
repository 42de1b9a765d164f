"""What holds for every budget; docs/budget-cases.md has the golden cases."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.slo.budget import Adjustment, Method, Terms, account, budget
from pipeline.slo.counts import Row, Series
from pipeline.slo.periods import Period
from pipeline.slo.slices import Slicing, as_events

END = 120
TARGETS = st.fractions(0, Fraction(999, 1000), max_denominator=1000)
ROWS = st.dictionaries(st.integers(0, END - 1), st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=30).map(
    lambda counts: [Row(minute, bad, bad + good, bad + good) for minute, (bad, good) in sorted(counts.items())]
)
SLICING = Slicing(10, Fraction(3, 4))


def terms(target: Fraction, method: Method) -> Terms:
    slicing = {Method.OCCURRENCES: None, Method.TIMESLICES: SLICING, Method.RATIO_TIMESLICES: Slicing(10)}
    return Terms(target, method, slicing[method])


@given(ROWS, TARGETS, st.integers(0, END), st.sampled_from(Method))
def test_two_periods_next_to_each_other_add_up(rows: list[Row], target: Fraction, cut: int, method: Method) -> None:
    cut = cut // 10 * 10  # whole slices
    parts = [Period(0, cut), Period(cut, END), Period(0, END)]
    first, second, both = (budget(Series(rows), terms(target, method), part, END) for part in parts)
    assert first.good + second.good == both.good
    assert first.total + second.total == both.total
    assert first.allowed_bad + second.allowed_bad == both.allowed_bad


@given(ROWS, TARGETS, st.sampled_from(Method))
def test_remaining_is_negative_exactly_when_the_target_is_missed(
    rows: list[Row], target: Fraction, method: Method
) -> None:
    result = budget(Series(rows), terms(target, method), Period(0, END), END)
    if result.remaining is None or result.sli is None:
        assert result.total == 0
        assert result.met is None
    else:
        assert (result.remaining < 0) == (result.sli < target) == (not result.met)
        assert (result.remaining == 0) == (result.sli == target)


@given(ROWS, TARGETS, st.integers(1, 1000), st.sampled_from(Method))
def test_more_of_the_same_changes_no_share(rows: list[Row], target: Fraction, times: int, method: Method) -> None:
    larger = [Row(row.minute, row.bad * times, row.total * times, row.eligible * times) for row in rows]
    one, many = (budget(Series(each), terms(target, method), Period(0, END), END) for each in (rows, larger))
    assert (one.sli, one.spent, one.remaining) == (many.sli, many.spent, many.remaining)


@given(
    ROWS, TARGETS, st.lists(st.tuples(st.integers(-5, END), st.integers(1, 30)), max_size=4), st.sampled_from(Method)
)
def test_adjustments_never_touch_the_raw_counts(
    rows: list[Row], target: Fraction, spans: list[tuple[int, int]], method: Method
) -> None:
    series, period = Series(rows), Period(0, END)
    adjustments = [Adjustment(start, start + length, "ada", "rehearsal") for start, length in spans]
    found = account(series, terms(target, method), period, END, adjustments)
    assert found.raw == budget(series, terms(target, method), period, END)
    assert list(series) == rows
    kept = [row for row in rows if not any(start <= row.minute < start + length for start, length in spans)]
    assert found.adjusted == budget(Series(kept), terms(target, method), period, END)


@given(ROWS, st.integers(0, END))
def test_slices_as_events_are_the_slices_of_the_budget(rows: list[Row], now: int) -> None:
    """So that the burn rate of a time-slice objective spends the budget that it shows."""
    period = Period(0, END)
    counted = budget(Series(rows), terms(Fraction(1, 2), Method.TIMESLICES), period, now)
    events = as_events(Series(rows), SLICING, period, now).between(0, now + 1)
    assert events.total == counted.total
    assert counted.good == events.good


def test_fractions_of_many_denominators_add_up_exactly() -> None:
    rows = [Row(minute, minute % 7, minute + 7, minute + 7) for minute in range(END)]
    expected = sum((Fraction(row.total - row.bad, row.total) for row in rows), Fraction(0))
    method = replace(terms(Fraction(1, 2), Method.RATIO_TIMESLICES), slicing=Slicing(1))
    assert budget(Series(rows), method, Period(0, END), END).good == expected


@pytest.mark.parametrize(
    ("target", "method", "slicing"),
    [
        (Fraction(1), Method.OCCURRENCES, None),
        (Fraction(-1, 10), Method.OCCURRENCES, None),
        (Fraction(1, 2), Method.OCCURRENCES, SLICING),
        (Fraction(1, 2), Method.TIMESLICES, None),
        (Fraction(1, 2), Method.TIMESLICES, Slicing(10)),
        (Fraction(1, 2), Method.RATIO_TIMESLICES, SLICING),
    ],
)
def test_terms_that_mean_nothing_are_refused(target: Fraction, method: Method, slicing: Slicing | None) -> None:
    with pytest.raises(ValueError, match=r"target|slic"):
        Terms(target, method, slicing)


@pytest.mark.parametrize(("start", "end", "who", "why"), [(5, 5, "a", "b"), (0, 1, " ", "b"), (0, 1, "a", "")])
def test_an_adjustment_has_a_span_and_says_who_and_why(start: int, end: int, who: str, why: str) -> None:
    with pytest.raises(ValueError, match=r"adjustment"):
        Adjustment(start, end, who, why)
