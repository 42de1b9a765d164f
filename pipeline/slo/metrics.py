"""The metrics that an objective can be set on, and what good and bad mean for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """A rate is counted from numerator and denominator; a cap compares each task's value with a limit."""

    RATE = "rate"
    CAP = "cap"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the catalogue.

    `numerator_is_good` says for a rate whether OpenSLO's `good` or `bad` counts the numerator. A cap's good
    tasks are `at_most` its value (False: at least; None: as the owner says). `late` metrics are known after the task
    is, so they mature; `reported_as` is the metric that stands in for them at once, where there is one. Of one that is
    not `dated` it is not kept when it became known.
    """

    name: str
    kind: Kind
    numerator_is_good: bool = True
    at_most: bool | None = True
    unit: str = ""
    late: bool = False
    reported_as: str | None = None
    dated: bool = True


def _catalogue(*metrics: Metric) -> Mapping[str, Metric]:
    return MappingProxyType({metric.name: metric for metric in metrics})


METRICS = _catalogue(
    Metric("completion_rate", Kind.RATE),
    Metric("verified_success_rate", Kind.RATE, late=True, reported_as="completion_rate"),
    Metric("discrepancy_rate", Kind.RATE, numerator_is_good=False, late=True),
    Metric("underclaim_rate", Kind.RATE, numerator_is_good=False, late=True),
    Metric("override_rate", Kind.RATE, numerator_is_good=False),
    Metric("escalation_rate", Kind.RATE, numerator_is_good=False),
    Metric("complaint_rate", Kind.RATE, numerator_is_good=False),
    Metric("action_error_rate", Kind.RATE, numerator_is_good=False),
    Metric("verification_coverage", Kind.RATE, late=True),
    Metric("cost_coverage", Kind.RATE),
    Metric("feedback_coverage", Kind.RATE, late=True),
    Metric("cost_per_task", Kind.CAP, unit="USD"),
    Metric("cycle_time", Kind.CAP, unit="s"),
    Metric("satisfaction", Kind.CAP, at_most=False, late=True),
    Metric("quality_score", Kind.CAP, at_most=None, late=True, dated=False),
)

NOT_OF_TASKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "cost_per_verified_success": (
            "is one sum over another, so no task is good or bad at it",
            "set an objective on cost_per_task, and one on verified_success_rate",
        ),
        "action_latency": ("is kept in buckets, so no cap could be held against it exactly", "use cycle_time"),
        "tokens": ("is a sum of what is already in the cost", "use cost_per_task"),
    }
)
"""What reports have and objectives cannot be set on: why, and what to do."""
