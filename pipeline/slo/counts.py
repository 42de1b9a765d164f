"""Counts per minute with prefix sums: the sum over any window costs two binary searches."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple


class Counts(NamedTuple):
    """Integer counts of some span. `total` events are judged, `bad` of them bad, out of `eligible` that could be.

    `eligible` exceeds `total` where a judgement is missing: a task without a verdict, without a known cost.
    """

    bad: int
    total: int
    eligible: int

    @property
    def good(self) -> int:
        return self.total - self.bad


class Row(NamedTuple):
    """The counts of one minute (minutes since the Unix epoch)."""

    minute: int
    bad: int
    total: int
    eligible: int


class Series:
    """Counts per minute. Minutes without a row count as zero, so a quiet objective costs nothing.

    Rows must come in order of minute, once each, with 0 <= bad <= total <= eligible.

    Raises:
        ValueError: a row breaks these rules; the message names the minute.
    """

    __slots__ = ("_bad", "_eligible", "_minutes", "_total")

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._minutes = array("q")
        self._bad, self._total, self._eligible = array("q", (0,)), array("q", (0,)), array("q", (0,))
        for row in rows:
            self.append(row)

    def append(self, row: Row) -> None:
        """Add the counts of a later minute."""
        minute, bad, total, eligible = _checked(row)
        if self._minutes and minute <= self._minutes[-1]:
            raise ValueError(f"minute {minute} is not after {self._minutes[-1]}: give each minute once, in order")
        self._minutes.append(minute)
        self._bad.append(self._bad[-1] + bad)
        self._total.append(self._total[-1] + total)
        self._eligible.append(self._eligible[-1] + eligible)

    def replace(self, row: Row) -> None:
        """Set the counts of a minute, however old: a verdict may arrive days later. Costs the rows after it."""
        _checked(row)
        at = bisect_left(self._minutes, row.minute)
        later = [kept for kept in self._rows(at, len(self)) if kept.minute != row.minute]
        del self._minutes[at:], self._bad[at + 1 :], self._total[at + 1 :], self._eligible[at + 1 :]
        for each in (row, *later):
            self.append(each)

    def __iter__(self) -> Iterator[Row]:
        return self._rows(0, len(self))

    def __len__(self) -> int:
        return len(self._minutes)

    @property
    def first_minute(self) -> int | None:
        """The first minute that has a row; None without rows."""
        return self._minutes[0] if self._minutes else None

    @property
    def last_minute(self) -> int | None:
        """The last minute that has a row; None without rows."""
        return self._minutes[-1] if self._minutes else None

    def between(self, start: int, end: int) -> Counts:
        """Counts of the minutes start <= minute < end."""
        return self._sum(bisect_left(self._minutes, start), bisect_left(self._minutes, end))

    def rows_between(self, start: int, end: int) -> Iterator[Row]:
        """The rows of the minutes start <= minute < end."""
        return self._rows(bisect_left(self._minutes, start), bisect_left(self._minutes, end))

    def window(self, until: int, minutes: int) -> Counts:
        """Counts of the last `minutes` minutes up to and including `until`."""
        return self._sum(bisect_right(self._minutes, until - minutes), bisect_right(self._minutes, until))

    def recent(self, until: int, minutes: int, at_least: int, at_most_minutes: int) -> Counts:
        """Like `window`, stretched back until it holds `at_least` events, but not beyond `at_most_minutes`."""
        high = bisect_right(self._minutes, until)
        low = bisect_right(self._minutes, until - minutes)
        enough = bisect_right(self._total, self._total[high] - at_least) - 1
        furthest = bisect_right(self._minutes, until - at_most_minutes)
        return self._sum(max(furthest, min(low, enough)), high)

    def without(self, spans: Iterable[tuple[int, int]]) -> "Series":
        """A copy without the minutes of the half-open spans (start, end). This series stays as it is."""
        dropped = sorted(spans)
        starts = [start for start, _ in dropped]
        # The furthest end so far, so that a long early span is not hidden by a short later one.
        ends = list(accumulate((end for _, end in dropped), max))

        def kept(row: Row) -> bool:
            at = bisect_right(starts, row.minute) - 1
            return at < 0 or row.minute >= ends[at]

        return Series(filter(kept, self))

    def _rows(self, low: int, high: int) -> Iterator[Row]:
        for at in range(low, high):
            yield Row(self._minutes[at], *self._sum(at, at + 1))

    def _sum(self, low: int, high: int) -> Counts:
        if high <= low:
            return Counts(0, 0, 0)
        return Counts(
            self._bad[high] - self._bad[low],
            self._total[high] - self._total[low],
            self._eligible[high] - self._eligible[low],
        )


def _checked(row: Row) -> Row:
    if not 0 <= row.bad <= row.total <= row.eligible:
        raise ValueError(f"{row} breaks 0 <= bad <= total <= eligible")
    return row
