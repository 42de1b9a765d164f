"""Which counts an objective needs, and what it is measured by once they are there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.objectives.book import Basis, Book, Counted, Delays, Scope
from pipeline.objectives.rules import OF_VERDICTS, WEIGHTED, WITHOUT_NEWS, Sought
from pipeline.slo.durations import MINUTES_PER_DAY
from pipeline.slo.objective import Objective
from pipeline.slo.observe import Measured
from schemas.units import MICRO

_MARGIN = 5 * MINUTES_PER_DAY
"""Calendar months and years are longer than nominal ones by up to three days; and a book lives for a day."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The series of one objective. `budget` is what its budget is counted from, `by_task` what its alert looks at."""

    by_task: Counted
    by_news: Counted | None
    stand_in: Counted | None
    budget: Counted
    delays: Delays | None

    @property
    def counted(self) -> list[Counted]:
        """Every series."""
        return [each for each in (self.by_task, self.by_news, self.stand_in, self.budget) if each is not None]


def needs(objective: Objective) -> Needs:
    """What has to be counted for an objective."""
    scope, metric = Scope(objective.workflow.name, frozenset(objective.case_types)), objective.metric
    sought = Sought(metric.name, objective.cap, objective.category)
    by_task = Counted(scope, sought, Basis.TASK)
    stand_in = Counted(scope, Sought(metric.reported_as), Basis.NEWS) if metric.reported_as else None
    return Needs(
        by_task,
        None if metric.name in WITHOUT_NEWS else Counted(scope, sought, Basis.NEWS),
        stand_in,
        Counted(scope, sought, Basis.WEIGHT) if metric.name in WEIGHTED else by_task,
        Delays(scope, of_feedback=metric.name not in OF_VERDICTS) if metric.late and metric.dated else None,
    )


def book_of(objectives: Iterable[Objective], now: int) -> Book:
    """An empty book that reaches back as far as any of the objectives looks at the minute `now`."""
    objectives = list(objectives)
    wanted = [needs(objective) for objective in objectives]
    back = max((reach(objective) for objective in objectives), default=0)
    return Book(
        (counted for each in wanted for counted in each.counted),
        (each.delays for each in wanted if each.delays is not None),
        max(now - back, 0),
    )


def reach(objective: Objective) -> int:
    """How many minutes back the counts of an objective are looked at."""
    rule = objective.alerting.rule
    longest = max((pair.long for pair in rule.pairs), default=0)
    waited = objective.alerting.maturity.minutes or horizon(objective)
    silent = objective.alerting.no_data.minutes if objective.alerting.no_data else 0
    return max(objective.window.duration.minutes, rule.period, longest, silent) + waited + _MARGIN


def horizon(objective: Objective) -> int:
    """How long verdicts are waited for when their delay is measured (minutes): a quarter of the period."""
    return objective.alerting.rule.period // 4


def lag(book: Book, objective: Objective, now: int) -> int | None:
    """After how many minutes outcomes are mature; None if nothing tells yet, or if they are known at once."""
    delays = needs(objective).delays
    if delays is None:
        return None if objective.metric.dated else objective.alerting.maturity.minutes
    return objective.alerting.maturity.lag(book.verdicts(delays), now, horizon(objective))


def measured(book: Book, objective: Objective, lag: int | None) -> Measured:
    """What the alert of an objective looks at. `lag`: see the function of that name; it is costly and moves slowly."""
    wanted = needs(objective)
    weighed = wanted.budget.basis is Basis.WEIGHT
    return Measured(
        by_task=book.series(wanted.by_task),
        by_news=None if wanted.by_news is None else book.series(wanted.by_news),
        stand_in=None if wanted.stand_in is None else book.series(wanted.stand_in),
        lag=lag,
        sampled=weighed and book.total(wanted.budget) > book.total(wanted.by_task) * MICRO,
    )
