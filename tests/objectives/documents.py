"""Documents of an owner, with the parts that tests change."""

from __future__ import annotations

from datetime import UTC, datetime

from pipeline.objectives.history import Edition, History, read
from schemas.units import MICRO
from sinks.objectives import Version


def service(
    name: str = "claims", launch: str | None = "2026-03-01", owner: str = "Ada", workflow: str | None = None
) -> str:
    dated = f"\n    trueup.dev/launch-date: {launch}" if launch else ""
    dated += f'\n    trueup.dev/workflow: "{workflow}"' if workflow else ""
    return f"""
apiVersion: openslo/v1
kind: Service
metadata:
  name: {name}
  annotations:
    trueup.dev/owner: {owner}{dated}
"""


def slo(
    name: str = "success",
    target: str = "0.9",
    *,
    workflow: str = "claims",
    metric: str = "completion_rate",
    window: str = "30d",
    annotations: str = "",
) -> str:
    return f"""
---
apiVersion: openslo/v1
kind: SLO
metadata:
  name: {name}
  annotations: {{{annotations}}}
spec:
  service: {workflow}
  budgetingMethod: Occurrences
  timeWindow: [{{duration: {window}, isRolling: true}}]
  indicator:
    metadata: {{name: {name}-indicator}}
    spec:
      ratioMetric:
        good: {{metricSource: {{type: trueup, spec: {{metric: {metric}, part: numerator}}}}}}
        total: {{metricSource: {{type: trueup, spec: {{metric: {metric}, part: denominator}}}}}}
  objectives: [{{displayName: right, target: {target}}}]
"""


def capped(name: str = "cost", value: str = "0.40") -> str:
    return f"""
---
apiVersion: openslo/v1
kind: SLO
metadata: {{name: {name}}}
spec:
  service: claims
  budgetingMethod: Occurrences
  timeWindow: [{{duration: 30d, isRolling: true}}]
  indicator:
    metadata: {{name: cost-indicator}}
    spec:
      thresholdMetric:
        metricSource: {{type: trueup, spec: {{metric: cost_per_task}}}}
  objectives: [{{displayName: cheap, op: lte, value: {value}, target: 0.9}}]
"""


def moment(day: str) -> int:
    """Microseconds of midnight (UTC) of a day."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * MICRO


def version(number: int, day: str, text: str, by: str = "Ada", why: str = "because") -> Version:
    return Version("claims", number, f"v{number}", text, moment(day), by, why)


def history(*versions: Version) -> History:
    editions: list[Edition] = [read(each) for each in versions]
    assert not [problem for edition in editions for problem in edition.problems]
    return History(tuple(editions))
