"""Every metric of a report against values that are not ours: published ones, scipy, numpy, and sums by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from pipeline.report.metrics import interval, metrics, usd, wilson
from schemas.rows import COUNTS
from schemas.units import MICRO, NANO, bucket
from sinks.clickhouse.reads import Counted

NEWCOMBE = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
]
"""Successes, n, and the score interval: Newcombe 1998, Statistics in Medicine 17:857, table I, method 3."""

VERDICTS = {
    "weight_known": 1 + 1 + 1 + 4 + 2 + 2 + 5,
    "weight_squared_known": 1 + 1 + 1 + 16 + 4 + 4 + 25,
    "weight_success": 1 + 1 + 1 + 2 + 2,
    "weight_claimed_success_known": 1 + 1 + 1 + 4,
    "weight_squared_claimed_success_known": 1 + 1 + 1 + 16,
    "weight_discrepancies": 4,
    "weight_underclaims": 2 + 2,
}
"""Verdicts that stand for 1, 1, 1 (success) and 4 tasks (failure) of those that claimed success, and for 2, 2
(success) and 5 (failure) of the others."""

WINDOW = {
    "tasks_finished": 90, "tasks_abandoned": 10, "claimed_success": 70, "verdict_known": 41, "overridden": 9,
    "escalated": 7, "cost_known": 60, "complaints": 3, "answered": 20, "actions": 500, "action_errors": 26,
    "satisfaction_known": 16, "satisfaction_micro": 12 * MICRO,
    "cost_nano": 33 * NANO, "cost_model_nano": 15 * NANO, "cost_tool_nano": 3 * NANO, "cost_human_nano": 9 * NANO,
    "cost_engineering_nano": 0, "cost_operations_nano": 6 * NANO,
    "cost_of_verified_nano": 22 * NANO, "verdict_success_cost_known": 8,
    **{name: n * (MICRO**2 if "squared" in name else MICRO) for name, n in VERDICTS.items()},
}  # fmt: skip
"""A window in which no two numbers that a formula could take for each other are equal."""

RATES = {
    "completion_rate": (70, 100),
    "verification_coverage": (41, 90),
    "override_rate": (9, 90),
    "escalation_rate": (7, 90),
    "cost_coverage": (60, 90),
    "complaint_rate": (3, 90),
    "feedback_coverage": (20, 90),
    "action_error_rate": (26, 500),
}
"""What section 4 of the design makes of it: numerator, denominator."""

WEIGHTED = {
    "verified_success_rate": (7, 16, 16**2 / 52),
    "discrepancy_rate": (4, 7, 7**2 / 19),
    "underclaim_rate": (4, 9, 9**2 / (52 - 19)),
}
"""Numerator, denominator, and the effective number of observations of Kish: squared sum over sum of squares."""


def of(counts: dict[str, int], **more: Any) -> dict[str, Any]:
    """The metrics of these counts; those that are left out are 0."""
    maps = {"cycle_us": {}, "latency_us": {}, "scores": {}} | more
    return metrics(Counted(None, {}, dict.fromkeys(COUNTS, 0) | counts, **maps))


def score_interval(share: float, n: float) -> tuple[float, float]:
    """What Wilson's interval is: the shares that a score test at 5% does not reject, found by a root finder."""
    z = stats.norm.ppf(0.975)

    def excess(p: float) -> float:
        return float((share - p) ** 2 - z * z * p * (1 - p) / n)

    return optimize.brentq(excess, 0.0, share, xtol=1e-13), optimize.brentq(excess, share, 1.0, xtol=1e-13)


# --- the interval --------------------------------------------------------------------------------


@pytest.mark.parametrize(("successes", "n", "low", "high"), NEWCOMBE)
def test_the_interval_is_the_published_one(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@given(data=st.data(), n=st.integers(1, 100_000))
def test_the_interval_is_that_of_scipy(data: st.DataObject, n: int) -> None:
    successes = data.draw(st.integers(0, n))
    found = stats.binomtest(successes, n).proportion_ci(confidence_level=0.95, method="wilson")
    assert wilson(successes, n) == pytest.approx((found.low, found.high), abs=1e-9)


def test_of_nothing_there_is_no_interval() -> None:
    assert wilson(0, 0) is None
    assert interval(0, 0, 0) == {"value": None, "numerator": 0, "denominator": 0, "low": None, "high": None}


# --- rates ---------------------------------------------------------------------------------------


def test_every_rate_is_tested_here() -> None:
    assert {name for name, metric in of({}).items() if "low" in metric} == RATES.keys() | WEIGHTED.keys()


@pytest.mark.parametrize("name", RATES)
def test_a_rate_is_its_numerator_out_of_its_denominator(name: str) -> None:
    numerator, denominator = RATES[name]
    found = of(WINDOW)[name]
    expected = stats.binomtest(numerator, denominator).proportion_ci(method="wilson")
    assert (found["numerator"], found["denominator"]) == (numerator, denominator)
    assert found["value"] == numerator / denominator
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_rate_of_sampled_verdicts_counts_what_each_stands_for(name: str) -> None:
    numerator, denominator, effective = WEIGHTED[name]
    found = of(WINDOW)[name]
    assert (found["numerator"], found["denominator"]) == (numerator, denominator)
    assert found["value"] == numerator / denominator
    assert (found["low"], found["high"]) == pytest.approx(score_interval(numerator / denominator, effective))


@given(claimed=st.lists(st.booleans()), others=st.lists(st.booleans()), stands_for=st.integers(1, 1_000))
def test_verdicts_that_stand_for_as_many_tasks_each_have_the_interval_of_their_number(
    claimed: list[bool], others: list[bool], stands_for: int
) -> None:
    """A tenth of the tasks, looked at, tells as much as a tenth of the tasks: the weight makes nothing surer."""
    known, weight = claimed + others, stands_for * MICRO
    found = of({
        "weight_known": weight * len(known),
        "weight_squared_known": weight**2 * len(known),
        "weight_success": weight * sum(known),
        "weight_claimed_success_known": weight * len(claimed),
        "weight_squared_claimed_success_known": weight**2 * len(claimed),
        "weight_discrepancies": weight * claimed.count(False),
        "weight_underclaims": weight * sum(others),
    })  # fmt: skip
    plain = {
        "verified_success_rate": (sum(known), len(known)),
        "discrepancy_rate": (claimed.count(False), len(claimed)),
        "underclaim_rate": (sum(others), len(others)),
    }
    for name, (successes, n) in plain.items():
        rate = found[name]
        assert (rate["numerator"], rate["denominator"]) == (stands_for * successes, stands_for * n)
        if n:
            bounds = stats.binomtest(successes, n).proportion_ci(method="wilson")
            assert (rate["low"], rate["high"]) == pytest.approx((bounds.low, bounds.high), abs=1e-9)
        else:
            assert (rate["value"], rate["low"], rate["high"]) == (None, None, None)


def test_a_verdict_that_stands_for_a_part_of_a_task_more_is_not_rounded() -> None:
    third = 3_333_333
    counts = {"weight_known": third, "weight_success": third, "weight_squared_known": third**2}
    found = of(counts)["verified_success_rate"]
    assert (found["numerator"], found["denominator"], found["value"]) == (3.333333, 3.333333, 1.0)
    one = stats.binomtest(1, 1).proportion_ci(method="wilson")
    assert (found["low"], found["high"]) == pytest.approx((one.low, one.high))


# --- money, means --------------------------------------------------------------------------------


def test_money_is_per_task_of_known_cost_and_by_category() -> None:
    found = of(WINDOW)["cost_per_task"]
    assert found == {
        "value": "0.550000000",
        "numerator": "33.000000000",
        "denominator": 60,
        "by_category": {
            "model": "0.250000000",
            "tool": "0.050000000",
            "human": "0.150000000",
            "engineering": "0.000000000",
            "operations": "0.100000000",
        },
    }


def test_what_was_spent_on_verified_tasks_is_shared_by_those_that_succeeded() -> None:
    found = of(WINDOW)["cost_per_verified_success"]
    assert found == {"value": "2.750000000", "numerator": "22.000000000", "denominator": 8}


def test_money_is_exact_beyond_what_a_float_holds() -> None:
    found = of({"cost_nano": 2**63 + 1, "cost_known": 1})["cost_per_task"]
    assert found["value"] == found["numerator"] == "9223372036.854775809"
    assert usd(7) == "0.000000007"


def test_satisfaction_is_a_mean_of_those_who_told_theirs() -> None:
    assert of(WINDOW)["satisfaction"] == {"value": 0.75, "numerator": 12, "denominator": 16}


def test_quality_is_a_mean_by_evaluator_on_its_own_scale() -> None:
    scores = {"judge": (4, 3 * MICRO), "strict": (5, -10 * MICRO)}
    assert of({}, scores=scores)["quality_score"] == {
        "by_evaluator": {
            "judge": {"value": 0.75, "numerator": 3, "denominator": 4},
            "strict": {"value": -2.0, "numerator": -10, "denominator": 5},
        }
    }


# --- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "histogram"), [("cycle_time", "cycle_us"), ("action_latency", "latency_us")])
def test_times_are_the_quantiles_in_seconds(name: str, histogram: str) -> None:
    """Of 1,000 times from 0.25 s to 250 s."""
    times = [250_000 * n for n in range(1, 1_001)]
    held: dict[int, int] = {}
    for us in times:
        held[bucket(us)] = held.get(bucket(us), 0) + 1
    found = of({}, **{histogram: held})
    assert found[name]["denominator"] == 1_000
    for point, q in {"p50": 0.50, "p95": 0.95, "p99": 0.99}.items():
        exact = float(np.quantile(np.array(times), q, method="inverted_cdf")) / MICRO
        assert found[name][point] == pytest.approx(exact, rel=1 / 128), point
    (other,) = {"cycle_time", "action_latency"} - {name}
    assert found[other] == {"p50": None, "p95": None, "p99": None, "denominator": 0}


# --- nothing -------------------------------------------------------------------------------------


def test_of_nothing_every_metric_is_null() -> None:
    found = of({})
    assert found.pop("quality_score") == {"by_evaluator": {}}
    assert set(found.pop("cost_per_task").pop("by_category").values()) == {None}
    values = [value for metric in found.values() for name, value in metric.items() if name in ("value", "low", "p50")]
    assert len(values) >= len(found)
    assert set(values) == {None}


@pytest.mark.parametrize("name", ["cost_per_task", "cost_per_verified_success", "satisfaction"])
def test_a_mean_is_null_where_money_or_answers_are_of_nobody(name: str) -> None:
    """What was spent on verified tasks of which none succeeded has no price per success."""
    found = of(WINDOW | dict.fromkeys(("cost_known", "verdict_success_cost_known", "satisfaction_known"), 0))
    assert (found[name]["value"], found[name]["denominator"]) == (None, 0)
