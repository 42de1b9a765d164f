"""OpenSLO objects to objectives that can be measured, or everything that stands in the way of that."""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.slo.annotations import annotation_path, read_annotations, workflow_of
from pipeline.slo.compose import Draft, labels_of
from pipeline.slo.durations import MINUTES_PER_DAY
from pipeline.slo.explain import nearest
from pipeline.slo.indicator import Indicator, read_indicator
from pipeline.slo.load import Loaded, Loading, load
from pipeline.slo.objective import Objective, Owner, Workflow
from pipeline.slo.openslo import (
    SLI,
    SLO,
    AlertCondition,
    AlertNotificationTarget,
    AlertPolicy,
    AnyObject,
    DataSource,
    DataSourceSpec,
    Service,
)
from pipeline.slo.policies import PolicyReader, Shared
from pipeline.slo.promise import read_window
from pipeline.slo.source import Findings, Problem

DEFAULT_RETENTION = 400 * MINUTES_PER_DAY


@dataclass(frozen=True, slots=True)
class Checked:
    """The objectives of some files, the objects that they came from, and every problem, in order of place."""

    objectives: tuple[Objective, ...]
    objects: tuple[AnyObject, ...]
    problems: tuple[Problem, ...]


def check(
    sources: Iterable[tuple[str, str]], *, retention: int = DEFAULT_RETENTION, receivers: Iterable[str] = ()
) -> Checked:
    """Read (file name, text) pairs; `retention` is for how many minutes counts are kept.

    `receivers` are those that notification targets can name; without any, they are not known here.

    An SLO with a problem gives no objective. Without problems, every SLO has become objectives.
    """
    loading = load(sources)
    resolver = _Resolver(loading, retention, frozenset(receivers))
    objectives = [objective for each in loading.loaded for objective in resolver.objectives_of(each)]
    objects = tuple(each.object for each in loading.loaded)
    return Checked(tuple(objectives), objects, tuple(sorted(set(loading.problems))))


class _Resolver:
    """Knows what SLOs may refer to."""

    def __init__(self, loading: Loading, retention: int, receivers: frozenset[str]) -> None:
        self._problems = loading.problems
        self._broken = frozenset(loading.broken)
        self._retention, self._receivers = retention, receivers
        self._data_sources: dict[str, DataSourceSpec] = {}
        self._workflows: dict[str, Workflow | None] = {}
        self._services: dict[str, str] = {}
        self._indicators: dict[str, Indicator | None] = {}
        self._shared = Shared({}, {}, {}, self._broken)
        for each in loading.loaded:
            if isinstance(each.object, DataSource):
                self._data_sources[each.object.metadata.name] = each.object.spec
        for each in loading.loaded:
            self._remember(each)

    def _remember(self, each: Loaded) -> None:
        findings, name = Findings(each.document, self._problems), each.object.metadata.name
        match each.object:
            case Service() as service:
                self._workflows[name] = _workflow(service, findings)
                self._measured(service, findings)
            case SLI() as sli:
                self._indicators[name] = read_indicator(sli.spec, ("spec",), self._data_sources, findings)
            case AlertPolicy() as policy:
                self._shared.policies[name] = policy.spec
            case AlertCondition() as condition:
                self._shared.conditions[name] = condition.spec
            case AlertNotificationTarget() as target:
                self._shared.targets[name] = target.spec

    def _measured(self, service: Service, findings: Findings) -> None:
        """A workflow has one Service, or its objectives would have two histories under one name."""
        workflow, name = workflow_of(service.metadata), service.metadata.name
        first = self._services.setdefault(workflow, name)
        if first != name:
            what = f"{workflow!r} is the workflow of the Service {first!r} already"
            findings.report(annotation_path("workflow"), what, "put its SLOs under one of the two")

    def objectives_of(self, each: Loaded) -> list[Objective]:
        """The objectives of an SLO; none of other kinds, or if anything is wrong with it."""
        slo = each.object
        if not isinstance(slo, SLO):
            return []
        findings, before = Findings(each.document, self._problems), len(self._problems)
        annotations = read_annotations(slo.metadata.annotations, "SLO", findings)
        workflow = self._workflow_of(slo, findings)
        indicator = self._indicator_of(slo, findings)
        window = read_window(slo.spec.time_window, self._retention, findings)
        policies = PolicyReader(self._shared, self._receivers, findings).read(slo.spec)
        draft = Draft(slo, workflow, indicator, window, annotations, policies, self._retention, findings)
        objectives = draft.objectives()
        return objectives if len(self._problems) == before else []

    def _workflow_of(self, slo: SLO, findings: Findings) -> Workflow | None:
        name = slo.spec.service
        if name not in self._workflows and name not in self._broken:
            what = f"there is no Service {name!r}, so nobody owns this objective"
            close = nearest(name, self._workflows) if self._workflows else ""
            fix = close if close.startswith("did you") else "define the Service, with the annotation trueup.dev/owner"
            findings.report(("spec", "service"), what, fix)
        return self._workflows.get(name)

    def _indicator_of(self, slo: SLO, findings: Findings) -> Indicator | None:
        spec = slo.spec
        for at, objective in enumerate(spec.objectives):
            path = ("spec", "objectives", at)
            fields = ("indicator", objective.indicator), ("indicatorRef", objective.indicator_ref)
            for field, value in (*fields, ("compositeWeight", objective.composite_weight)):
                if value is not None:
                    what = "composite objectives cannot be measured"
                    findings.report((*path, field), what, "write an SLO for each indicator")
        if (spec.indicator is None) == (spec.indicator_ref is None):
            findings.report(("spec",), "an SLO has one of indicator and indicatorRef", "give exactly one of them")
            return None
        if spec.indicator is not None:
            return read_indicator(spec.indicator.spec, ("spec", "indicator", "spec"), self._data_sources, findings)
        name = spec.indicator_ref or ""
        if name not in self._indicators and name not in self._broken:
            fix = nearest(name, self._indicators) if self._indicators else "define it in one of the files"
            findings.report(("spec", "indicatorRef"), f"there is no SLI {name!r}", fix)
        return self._indicators.get(name)


def _workflow(service: Service, findings: Findings) -> Workflow | None:
    annotations = read_annotations(service.metadata.annotations, "Service", findings)
    owner = annotations.get("owner")
    if owner is None:
        if annotation_path("owner") not in findings.document.marks:
            what = f"{service.metadata.name} has no owner, but an objective needs somebody who answers for it"
            findings.report(
                ("metadata", "annotations"), what, 'add `trueup.dev/owner: "Ada Lovelace"` to its annotations'
            )
        return None
    return Workflow(
        name=workflow_of(service.metadata),
        display_name=service.metadata.display_name or service.metadata.name,
        owner=Owner(owner, annotations.get("contact"), annotations.get("escalation")),
        launch_date=annotations.get("launch-date"),
        case_types=annotations.get("case-types", ()),
        labels=labels_of(service.metadata),
        runbook=annotations.get("runbook"),
    )
