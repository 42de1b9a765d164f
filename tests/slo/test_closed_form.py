"""A constant fault fires and resolves in the minutes that the formula of the SRE Workbook gives.

fires:    the first minute m of the fault with share * m / long > limit
resolves: the first minute e after it with share * (short - e) / short <= limit
"""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.slo.alert import Observation, catch_up
from pipeline.slo.alert_state import AlertState, Change
from pipeline.slo.burn import Rule
from pipeline.slo.counts import Row, Series
from pipeline.slo.durations import MINUTES_PER_MONTH
from pipeline.slo.windows import GUARD_OFF, Pair, Severity, workbook_pairs

TARGET = Fraction(99, 100)
HOUR = 60


def changes(bad: int, total: int, baseline: int, fault: int, pairs: tuple[Pair, ...]) -> list[tuple[int, Change]]:
    """What happens, in minutes since the fault began; `bad` of `total` events a minute fail in it."""
    rows = [
        Row(at, bad if baseline <= at < baseline + fault else 0, total, total) for at in range(baseline + fault + 400)
    ]
    rule = Rule(TARGET, MINUTES_PER_MONTH, pairs, GUARD_OFF)
    start = AlertState(key="k", evaluated=baseline)
    _, transitions = catch_up(start, [Observation("reported", Series(rows), rule)], len(rows) - 1)
    return [(each.at - baseline + 1, each.change) for each in transitions]


@settings(max_examples=60, deadline=None)
@given(st.integers(15, 100), st.integers(20, 90), st.sampled_from(workbook_pairs(MINUTES_PER_MONTH)[:2]))
def test_fires_and_resolves_when_the_formula_says(percent: int, fault: int, pair: Pair) -> None:
    share, limit = Fraction(percent, 100), pair.threshold * (1 - TARGET)
    begins = math.floor(limit * pair.long / share) + 1
    ends = fault + math.ceil(pair.short * (1 - limit / share))
    expected = [(begins, Change.FIRED), (ends, Change.RESOLVED)] if begins <= fault else []
    assert changes(percent, 100, pair.long, fault, (pair,)) == expected


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [(5, []), (8, []), (9, [(9, Change.FIRED), (14, Change.RESOLVED)])],
)
def test_spikes_around_two_percent_of_the_budget(minutes: int, expected: list[tuple[int, Change]]) -> None:
    """1.16%, 1.85% and 2.08% of the budget: only the last is worth a page."""
    pages = tuple(pair for pair in workbook_pairs(MINUTES_PER_MONTH) if pair.severity is Severity.PAGE)
    assert changes(10, 10, 6 * HOUR, minutes, pages) == expected


def test_half_of_the_tasks_failing_for_half_an_hour() -> None:
    pages = tuple(pair for pair in workbook_pairs(MINUTES_PER_MONTH) if pair.severity is Severity.PAGE)
    assert changes(5, 10, 72 * HOUR, 30, pages)[0] == (18, Change.FIRED)


def test_two_percent_failing_opens_a_ticket_after_a_day_and_a_half() -> None:
    found = changes(2, 100, 72 * HOUR, 40 * HOUR, workbook_pairs(MINUTES_PER_MONTH))
    assert found == [(36 * HOUR + 1, Change.FIRED), (40 * HOUR + 180, Change.RESOLVED)]
