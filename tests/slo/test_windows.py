"""The default rule can fire at every target, and is the workbook's where the workbook's can."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.slo.durations import MINUTES_PER_DAY, MINUTES_PER_MONTH
from pipeline.slo.windows import (
    SHORT_DIVISOR,
    Pair,
    Severity,
    cited_rows,
    default_guard,
    default_pairs,
    parse_share,
    workbook_pairs,
)

TARGETS = st.integers(20_000, 99_999).map(lambda share: Fraction(share, 100_000))
PERIODS = st.integers(1, 400).map(lambda days: days * MINUTES_PER_DAY)


def test_thirty_days_give_the_numbers_of_the_workbook() -> None:
    assert [str(pair) for pair in workbook_pairs(MINUTES_PER_MONTH)] == [
        "page 1h/5m x14.4",
        "page 6h/30m x6",
        "ticket 1d/2h x3",
        "ticket 3d/6h x1",
    ]


@pytest.mark.parametrize(("days", "thresholds"), [(7, ["3.36", "1.4", "1"]), (28, ["13.44", "5.6", "2.8", "1"])])
def test_another_period_keeps_the_share_of_its_budget(days: int, thresholds: list[str]) -> None:
    pairs = workbook_pairs(days * MINUTES_PER_DAY)
    assert [pair.threshold for pair in pairs] == [Fraction(each) for each in thresholds]


@pytest.mark.parametrize("target", ["0.98", "0.99", "0.999", "0.9999"])
def test_at_high_targets_the_default_rule_is_the_workbook(target: str) -> None:
    assert default_pairs(MINUTES_PER_MONTH, Fraction(target)) == workbook_pairs(MINUTES_PER_MONTH)


def test_at_ninety_percent_the_workbook_cannot_page_fast_but_the_default_can() -> None:
    fast = workbook_pairs(MINUTES_PER_MONTH)[0]
    assert not fast.reachable(Fraction(9, 10))
    assert [str(pair) for pair in default_pairs(MINUTES_PER_MONTH, Fraction(9, 10))] == [
        "page 2h/10m x7.2",
        "page 216m/18m x4",
        "page 9h/45m x4",
        "ticket 1d/2h x3",
        "ticket 3d/6h x1",
    ]


@given(PERIODS, TARGETS)
def test_every_default_pair_can_fire_and_none_fires_within_budget(period: int, target: Fraction) -> None:
    pairs = default_pairs(period, target)
    assert {pair.severity for pair in pairs} == set(Severity)
    shares = {row.budget for row in cited_rows()}
    for pair in pairs:
        assert pair.reachable(target)
        assert pair.threshold >= 1
        assert pair.long == pair.short * SHORT_DIVISOR
        assert pair.threshold * pair.long / period in shares


def test_a_period_of_less_than_two_hours_has_no_windows() -> None:
    assert default_pairs(119, Fraction(9, 10)) == ()


def test_every_row_says_where_it_comes_from() -> None:
    assert all(len(row.source) > 20 for row in cited_rows())
    assert default_guard().min_bad == 3


@pytest.mark.parametrize(
    ("threshold", "inclusive", "fires"), [("10", False, False), ("10", True, True), ("9.999", False, True)]
)
def test_a_threshold_is_reachable_if_total_failure_exceeds_it(threshold: str, inclusive: bool, fires: bool) -> None:
    pair = Pair(Severity.PAGE, 60, 5, Fraction(threshold), inclusive)
    assert pair.reachable(Fraction(9, 10)) is fires


@pytest.mark.parametrize(("long", "short", "threshold"), [(5, 6, 1), (5, 0, 1), (60, 5, 0), (60, 5, -1)])
def test_pairs_that_make_no_sense_are_refused(long: int, short: int, threshold: int) -> None:
    with pytest.raises(ValueError, match=r"window|threshold"):
        Pair(Severity.PAGE, long, short, Fraction(threshold))


@pytest.mark.parametrize(
    ("text", "share"), [("20%", "1/5"), ("0.2", "1/5"), ("1/5", "1/5"), ("1", "1"), ("2.5 %", "1/40"), ("14.4", "72/5")]
)
def test_shares_are_read_exactly(text: str, share: str) -> None:
    assert parse_share(text) == Fraction(share)


@pytest.mark.parametrize("text", ["", "-1", "1/0", "x", "1e9", "1/2/3", "%", "nan", "٣", "9999999999"])
def test_what_is_not_a_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        parse_share(text)
