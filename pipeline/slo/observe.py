"""Which indicators an objective's alert watches.

Alerts are about news, so they follow the minute in which an outcome became known: a claim with its task, an abandoned
task when it is given up, a verdict or an override when it arrives. By the minute of the task alone, news about an
older minute would never be in a short window. (Budgets follow the minute of the task.)

A metric that is known late is watched three ways: `reported`, its stand-in that is known at once, pages; `verified`, by
the minute of the task and only as far as it is mature, opens tickets; `arrivals`, by the minute of the news, opens
tickets too, so that a burst of bad verdicts about last week still alerts.
"""

from dataclasses import dataclass
from fractions import Fraction

from pipeline.slo.alert import Observation
from pipeline.slo.budget import Method
from pipeline.slo.burn import Rule
from pipeline.slo.counts import Series
from pipeline.slo.metrics import Kind
from pipeline.slo.objective import Objective
from pipeline.slo.periods import Period
from pipeline.slo.slices import as_events
from pipeline.slo.windows import Severity

DEFAULT_FLOOR = Fraction(1, 10)
"""The share of tasks that has to be judged where verdicts do that, and the owner says nothing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was counted for an objective.

    `by_task`: by the minute of the task. `by_news`: by the minute in which the outcome became known; only metrics whose
    outcomes never come after the task can do without. `stand_in`, for late metrics: the counts by news of the metric
    that stands in (`Metric.reported_as`). `lag`: after how many minutes verdicts are mature, None if not yet known.
    `sampled`: verdicts are asked for of a sample only.
    """

    by_task: Series
    by_news: Series | None = None
    stand_in: Series | None = None
    lag: int | None = None
    sampled: bool = False


def observations(objective: Objective, measured: Measured, now: int) -> tuple[Observation, ...]:
    """What to give to `alert.evaluate` for the minute `now`. A draft is not watched."""
    alerting, floor = objective.alerting, _floor(objective, measured)
    if objective.draft:
        return ()
    if not objective.metric.late:
        news = measured.by_task if measured.by_news is None else measured.by_news
        return (_observe("reported", news, objective, alerting.rule, now, floor=floor),)
    # Page windows that the owner wrote for a late metric are meant for its verdicts, too.
    quiet = alerting.rule if alerting.chosen else alerting.rule.only(Severity.TICKET)
    watched = []
    if measured.stand_in is not None:
        watched.append(_observe("reported", measured.stand_in, objective, alerting.rule, now))
    if measured.lag is not None:
        watched.append(_observe("verified", measured.by_task, objective, quiet, now, lag=measured.lag, floor=floor))
    if measured.by_news is not None:
        watched.append(_observe("arrivals", measured.by_news, objective, quiet, now))
    return tuple(watched)


def _floor(objective: Objective, measured: Measured) -> Fraction:
    """The owner's. Else the default for what verdicts judge, unless they are few on purpose."""
    if objective.alerting.coverage_floor is not None:
        return objective.alerting.coverage_floor
    by_verdicts = objective.metric.late and objective.metric.kind is Kind.RATE
    return DEFAULT_FLOOR if by_verdicts and not measured.sampled else Fraction(0)


def _observe(
    name: str,
    series: Series,
    objective: Objective,
    rule: Rule,
    now: int,
    *,
    lag: int = 0,
    floor: Fraction = Fraction(0),
) -> Observation:
    """Timeslices burn by the slice. The other methods burn by the event: each says more than its slice's ratio."""
    terms = objective.terms
    if terms.method is Method.TIMESLICES and terms.slicing is not None:
        current = objective.window.period_at(now)
        longest = max((pair.long for pair in rule.pairs), default=0)
        back = max(longest, rule.period)
        span = Period(now - lag - back, now - lag, current.slices_from if current else 0)
        series = as_events(series, terms.slicing, span, now - lag)
    return Observation(name, series, rule, lag, floor)
