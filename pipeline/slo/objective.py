"""A resolved objective: what is measured, what is promised, by whom, and when it alerts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from pipeline.slo.alert_state import alert_key
from pipeline.slo.budget import Terms
from pipeline.slo.burn import Rule
from pipeline.slo.durations import spell_minutes
from pipeline.slo.maturity import Maturity
from pipeline.slo.metrics import Metric
from pipeline.slo.periods import Window
from pipeline.slo.windows import Severity


@dataclass(frozen=True, slots=True)
class Owner:
    """Who answers for the workflow, and how to reach them."""

    name: str
    contact: str | None = None
    escalation: str | None = None


@dataclass(frozen=True, slots=True)
class Workflow:
    """An OpenSLO Service: the business process that an agent serves. `name` is that of the telemetry."""

    name: str
    display_name: str
    owner: Owner
    launch_date: date | None = None
    case_types: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    runbook: str | None = None


class Commitment(StrEnum):
    """A draft is measured and shown, but alerts nobody and binds nobody."""

    COMMITTED = "committed"
    DRAFT = "draft"


@dataclass(frozen=True, slots=True)
class Cap:
    """A task is good if its value is at or within the limit; `op` is OpenSLO's, `limit` in the metric's unit."""

    op: str
    limit: Decimal


@dataclass(frozen=True, slots=True)
class NoData:
    """Alert once there has been nothing to judge for so many minutes."""

    minutes: int
    severity: Severity

    def __str__(self) -> str:
        return f"{self.severity} after {spell_minutes(self.minutes)}"


@dataclass(frozen=True, slots=True)
class Alerting:
    """How an objective alerts. `chosen` says that the owner wrote the windows.

    `coverage_floor` is None where the owner wrote none: see `observe`. `targets`: the receivers that OpenSLO names for
    a severity; of a severity without any, all are told.
    """

    rule: Rule
    chosen: bool = False
    coverage_floor: Fraction | None = None
    maturity: Maturity = field(default_factory=Maturity)
    targets: tuple[tuple[Severity, str], ...] = ()
    no_data: NoData | None = None


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective of one SLO. `name` is unique within the SLO."""

    workflow: Workflow
    slo: str
    name: str
    display_name: str
    metric: Metric
    terms: Terms
    window: Window
    alerting: Alerting
    cap: Cap | None = None
    category: str | None = None
    case_types: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    commitment: Commitment = Commitment.COMMITTED
    description: str = ""
    runbook: str | None = None

    @property
    def key(self) -> str:
        """The stable key of its alert."""
        return alert_key(self.workflow.name, self.slo, self.name)

    @property
    def no_data(self) -> str:
        """Stands for its name in the alert that there is nothing to judge, which is apart."""
        return f"{self.name} (no data)"

    @property
    def no_data_key(self) -> str:
        """The stable key of that alert."""
        return alert_key(self.workflow.name, self.slo, self.no_data)

    @property
    def target(self) -> Fraction:
        return self.terms.target

    @property
    def draft(self) -> bool:
        return self.commitment is Commitment.DRAFT
