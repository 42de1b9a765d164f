"""The simulation behind docs/slo-defaults.md is the evaluator, only faster, and the default rule keeps its promise."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from bench.slo_months import Candidate, Ints, active, rules, simulate, tasks_per_minute
from pipeline.slo.alert import Observation, catch_up
from pipeline.slo.alert_state import AlertState
from pipeline.slo.counts import Row, Series
from pipeline.slo.durations import MINUTES_PER_MONTH

TARGETS = ("0.99", "0.95", "0.9")


def minutes_of(total: Ints, bad: Ints, rule_name: str, target: str) -> list[int]:
    rule = rules(Fraction(target), MINUTES_PER_MONTH)[rule_name].rule
    rows = [Row(int(at), int(bad[at]), int(total[at]), int(total[at])) for at in np.flatnonzero(total)]
    observations = [Observation("reported", Series(rows), rule)]
    _, transitions = catch_up(AlertState(key="k", evaluated=0), observations, len(total) - 1)
    level = np.zeros(len(total), bool)
    for each in transitions:
        level[each.at :] = each.level is not None
    return [int(at) for at in np.flatnonzero(level)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_simulation_is_the_evaluator(target: str, seed: int) -> None:
    """Four days of good times, an outage, nothing at all, and a relapse with pauses: the same firing minutes."""
    rng = np.random.default_rng(seed)
    share = np.repeat([float(1 - Fraction(target)) / 2, 1.0, 0.1, 0.6], 1440)
    total = rng.poisson(50 / 1440, len(share))
    total[2 * 1440 : 2 * 1440 + 700] = 0
    total[3 * 1440 :] *= np.arange(1440) % 480 < 240
    bad = rng.binomial(total, share)
    rule = rules(Fraction(target), MINUTES_PER_MONTH)["default"]
    simulated = [int(at) for at in np.flatnonzero(active(total, bad, rule))]
    assert simulated == minutes_of(total, bad, "default", target)
    assert simulated


@pytest.mark.parametrize("target", TARGETS)
def test_at_fifty_tasks_a_day_the_default_rule_keeps_its_promise(target: str) -> None:
    """At most 0.2 pages in 30 days at half the budget; half of all total outages page within two hours."""
    rule = rules(Fraction(target), MINUTES_PER_MONTH)["default"]
    outcome = simulate(rule, count=60, runs=150, rate=tasks_per_minute(50, day_night=False), seed=11)
    assert outcome.pages_at_half <= 0.2
    total, half = outcome.minutes_to_page[Fraction(1)], outcome.minutes_to_page[Fraction(1, 2)]
    assert (total >= 0).all()
    assert np.median(total) < 120
    assert np.median(np.where(half < 0, 1440, half)) < 6 * 60


def test_the_plain_workbook_cannot_keep_it() -> None:
    """What the default rule is for: far too many pages at 99%, too late at 90%."""
    rate = tasks_per_minute(50, day_night=False)
    noisy = simulate(rules(Fraction("0.99"), MINUTES_PER_MONTH)["workbook"], 10, 50, rate, 11)
    late = simulate(rules(Fraction("0.9"), MINUTES_PER_MONTH)["workbook"], 10, 50, rate, 11)
    assert noisy.pages_at_half > 2
    assert np.median(late.minutes_to_page[Fraction(1)]) > 120


def test_a_day_and_night_of_tasks_has_as_many_as_an_even_one() -> None:
    assert tasks_per_minute(50, day_night=True).sum() == pytest.approx(50)
    assert tasks_per_minute(50, day_night=False).sum() == pytest.approx(50)


def test_a_run_of_failed_tasks_pages_with_its_last_and_ends_with_good_ones() -> None:
    quiet = replace(rules(Fraction("0.9"), MINUTES_PER_MONTH)["workbook"].rule, pairs=())
    total = np.array([1, 1, 0, 1, 0, 1, 1, 1])
    bad = np.array([1, 1, 0, 1, 0, 0, 0, 1])
    assert np.flatnonzero(active(total, bad, Candidate(quiet, run=3))).tolist() == [3, 4, 5]
