"""Burn-rate alerts as OpenSLO writes them: one condition, one lookback window. We add the short window."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, TypeVar

from pipeline.slo.durations import parse_duration
from pipeline.slo.explain import nearest
from pipeline.slo.openslo import AlertConditionSpec, AlertPolicySpec, Metadata, SLOSpec, TargetSpec
from pipeline.slo.source import Findings, Path
from pipeline.slo.windows import SHORT_DIVISOR, Pair, Severity

Spec = TypeVar("Spec", AlertPolicySpec, AlertConditionSpec, TargetSpec)


class PolicyPair(NamedTuple):
    """A pair that an alert policy asks for, and where the SLO says so."""

    pair: Pair
    path: Path


@dataclass(frozen=True, slots=True)
class Shared:
    """What alert policies may refer to, by name."""

    policies: dict[str, AlertPolicySpec]
    conditions: dict[str, AlertConditionSpec]
    targets: dict[str, TargetSpec]
    broken: frozenset[str]  # defined, but with problems of their own


@dataclass(frozen=True, slots=True)
class Policies:
    """What the alert policies of an SLO ask for. `targets`: whom to tell at which severity."""

    pairs: list[PolicyPair] = field(default_factory=list)
    targets: list[tuple[Severity, str]] = field(default_factory=list)
    no_data: list[Severity] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PolicyReader:
    """Reads the alert policies of one SLO's document. `receivers`: those that targets can name; empty: not known."""

    shared: Shared
    receivers: frozenset[str]
    findings: Findings

    def read(self, slo: SLOSpec) -> Policies:
        """What all policies ask for together."""
        asked = Policies()
        for at, item in enumerate(slo.alert_policies):
            path: Path = ("spec", "alertPolicies", at)
            reference = item.alert_policy_ref, self.shared.policies
            policy = self._either("alertPolicyRef", *reference, item.kind, item.metadata, item.spec, path)
            if policy is None:
                continue
            spec, inside = policy
            self._check_when(spec, inside)
            pair, targets = self._pair_of(spec, inside), self._targets_of(spec, inside)
            if pair is not None:
                asked.pairs.append(PolicyPair(pair, path))
                asked.targets.extend((pair.severity, target) for target in targets)
                asked.no_data.extend([pair.severity] * spec.alert_when_no_data)
        return asked

    def _check_when(self, policy: AlertPolicySpec, path: Path) -> None:
        if not policy.alert_when_breaching:
            what = "alertWhenBreaching is false, but an alert is about nothing else than its condition"
            fix = "write `alertWhenBreaching: true`, or remove the policy"
            self.findings.report((*path, "alertWhenBreaching"), what, fix)
        if not policy.alert_when_resolved:
            what = "alertWhenResolved is false, but whoever is told that an alert began is told that it ended"
            self.findings.report((*path, "alertWhenResolved"), what, "write `alertWhenResolved: true`, or remove it")

    def _pair_of(self, policy: AlertPolicySpec, path: Path) -> Pair | None:
        item, here = policy.conditions[0], (*path, "conditions", 0)
        reference = item.condition_ref, self.shared.conditions
        condition = self._either("conditionRef", *reference, item.kind, item.metadata, item.spec, here)
        return self._pair(*condition) if condition else None

    def _targets_of(self, policy: AlertPolicySpec, path: Path) -> list[str]:
        targets: list[str] = []
        for at, item in enumerate(policy.notification_targets):
            here = (*path, "notificationTargets", at)
            reference = item.target_ref, self.shared.targets
            target = self._either("targetRef", *reference, item.kind, item.metadata, item.spec, here)
            if target is None:
                continue
            name = target[0].target
            if self.receivers and name not in self.receivers:
                what = f"the target {name!r} is not a receiver of the configuration"
                self.findings.report((*target[1], "target"), what, nearest(name, self.receivers))
            targets.append(name)
        return targets

    def _either(
        self,
        field: str,
        name: str | None,
        known: Mapping[str, Spec],
        kind: str | None,
        metadata: Metadata | None,
        inline: Spec | None,
        path: Path,
    ) -> tuple[Spec, Path] | None:
        """The spec that an item refers to or holds, and the path to its fields."""
        if name is None and kind and metadata and inline is not None:
            return inline, (*path, "spec")
        if name is None or kind or metadata or inline is not None:
            what = f"this is neither just a reference nor complete: it has to be {field}, or kind, metadata and spec"
            self.findings.report(path, what, "keep one of the two, and all of it")
            return None
        if name in known:
            return known[name], path
        if name not in self.shared.broken:
            what = f"{field} {name!r} is not defined"
            self.findings.report((*path, field), what, "define it in one of the files, or here inline")
        return None

    def _pair(self, spec: AlertConditionSpec, path: Path) -> Pair | None:
        condition = spec.condition
        wrong: tuple[Path, str, str] | None = None
        if spec.severity not in list(Severity):
            wrong = ("severity",), f"severity {spec.severity!r} is unknown", nearest(spec.severity, Severity)
        elif condition.op in ("lt", "lte"):
            what = f"op {condition.op} would alert while the budget is not being spent"
            wrong = ("condition", "op"), what, "write `op: gt` or `op: gte`"
        elif condition.threshold <= 0:
            what = f"a burn rate of {condition.threshold} is always exceeded"
            wrong = ("condition", "threshold"), what, "choose more than 0"
        if wrong:
            self.findings.report((*path, *wrong[0]), wrong[1], wrong[2])
            return None
        long = parse_duration(condition.lookback_window).minutes
        delay = condition.alert_after
        return Pair(
            Severity(spec.severity),
            long,
            max(long // SHORT_DIVISOR, 1),
            Fraction(condition.threshold),
            inclusive=condition.op == "gte",
            after=0 if delay in (None, "0m") else parse_duration(delay).minutes,
        )
