"""The parts of one SLO put together: each of its objectives with target, cap and alert windows."""

from dataclasses import dataclass
from fractions import Fraction

from pipeline.slo.annotations import Annotations, WindowText, annotation_path
from pipeline.slo.budget import Method, Terms
from pipeline.slo.burn import Rule
from pipeline.slo.durations import MINUTES_PER_DAY, spell_minutes
from pipeline.slo.indicator import Indicator
from pipeline.slo.maturity import Maturity
from pipeline.slo.metrics import Kind
from pipeline.slo.objective import Alerting, Commitment, NoData, Objective, Workflow
from pipeline.slo.openslo import SLO, Metadata, ObjectiveSpec
from pipeline.slo.periods import Window
from pipeline.slo.policies import Policies, PolicyPair
from pipeline.slo.promise import read_cap, read_terms
from pipeline.slo.source import Findings, Path
from pipeline.slo.windows import Guard, Pair, Severity, default_guard, default_pairs


@dataclass(frozen=True, slots=True)
class Draft:
    """What is known of an SLO; parts that are wrong are None, and already reported."""

    slo: SLO
    workflow: Workflow | None
    indicator: Indicator | None
    window: Window | None
    annotations: Annotations
    policies: Policies
    retention: int
    findings: Findings

    def objectives(self) -> list[Objective]:
        """The objectives whose parts are all there."""
        specs = self.slo.spec.objectives
        if self.indicator and self.indicator.metric.kind is Kind.CAP and len(specs) > 1:
            what = f"{self.indicator.metric.name} has a value for each task, so its SLO has one objective"
            self.findings.report(("spec", "objectives", 1), what, "write an SLO for each value")
        maturity: Maturity = self.annotations.get("maturity") or Maturity()
        if self.indicator and not self.indicator.metric.dated and maturity.minutes is None:
            what = f"when {self.indicator.metric.name} becomes known is not kept, so how long it takes is not known"
            self.findings.report(("metadata", "annotations"), what, "say it: add `trueup.dev/maturity: 2d`")
        names = self._names()
        built = [self._objective(spec, names[at], ("spec", "objectives", at)) for at, spec in enumerate(specs)]
        return [objective for objective in built if objective is not None]

    def _objective(self, spec: ObjectiveSpec, name: str, path: Path) -> Objective | None:
        terms = read_terms(spec, Method(self.slo.spec.budgeting_method), self.window, self.findings, path)
        cap = read_cap(spec, self.indicator.metric, self.findings, path) if self.indicator else None
        alerting = self._alerting(terms) if terms else None
        if not (self.workflow and self.indicator and self.window and terms and alerting):
            return None
        metadata, get = self.slo.metadata, self.annotations.get
        title = metadata.display_name or metadata.name
        return Objective(
            workflow=self.workflow,
            slo=metadata.name,
            name=name,
            display_name=f"{title}: {spec.display_name}" if spec.display_name else title,
            metric=self.indicator.metric,
            terms=terms,
            window=self.window,
            alerting=alerting,
            cap=cap,
            category=self.indicator.category,
            case_types=get("case-types", self.workflow.case_types),
            labels={**self.workflow.labels, **labels_of(metadata)},
            commitment=get("commitment", Commitment.COMMITTED),
            description=self.slo.spec.description or "",
            runbook=get("runbook", self.workflow.runbook),
        )

    def _alerting(self, terms: Terms) -> Alerting | None:
        """The owner's windows from the annotation, else from alert policies, else the default rule."""
        period = self.window.duration.minutes if self.window else 0
        written: tuple[WindowText, ...] = self.annotations.get("alert-windows", ())
        # Burn rates can be checked even if the period is wrong; shares of its budget cannot.
        sensible = [each for each in written if period or each.burn is not None]
        chosen = [PolicyPair(each.pair(period), annotation_path("alert-windows")) for each in sensible]
        chosen = chosen or self.policies.pairs
        for pair, path in chosen:
            self._check_pair(pair, terms.target, path)
        if not period:
            return None
        pairs = tuple(dict.fromkeys(each.pair for each in chosen)) or default_pairs(period, terms.target)
        guard: Guard = self.annotations.get("low-traffic-guard") or default_guard()
        maturity: Maturity = self.annotations.get("maturity") or Maturity()
        floor: Fraction | None = self.annotations.get("coverage-floor")
        targets = tuple(dict.fromkeys(self.policies.targets))
        rule = Rule(terms.target, period, pairs, guard)
        return Alerting(rule, bool(chosen), floor, maturity, targets, self._no_data())

    def _no_data(self) -> NoData | None:
        """Asked for by the annotation, or by alert policies; as loud as the loudest of these."""
        written: int | None = self.annotations.get("no-data")
        asked = self.policies.no_data
        if written is None and not asked:
            return None
        return NoData(written or MINUTES_PER_DAY, Severity.PAGE if Severity.PAGE in asked else Severity.TICKET)

    def _check_pair(self, pair: Pair, target: Fraction, path: Path) -> None:
        if not pair.reachable(target):
            highest = 1 / (1 - target)
            what = (
                f"{pair} can never fire at a target of {float(target):g}: "
                f"if every task fails, the burn rate is {float(highest):.4g}"
            )
            fix = f"use a burn rate below {float(highest):.4g}, or leave the windows out: the default rule can fire"
            self.findings.report(path, what, fix)
        if pair.long > self.retention:
            kept = spell_minutes(self.retention)
            what = f"{pair} looks back further than the counts are kept ({kept})"
            self.findings.report(path, what, "shorten the long window, or raise the retention")

    def _names(self) -> list[str]:
        """A stable name for each objective: its displayName, or its number."""
        names: list[str] = []
        for at, spec in enumerate(self.slo.spec.objectives):
            name = spec.display_name or str(at + 1)
            if name in names:
                what = f"two objectives of {self.slo.metadata.name} are named {name!r}"
                path = ("spec", "objectives", at, "displayName")
                self.findings.report(path, what, "give each its own displayName")
            names.append(name)
        return names


def labels_of(metadata: Metadata) -> dict[str, str]:
    """The labels of an object; a list of values is one text, with commas."""
    return {name: value if isinstance(value, str) else ",".join(value) for name, value in metadata.labels.items()}
