"""Simulated months of the burn-rate rules: pages while all is well, and hours until an outage pages.

    python -m bench.slo_months                    the table of docs/slo-defaults.md
    python -m bench.slo_months --tasks 500 --period 7 --day-night
    python -m bench.slo_months --considered       rules that were not adopted, and why is in the same file

Tasks come as a Poisson process, by default 50 a day, and fail independently. Every minute is evaluated, with the
pairs and the guard of `pipeline.slo`, vectorised; tests/slo/test_slo_months.py holds this file to the evaluator.
"""

import argparse
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.slo.burn import Rule
from pipeline.slo.durations import MINUTES_PER_DAY, MINUTES_PER_MONTH
from pipeline.slo.windows import GUARD_OFF, Severity, default_guard, default_pairs, workbook_pairs

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

RUN = MINUTES_PER_DAY  # a simulated outage lasts a day, after a day without
CHUNK_MONTHS = 10
SHORTEST_MEASURE = 60


class Outcome(NamedTuple):
    """One line of the table."""

    pages_at_half: float
    pages_at_budget: float
    minutes_to_page: dict[Fraction, Ints]  # share of bad tasks -> minutes until the page, or -1, per simulated outage


class Candidate(NamedTuple):
    """A rule (pairs of one severity). With `run`, so many failed tasks in a row page, too, whatever the windows say."""

    rule: Rule
    run: int = 0


def active(total: Ints, bad: Ints, candidate: Candidate) -> Bools:
    """Whether the alert fires, minute by minute."""
    firing = _by_windows(total, bad, candidate.rule)
    return firing | _by_run(total, bad, candidate.run) if candidate.run else firing


def _by_run(total: Ints, bad: Ints, run: int) -> Bools:
    """From the last of `run` failed tasks in a row until fewer than two of the last three have failed."""
    tasks, failures = _prefix(total), _prefix(bad)
    now = np.arange(1, len(total) + 1)

    def last(events: int) -> tuple[Ints, Ints]:
        since = np.maximum(np.searchsorted(tasks, tasks[1:] - events, side="right") - 1, 0)
        return _between(failures, since, now), _between(tasks, since, now)

    (failed, finished), (lately_failed, lately_finished) = last(run), last(3)
    begins = (bad > 0) & (finished >= run) & (failed == finished)
    return _latched(begins, 2 * lately_failed > lately_finished)


def _by_windows(total: Ints, bad: Ints, rule: Rule) -> Bools:
    tasks, failures = _prefix(total), _prefix(bad)
    now = np.arange(1, len(total) + 1)
    recent = np.searchsorted(tasks, tasks[1:] - rule.guard.recent, side="right") - 1
    required = _required(total, tasks, now, rule)
    begins, holds = np.zeros(len(total), bool), np.zeros(len(total), bool)
    for at, (pair, limit) in enumerate(zip(rule.pairs, rule.limits, strict=True)):
        long, short = np.maximum(now - pair.long, 0), np.maximum(now - pair.short, 0)
        stretched = np.maximum(np.minimum(short, recent), long) if rule.guard.recent else short

        def above(since: Ints, limit: Fraction = limit) -> Bools:
            return _between(failures, since, now) * limit.denominator > limit.numerator * _between(tasks, since, now)

        crossed = above(long) & above(stretched)
        holds |= crossed
        if rule.guard.recent:
            holds |= _between(tasks, long, now) == 0  # frozen
        begins |= crossed & above(short) & (_between(failures, long, now) >= required[:, at])
    return _latched(begins, holds)


def months(
    candidate: Candidate, burn: Fraction, count: int, rate: npt.NDArray[np.float64], rng: np.random.Generator
) -> float:
    """Pages per 30 days of an agent that spends `burn` times its budget; `rate` is tasks per minute of a day."""
    pages = 0
    for _ in range(max(count // CHUNK_MONTHS, 1)):
        total = rng.poisson(np.tile(rate, CHUNK_MONTHS * MINUTES_PER_MONTH // MINUTES_PER_DAY))
        bad = rng.binomial(total, float(burn * (1 - candidate.rule.target)))
        pages += int(np.count_nonzero(np.diff(active(total, bad, candidate).astype(np.int8), prepend=0) == 1))
    return pages / (max(count // CHUNK_MONTHS, 1) * CHUNK_MONTHS)


def outages(
    candidate: Candidate, share: Fraction, count: int, rate: npt.NDArray[np.float64], rng: np.random.Generator
) -> Ints:
    """Minutes from the start of an outage to the page, -1 for not within a day; the day before burns at half budget."""
    total = rng.poisson(np.tile(rate, 2 * count)).reshape(count, 2, RUN)
    if not np.allclose(rate, rate[0]):  # let outages begin at any hour
        total = np.stack([np.roll(run, rng.integers(RUN), axis=1) for run in total])
    bad = np.empty_like(total)
    bad[:, 0] = rng.binomial(total[:, 0], float((1 - candidate.rule.target) / 2))
    bad[:, 1] = rng.binomial(total[:, 1], float(share))
    firing = active(total.ravel(), bad.ravel(), candidate).reshape(count, 2, RUN)[:, 1]
    return np.where(firing.any(axis=1), firing.argmax(axis=1), -1)


def simulate(candidate: Candidate, count: int, runs: int, rate: npt.NDArray[np.float64], seed: int) -> Outcome:
    """Pages per month at half and full budget, and the delays of total and half outages."""
    rng = np.random.default_rng(seed)
    half, full = (months(candidate, burn, count, rate, rng) for burn in (Fraction(1, 2), Fraction(1)))
    return Outcome(half, full, {bad: outages(candidate, bad, runs, rate, rng) for bad in (Fraction(1), Fraction(1, 2))})


def rules(target: Fraction, period: int) -> dict[str, Candidate]:
    """The rules that the table compares; the first is the product's default."""
    workbook = workbook_pairs(period)
    return {
        "default": _pages(Rule(target, period, default_pairs(period, target))),
        "workbook, >= 3 bad": _pages(Rule(target, period, workbook, replace(GUARD_OFF, min_bad=3))),
        "workbook": _pages(Rule(target, period, workbook, GUARD_OFF)),
    }


def considered(target: Fraction, period: int) -> dict[str, Candidate]:
    """Rules that page sooner in a total outage, beside the default."""
    pairs = default_pairs(period, target)
    fewer = replace(default_guard(), min_bad=2)
    default = _pages(Rule(target, period, pairs))
    run = 2 if target >= Fraction(98, 100) else 3  # the shortest that seldom comes by chance at half the budget
    return {
        "default": default,
        "at least 2 bad": _pages(Rule(target, period, pairs, fewer)),
        f"or {run} in a row": default._replace(run=run),
    }


def _pages(rule: Rule) -> Candidate:
    return Candidate(rule.only(Severity.PAGE))


def tasks_per_minute(per_day: float, day_night: bool) -> npt.NDArray[np.float64]:
    """The rate of each minute of a day; with `day_night`, four fifths of the tasks come within eight hours."""
    shape = np.ones(RUN)
    if day_night:
        shape[8 * 60 : 16 * 60], shape[: 8 * 60], shape[16 * 60 :] = 2.4, 0.3, 0.3
    return per_day / RUN * shape


def report(minutes: Ints) -> str:
    """`median / 90th percentile` in hours, and the share found within two hours and missed."""
    hours = np.where(minutes < 0, np.inf, (minutes + 1) / 60)
    median, slow = np.sort(hours)[[len(hours) // 2, len(hours) * 9 // 10]]
    return f"{median:5.2f} h {slow:5.1f} h {np.mean(hours <= 2):4.0%} {np.mean(np.isinf(hours)):4.0%}"


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description="Simulated months of the burn-rate rules.")
    options.add_argument("--tasks", type=float, default=50, help="tasks per day")
    options.add_argument("--period", type=int, default=30, help="days of the error budget")
    options.add_argument("--months", type=int, default=200, help="simulated months per cell")
    options.add_argument("--runs", type=int, default=500, help="simulated outages per cell")
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--day-night", action="store_true", help="four fifths of the tasks within eight hours")
    options.add_argument("--considered", action="store_true", help="rules that were not adopted")
    options.add_argument("--targets", nargs="+", default=["0.99", "0.95", "0.9"])
    given = options.parse_args()
    rate = tasks_per_minute(given.tasks, given.day_night)
    print(f"{given.tasks:g} tasks a day, {given.period}d budget, {given.months} months, {given.runs} outages per cell")
    columns = "median   90%   <2h  miss"
    print(f"target rule                 pages/30d: half  full   all bad: {columns}   half bad: {columns}")
    for target in given.targets:
        compared = considered if given.considered else rules
        for name, candidate in compared(Fraction(target), given.period * MINUTES_PER_DAY).items():
            outcome = simulate(candidate, given.months, given.runs, rate, given.seed)
            delays = "   ".join(report(minutes) for minutes in outcome.minutes_to_page.values())
            pages = f"{outcome.pages_at_half:16.2f} {outcome.pages_at_budget:5.2f}"
            print(f"{target:6} {name:20} {pages}   {delays}", flush=True)


def _prefix(counts: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(counts)])


def _between(sums: Ints, since: Ints, until: Ints) -> Ints:
    difference: Ints = sums[until] - sums[since]
    return difference


def _latched(begins: Bools, holds: Bools) -> Bools:
    """begins, or active a minute ago and holds."""
    position = np.arange(len(begins))
    last_begin = np.maximum.accumulate(np.where(begins, position, -1))
    last_break = np.maximum.accumulate(np.where(~holds & ~begins, position, -1))
    return last_begin > last_break


def _required(total: Ints, tasks: Ints, now: Ints, rule: Rule) -> Ints:
    """The bad events that each pair needs, minute by minute, from the traffic so far."""
    if not rule.guard.false_alerts:
        return np.full((len(total), len(rule.pairs)), rule.guard.min_bad)
    first = int(np.argmax(total > 0))
    span = np.minimum(rule.period, np.maximum(now - first, SHORTEST_MEASURE))
    average = _per_month(tasks, now, span)
    required = np.empty((len(total), len(rule.pairs)), np.int64)
    for at, pair in enumerate(rule.pairs):
        exact = np.maximum(average, _per_month(tasks, now, np.full_like(now, pair.long)))
        unit = 10 ** np.maximum(np.searchsorted(10 ** np.arange(1, 18), exact, side="right") - 1, 0)
        traffic, which = np.unique(-(-exact // unit) * unit, return_inverse=True)
        required[:, at] = np.array([rule.required(int(each))[at] for each in traffic])[which]
    return required


def _per_month(tasks: Ints, now: Ints, span: Ints) -> Ints:
    exact: Ints = -(-_between(tasks, np.maximum(now - span, 0), now) * MINUTES_PER_MONTH // span)
    return exact


if __name__ == "__main__":
    main()
