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
    tasks are `at_most` its value (else at least). `late` metrics are known after the task is, so they mature;
    `reported_as` is the metric that stands in for them at once, where there is one.
    """

    name: str
    kind: Kind
    numerator_is_good: bool = True
    at_most: bool = True
    unit: str = ""
    late: bool = False
    reported_as: str | None = None


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
)
