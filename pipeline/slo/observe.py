"""Which indicators an objective's alert watches.

What is known with the task is watched at once. A metric that is known late is watched three ways: `reported`, its
stand-in that is known at once, pages; `verified`, by the minute of the task and only as far as it is mature, opens
tickets; `arrivals`, by the minute in which the verdict arrived, opens tickets too, so that a burst of bad verdicts
about last week still alerts.
"""

from dataclasses import dataclass
from fractions import Fraction

from pipeline.slo.alert import Observation
from pipeline.slo.budget import Method
from pipeline.slo.burn import Rule
from pipeline.slo.counts import Series
from pipeline.slo.objective import Objective
from pipeline.slo.periods import Period
from pipeline.slo.slices import as_events
from pipeline.slo.windows import Severity


@dataclass(frozen=True, slots=True)
class Measured:
    """The counts of an objective by the minute of the task.

    Of a late metric, also those of the metric that stands in for it (`Metric.reported_as`), those by the minute
    in which the verdict arrived, and the lag in minutes after which verdicts are mature, None if not yet known.
    """

    counts: Series
    stand_in: Series | None = None
    arrivals: Series | None = None
    lag: int | None = None


def observations(objective: Objective, measured: Measured, now: int) -> tuple[Observation, ...]:
    """What to give to `alert.evaluate` for the minute `now`. A draft is not watched."""
    alerting = objective.alerting
    if objective.draft:
        return ()
    if not objective.metric.late:
        return (_observe("reported", measured.counts, objective, alerting.rule, now),)
    # Page windows that the owner wrote for a late metric are meant for its verdicts, too.
    quiet = alerting.rule if alerting.chosen else alerting.rule.only(Severity.TICKET)
    watched = []
    if measured.stand_in is not None:
        watched.append(_observe("reported", measured.stand_in, objective, alerting.rule, now, covered=False))
    if measured.lag is not None:
        watched.append(_observe("verified", measured.counts, objective, quiet, now, lag=measured.lag))
    if measured.arrivals is not None:
        watched.append(_observe("arrivals", measured.arrivals, objective, quiet, now, covered=False))
    return tuple(watched)


def _observe(
    name: str, series: Series, objective: Objective, rule: Rule, now: int, *, lag: int = 0, covered: bool = True
) -> Observation:
    """Timeslices burn by the slice. The other methods burn by the event: each says more than its slice's ratio."""
    terms = objective.terms
    if terms.method is Method.TIMESLICES and terms.slicing is not None:
        current = objective.window.period_at(now)
        longest = max((pair.long for pair in rule.pairs), default=0)
        back = max(longest, rule.period)
        span = Period(now - lag - back, now - lag, current.slices_from if current else 0)
        series = as_events(series, terms.slicing, span, now - lag)
    floor = objective.alerting.coverage_floor if covered else Fraction(0)
    return Observation(name, series, rule, lag, floor)
