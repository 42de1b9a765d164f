"""Burn rates, judged from counts: bad * limit.denominator > limit.numerator * total, never a ratio of ratios."""

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from pipeline.slo.counts import Counts, Series
from pipeline.slo.durations import spell_minutes
from pipeline.slo.guard import required_bad, traffic_per_month
from pipeline.slo.windows import Guard, Pair, Severity, default_guard

_SHORTEST_MEASURE = 60  # minutes: the first few events of a series say little about its traffic


@dataclass(frozen=True)
class Rule:
    """The burn-rate windows of one objective. `period` (minutes) is where the traffic is measured."""

    target: Fraction
    period: int
    pairs: tuple[Pair, ...]
    guard: Guard = field(default_factory=default_guard)

    def only(self, severity: Severity) -> "Rule":
        """The same rule with the pairs of one severity."""
        return self._by_severity[severity]

    @cached_property
    def limits(self) -> tuple[Fraction, ...]:
        """For each pair, the share of bad events above which it burns."""
        return tuple(pair.threshold * (1 - self.target) for pair in self.pairs)

    def required(self, traffic: int) -> tuple[int, ...]:
        """For each pair, the bad events that its long window needs to begin, at `traffic` events per 30 days."""
        known = self._required.get(traffic)
        if known is None:
            known = self._required[traffic] = required_bad(self.pairs, self.target, traffic, self.guard)
        return known

    @cached_property
    def _by_severity(self) -> dict[Severity, "Rule"]:
        return {
            each: Rule(self.target, self.period, tuple(p for p in self.pairs if p.severity is each), self.guard)
            for each in Severity
        }

    @cached_property
    def _required(self) -> dict[int, tuple[int, ...]]:
        return {}


class Reading(NamedTuple):
    """What one pair says. `crossed` keeps an alert firing; `fires` begins it."""

    pair: Pair
    long: Counts
    short: Counts  # stretched back by the guard
    required: int  # bad events that the long window needs to begin; the guard's minimum unless crossed
    crossed: bool
    fires: bool


def read(series: Series, until: int, rule: Rule) -> list[Reading]:
    """What each pair says with the counts up to and including the minute `until`.

    Both windows must be above the limit. To begin, the short window must be so without being stretched, too:
    something bad has just happened, and it is not merely older good events that left the window.
    """
    return [_read_pair(series, until, rule, at, pair) for at, pair in enumerate(rule.pairs)]


def burn_rate(counts: Counts, target: Fraction) -> Fraction | None:
    """How many times faster than sustainable the budget is spent; None without events."""
    return Fraction(counts.bad, counts.total) / (1 - target) if counts.total else None


def describe(reading: Reading, target: Fraction) -> str:
    """For people: `9 of 10 bad in 2h, 3 of 3 most recently: budget spent 9x too fast (limit 7.2x)`."""
    rate = burn_rate(reading.long, target)
    speed = "no events" if rate is None else f"budget spent {float(rate):.3g}x too fast"
    return (
        f"{reading.long.bad} of {reading.long.total} bad in {spell_minutes(reading.pair.long)}, "
        f"{reading.short.bad} of {reading.short.total} most recently: "
        f"{speed} (limit {float(reading.pair.threshold):.3g}x)"
    )


def _read_pair(series: Series, until: int, rule: Rule, at: int, pair: Pair) -> Reading:
    limit = rule.limits[at]
    long = series.window(until, pair.long)
    plain = short = series.window(until, pair.short)
    if plain.total < rule.guard.recent:
        short = series.recent(until, pair.short, at_least=rule.guard.recent, at_most_minutes=pair.long)
    if not (_above(long, limit, pair.inclusive) and _above(short, limit, pair.inclusive)):
        return Reading(pair, long, short, rule.guard.min_bad, crossed=False, fires=False)
    required = rule.required(_traffic(series, until, rule, pair, long))[at]
    fires = long.bad >= required and (short is plain or _above(plain, limit, pair.inclusive))
    return Reading(pair, long, short, required, crossed=True, fires=fires)


def _above(counts: Counts, limit: Fraction, inclusive: bool) -> bool:
    have, allowed = counts.bad * limit.denominator, limit.numerator * counts.total
    return have > allowed or (inclusive and have == allowed and counts.total > 0)


def _traffic(series: Series, until: int, rule: Rule, pair: Pair, long: Counts) -> int:
    """Events per 30 days: over the period, or what there is of a young series, or in a busier long window.

    The long window counts so that a rush hour, in which chance gathers more bad events, needs more of them, too.
    """
    first = series.first_minute
    if first is None or not rule.guard.false_alerts:
        return 0
    span = min(rule.period, max(until + 1 - first, _SHORTEST_MEASURE))
    average = traffic_per_month(series.window(until, span).total, span)
    return max(average, traffic_per_month(long.total, pair.long))
