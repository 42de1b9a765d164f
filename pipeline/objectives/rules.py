"""Whether a task is good, bad, or not judged: one rule for each metric that an objective can be set on.

The numbers are those of a report: the same numerators and denominators (docs/metrics.md), and beside them the minute
in which the outcome became known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from pipeline.objectives.facts import TaskFacts
from pipeline.slo.objective import Cap
from schemas.units import MICRO, NANO


class Judged(NamedTuple):
    """What a task adds: bad <= total <= eligible. `news`: the minute in which that became known."""

    bad: int
    total: int
    eligible: int
    news: int


@dataclass(frozen=True, slots=True)
class Sought:
    """A metric by name; `cap`, and `category` of cost or evaluator, where it has them."""

    metric: str
    cap: Cap | None = None
    category: str | None = None


def judge(task: TaskFacts, sought: Sought) -> Judged | None:
    """What a task adds to a metric; None if it is none of its business."""
    if not task.counts or (not task.finished and sought.metric not in _OF_ABANDONED):
        return None
    return _RULES[sought.metric](task, sought)


def _one(task: TaskFacts, bad: bool, since: int = 0) -> Judged:
    """A task that is judged. `since`: the minute of what judged it, if that came after the claim."""
    return Judged(int(bad), 1, 1, max(task.heard, since))


def _unknown(task: TaskFacts) -> Judged:
    """A task that could be judged, and is not yet."""
    return Judged(0, 0, 1, task.heard)


def _completed(task: TaskFacts, _: Sought) -> Judged:
    return _one(task, not (task.finished and task.claimed_success))


def _verified(task: TaskFacts, _: Sought) -> Judged:
    return _one(task, not task.right, task.verified) if task.judged else _unknown(task)


def _discrepant(task: TaskFacts, _: Sought) -> Judged | None:
    if not task.claimed_success:
        return None
    return _one(task, not task.right, task.verified) if task.judged else _unknown(task)


def _underclaimed(task: TaskFacts, _: Sought) -> Judged | None:
    if task.claimed_success:
        return None
    return _one(task, task.right, task.verified) if task.judged else _unknown(task)


def _overridden(task: TaskFacts, _: Sought) -> Judged:
    return _one(task, task.overridden, task.intervened if task.overridden else 0)


def _escalated(task: TaskFacts, _: Sought) -> Judged:
    return _one(task, task.escalated, task.intervened if task.escalated else 0)


def _complained(task: TaskFacts, _: Sought) -> Judged:
    return _one(task, bool(task.complaint), task.told if task.complaint else 0)


def _erred(task: TaskFacts, _: Sought) -> Judged | None:
    return Judged(task.action_errors, task.actions, task.actions, task.heard) if task.actions else None


def _covered_by_verdicts(task: TaskFacts, _: Sought) -> Judged:
    return _one(task, not task.judged)


def _covered_by_costs(task: TaskFacts, _: Sought) -> Judged:
    return _one(task, task.cost() is None)


def _covered_by_feedback(task: TaskFacts, _: Sought) -> Judged:
    return _one(task, not task.answered)


def _cost(task: TaskFacts, sought: Sought) -> Judged:
    return _capped(task, task.cost(sought.category), sought, NANO)


def _cycle_time(task: TaskFacts, sought: Sought) -> Judged:
    return _capped(task, task.cycle_us, sought, MICRO)


def _satisfaction(task: TaskFacts, sought: Sought) -> Judged:
    return _capped(task, task.satisfaction, sought, MICRO, task.told)


def _quality(task: TaskFacts, sought: Sought) -> Judged:
    return _capped(task, task.scores.get(sought.category or ""), sought, MICRO)


def _capped(task: TaskFacts, value: int | None, sought: Sought, unit: int, since: int = 0) -> Judged:
    """The value of one task, in integers, against the cap, exactly."""
    if value is None or sought.cap is None:
        return _unknown(task)
    return _one(task, not _COMPARED[sought.cap.op](value, sought.cap.limit * unit), since)


_COMPARED: Mapping[str, Callable[[int, Decimal], bool]] = MappingProxyType(
    {
        "lte": lambda value, limit: value <= limit,
        "lt": lambda value, limit: value < limit,
        "gte": lambda value, limit: value >= limit,
        "gt": lambda value, limit: value > limit,
    }
)

_RULES: Mapping[str, Callable[[TaskFacts, Sought], Judged | None]] = MappingProxyType(
    {
        "completion_rate": _completed,
        "verified_success_rate": _verified,
        "discrepancy_rate": _discrepant,
        "underclaim_rate": _underclaimed,
        "override_rate": _overridden,
        "escalation_rate": _escalated,
        "complaint_rate": _complained,
        "action_error_rate": _erred,
        "verification_coverage": _covered_by_verdicts,
        "cost_coverage": _covered_by_costs,
        "feedback_coverage": _covered_by_feedback,
        "cost_per_task": _cost,
        "cycle_time": _cycle_time,
        "satisfaction": _satisfaction,
        "quality_score": _quality,
    }
)

_OF_ABANDONED = frozenset({"completion_rate", "action_error_rate"})
"""Every other metric is over finished tasks."""

OF_VERDICTS = frozenset({"verified_success_rate", "discrepancy_rate", "underclaim_rate", "verification_coverage"})
"""Known late because verdicts are; the other late ones, because feedback is."""

WEIGHTED = OF_VERDICTS - {"verification_coverage"}
"""Whose verdicts may be a sample, each standing for as many tasks as its weight says."""

WITHOUT_NEWS = frozenset({"verification_coverage", "feedback_coverage", "quality_score"})
"""That something has not come yet is no news, and when a score came is not kept: these are judged by the minute of the
task only, once it is mature."""
