"""Verdicts come late. Wait for as long as they are measured to take, and never overlook a late burst.

An objective on a late metric is observed three ways: `reported`, its stand-in that is known at once, pages;
`verified`, by the minute of the task and only as far as it is mature, opens tickets; `arrivals`, by the minute
in which the verdict arrived, opens tickets too, so that a burst of bad verdicts about last week still alerts.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from pipeline.slo.alert import Observation
from pipeline.slo.burn import Rule
from pipeline.slo.counts import Series
from pipeline.slo.windows import Severity


class Verdicts(NamedTuple):
    """How many tasks that finished in one minute got their verdict in another."""

    finished: int
    arrived: int
    tasks: int


@dataclass(frozen=True, slots=True)
class Maturity:
    """How long to wait: a fixed number of minutes, or until `percent` of the verdicts have come, as measured."""

    minutes: int | None = None
    percent: int = 95

    def lag(self, verdicts: Iterable[Verdicts], now: int, horizon: int) -> int | None:
        """Minutes to wait; None if nothing has been measured yet.

        Only tasks that finished at least `horizon` minutes ago are measured: of younger ones the quick
        verdicts have come and the slow ones have not. Verdicts slower than `horizon` are cut off there.
        """
        if self.minutes is not None:
            return self.minutes
        counts: dict[int, int] = defaultdict(int)
        for finished, arrived, tasks in verdicts:
            if finished <= now - horizon:
                counts[min(arrived - finished, horizon)] += tasks
        needed, seen = sum(counts.values()) * self.percent, 0
        for lag in sorted(counts):
            seen += counts[lag]
            if seen * 100 >= needed:
                return lag
        return None


def observe_late(
    rule: Rule,
    lag: int | None,
    verified: Series,
    arrivals: Series,
    reported: Series | None = None,
    *,
    coverage_floor: Fraction = Fraction(0),
    verified_pages: bool = False,
) -> tuple[Observation, ...]:
    """The observations of an objective on a late metric.

    While `lag` is None nothing is mature yet, and only arrivals and the reported stand-in are observed.
    `verified_pages` lets verdicts page, too, for an owner who chose page windows for such a metric.
    """
    quiet = rule if verified_pages else rule.only(Severity.TICKET)
    late = [Observation("verified", verified, quiet, lag, coverage_floor)] if lag is not None else []
    at_once = [Observation("reported", reported, rule)] if reported is not None else []
    return (*at_once, *late, Observation("arrivals", arrivals, quiet))
