"""Time slices: stretches of equal length, judged as a whole, so that a busy minute weighs no more than a quiet one."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from pipeline.slo.counts import Counts, Row, Series
from pipeline.slo.periods import Period


@dataclass(frozen=True, slots=True)
class Slicing:
    """Slices of `minutes`. A slice is good if at least `good_at` of its events are; RatioTimeslices has none."""

    minutes: int
    good_at: Fraction | None = None

    def is_good(self, counts: Counts) -> bool:
        """Whether at least `good_at` of the events are good."""
        good_at = self.good_at or Fraction(0)
        return counts.good * good_at.denominator >= good_at.numerator * counts.total


class Slice(NamedTuple):
    """A slice that has events; it ends before the minute `end`."""

    end: int
    counts: Counts


def slices_between(series: Series, slicing: Slicing, period: Period, end: int) -> Iterator[Slice]:
    """The slices that have events and end after the period's start, and not after `end`."""
    offset = period.slices_from % slicing.minutes
    first = (period.start - offset) // slicing.minutes * slicing.minutes + offset
    last = (end - offset) // slicing.minutes * slicing.minutes + offset
    at, bad, total, eligible = first, 0, 0, 0
    for row in series.rows_between(first, last):
        start = row.minute - (row.minute - offset) % slicing.minutes
        if start != at:
            if total:
                yield Slice(at + slicing.minutes, Counts(bad, total, eligible))
            at, bad, total, eligible = start, 0, 0, 0
        bad, total, eligible = bad + row.bad, total + row.total, eligible + row.eligible
    if total:
        yield Slice(at + slicing.minutes, Counts(bad, total, eligible))


def as_events(series: Series, slicing: Slicing, period: Period, until: int) -> Series:
    """One event for each slice that is complete with the minute `until`, in its last minute: the burn of Timeslices."""
    slices = slices_between(series, slicing, period, until + 1)
    return Series(Row(each.end - 1, int(not slicing.is_good(each.counts)), 1, 1) for each in slices)
