"""Error budgets, exactly: integers and fractions, signed, never clamped, None where there is nothing to divide by."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from pipeline.slo.counts import Series
from pipeline.slo.periods import Period
from pipeline.slo.slices import Slice, Slicing, slices_between


class Method(StrEnum):
    """How events become budget; the values are OpenSLO's."""

    OCCURRENCES = "Occurrences"  # good events / events
    TIMESLICES = "Timeslices"  # good slices / slices that have events
    RATIO_TIMESLICES = "RatioTimeslices"  # mean of the slices' ratios


@dataclass(frozen=True, slots=True)
class Terms:
    """What was promised: at least `target` (0 <= target < 1) good, counted by `method`."""

    target: Fraction
    method: Method = Method.OCCURRENCES
    slicing: Slicing | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.target < 1:
            raise ValueError(f"a target of {self.target} leaves no budget or none to keep: choose 0 <= target < 1")
        if (self.method is Method.OCCURRENCES) is not (self.slicing is None):
            raise ValueError(f"{self.method} with slicing {self.slicing}: only the time-slice methods have slices")
        if self.slicing and (self.method is Method.TIMESLICES) is (self.slicing.good_at is None):
            raise ValueError(f"{self.method} with {self.slicing}: only Timeslices says when a slice is good")


@dataclass(frozen=True, slots=True)
class Budget:
    """The error budget of a period so far. `good` and `total` are events, or slices; `good` can be a sum of ratios."""

    target: Fraction
    good: Fraction
    total: int

    @property
    def bad(self) -> Fraction:
        return self.total - self.good

    @property
    def sli(self) -> Fraction | None:
        """good / total; None without events."""
        return ratio(self.good, self.total)

    @property
    def allowed_bad(self) -> Fraction:
        """How many of `total` may be bad."""
        return (1 - self.target) * self.total

    @property
    def spent(self) -> Fraction | None:
        """Share of the budget that is used: 1 is all of it, 2 is twice as much as there was; None without events."""
        return ratio(self.bad, self.allowed_bad)

    @property
    def remaining(self) -> Fraction | None:
        """1 - spent = (sli - target) / (1 - target). Negative when overspent; None without events."""
        spent = self.spent
        return None if spent is None else 1 - spent

    @property
    def met(self) -> bool | None:
        """Whether sli >= target; None without events."""
        return self.bad <= self.allowed_bad if self.total else None


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Leave the minutes start <= minute < end out of the budget, good and bad alike. The counts stay."""

    start: int
    end: int
    who: str
    why: str

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(f"the adjustment ends at minute {self.end}, not after its start {self.start}")
        if not self.who.strip() or not self.why.strip():
            raise ValueError("an adjustment says who made it and why: fill in both")


@dataclass(frozen=True, slots=True)
class Account:
    """A budget with and without its adjustments, so that both can be shown."""

    raw: Budget
    adjusted: Budget
    applied: tuple[Adjustment, ...]


def ratio(numerator: Fraction | int, denominator: Fraction | int) -> Fraction | None:
    """numerator / denominator; None when the denominator is 0, which is neither 0 nor 1."""
    return Fraction(numerator) / denominator if denominator else None


def budget(series: Series, terms: Terms, period: Period, now: int) -> Budget:
    """The budget of `period` with the counts up to and including the minute `now`.

    A slice counts once it is complete and if it ends inside the period; without events it is neither good nor bad.
    """
    end = min(period.end, now + 1)
    slicing = terms.slicing
    if slicing is None:
        counts = series.between(period.start, end)
        return Budget(terms.target, Fraction(counts.good), counts.total)
    slices = list(slices_between(series, slicing, period, end))
    if terms.method is Method.TIMESLICES:
        good = sum(slicing.is_good(each.counts) for each in slices)
        return Budget(terms.target, Fraction(good), len(slices))
    return Budget(terms.target, _sum_of_ratios(slices), len(slices))


def account(
    series: Series,
    terms: Terms,
    period: Period,
    now: int,
    adjustments: Iterable[Adjustment] = (),
) -> Account:
    """The budget as counted, and as adjusted by those adjustments that overlap the period."""
    applied = tuple(each for each in adjustments if each.start < period.end and each.end > period.start)
    raw = budget(series, terms, period, now)
    if not applied:
        return Account(raw, raw, ())
    kept = series.without((each.start, each.end) for each in applied)
    return Account(raw, budget(kept, terms, period, now), applied)


def _sum_of_ratios(slices: Iterable[Slice]) -> Fraction:
    """Added per denominator first, because adding thousands of fractions one by one is slow."""
    good_by_total: dict[int, int] = defaultdict(int)
    for _, counts in slices:
        good_by_total[counts.total] += counts.good
    return sum((Fraction(good, total) for total, good in good_by_total.items()), Fraction(0))
