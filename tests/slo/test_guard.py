"""The low-traffic guard: its numbers, its promise, and that it vanishes where there is traffic."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from pipeline.slo.durations import MINUTES_PER_MONTH
from pipeline.slo.guard import expected_alerts, required_bad, traffic_per_month
from pipeline.slo.windows import Guard, Pair, Severity, default_guard, default_pairs

GUARD = default_guard()
FIFTY_A_DAY = 1500


@pytest.mark.parametrize(
    ("target", "required"), [("0.99", (3, 3, 3, 4)), ("0.95", (3, 3, 4, 3, 10)), ("0.9", (3, 5, 3, 3, 16))]
)
def test_bad_events_needed_at_fifty_tasks_a_day(target: str, required: tuple[int, ...]) -> None:
    pairs = default_pairs(MINUTES_PER_MONTH, Fraction(target))
    assert required_bad(pairs, Fraction(target), FIFTY_A_DAY, GUARD) == required


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([7, 28, 30, 90]), st.integers(500, 999), st.integers(0, 10**7))
def test_no_severity_expects_more_false_alerts_than_allowed(days: int, target: int, traffic: int) -> None:
    share = Fraction(target, 1000)
    pairs = default_pairs(days * 1440, share)
    required = required_bad(pairs, share, traffic, GUARD)
    assert min(required) >= GUARD.min_bad
    for severity, allowed in GUARD.false_alerts:
        expected = sum(
            expected_alerts(pair, share, traffic, GUARD, needed)
            for pair, needed in zip(pairs, required, strict=True)
            if pair.severity is severity
        )
        assert expected <= allowed


@pytest.mark.parametrize("target", ["0.9", "0.95", "0.99"])
def test_with_traffic_nothing_but_the_plain_minimum_is_needed(target: str) -> None:
    pairs = default_pairs(MINUTES_PER_MONTH, Fraction(target))
    assert set(required_bad(pairs, Fraction(target), 10**7, GUARD)) == {GUARD.min_bad}


def test_more_bad_events_are_ever_less_expected() -> None:
    pair, target = default_pairs(MINUTES_PER_MONTH, Fraction(9, 10))[1], Fraction(9, 10)
    expected = [expected_alerts(pair, target, FIFTY_A_DAY, GUARD, needed) for needed in range(1, 12)]
    assert expected == sorted(expected, reverse=True)
    assert expected[-1] < 1e-4


def test_without_stretching_the_bound_is_a_product_of_poisson_tails() -> None:
    """Against scipy: bad arrivals, times enough others in the window, times few enough good ones."""
    pair = Pair(Severity.PAGE, 360, 30, Fraction(6))
    guard = Guard(3, 0, Fraction(1, 2), ())
    bad_rate, in_window = 0.025, FIFTY_A_DAY * 360 / MINUTES_PER_MONTH
    good = stats.poisson(in_window * (1 - bad_rate) * 11 / 12)
    bad = stats.poisson(in_window * bad_rate)
    by_hand = sum(bad.pmf(others) * good.cdf(most) for others, most in [(3, 9), (4, 11), (5, 13), (6, 16), (7, 18)])
    found = expected_alerts(pair, Fraction(95, 100), FIFTY_A_DAY, guard, 4)
    assert found == pytest.approx(FIFTY_A_DAY * bad_rate * by_hand, rel=1e-4)


def test_two_bad_events_and_no_other_are_enough_where_two_are_needed() -> None:
    """There are fewer than the most recent three, and all of them are bad."""
    pair, target = default_pairs(MINUTES_PER_MONTH, Fraction(95, 100))[0], Fraction(95, 100)
    two, three = (expected_alerts(pair, target, FIFTY_A_DAY, GUARD, needed) for needed in (2, 3))
    in_window = FIFTY_A_DAY * 60 / MINUTES_PER_MONTH
    alone = stats.poisson(in_window * 0.025).pmf(1) * stats.poisson(in_window * 0.975 * 11 / 12).pmf(0)
    assert two - three == pytest.approx(FIFTY_A_DAY * 0.025 * alone)


@pytest.mark.parametrize(("target", "required"), [("0.99", (2, 3)), ("0.95", (3, 3, 4)), ("0.9", (3, 5, 2))])
def test_an_owner_who_asks_for_fewer_gets_fewer_only_where_the_promise_allows(
    target: str, required: tuple[int, ...]
) -> None:
    pairs = tuple(p for p in default_pairs(MINUTES_PER_MONTH, Fraction(target)) if p.severity is Severity.PAGE)
    assert required_bad(pairs, Fraction(target), FIFTY_A_DAY, replace(GUARD, min_bad=2)) == required


@pytest.mark.parametrize(
    ("events", "minutes", "traffic"),
    [(0, 100, 0), (1, 43_200, 1), (1500, 43_200, 1500), (1501, 43_200, 1600), (1, 60, 720), (10**6, 43_200, 10**6)],
)
def test_traffic_is_rounded_up_to_two_digits(events: int, minutes: int, traffic: int) -> None:
    assert traffic_per_month(events, minutes) == traffic


def test_the_table_of_the_documentation_is_the_rule() -> None:
    document = Path(__file__).parents[2] / "docs" / "slo-defaults.md"
    section = document.read_text("utf-8").split("\n## The windows\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:3] == "| 0"]
    expected = []
    for name in ("0.99", "0.95", "0.9"):
        target = Fraction(name)
        pairs = default_pairs(MINUTES_PER_MONTH, target)
        required = required_bad(pairs, target, FIFTY_A_DAY, GUARD)
        for pair, needed in zip(pairs, required, strict=True):
            expected.append([name, str(pair), f"{float(pair.threshold * (1 - target)) * 100:.3g}%", str(needed)])
    assert rows == expected


@pytest.mark.parametrize(("target", "bound"), [("0.99", 0.01), ("0.95", 0.18), ("0.9", 0.13)])
def test_the_bound_is_the_documented_one(target: str, bound: float) -> None:
    share = Fraction(target)
    pairs = default_pairs(MINUTES_PER_MONTH, share)
    required = required_bad(pairs, share, FIFTY_A_DAY, GUARD)
    pages = [
        expected_alerts(pair, share, FIFTY_A_DAY, GUARD, needed)
        for pair, needed in zip(pairs, required, strict=True)
        if pair.severity is Severity.PAGE
    ]
    assert sum(pages) == pytest.approx(bound, abs=0.005)
