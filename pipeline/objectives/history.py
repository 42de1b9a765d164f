"""What an owner promised, and what was moved since: the versions of a workflow's documents, read.

What was committed when the launch came is the reference. The launch is the launch date of the version that was in
force when it came: to postpone it afterwards moves nothing, and to postpone it before is itself shown as a move. An
objective that came later, or was committed without a launch date, has that version as reference: a date that is given
afterwards opens nothing again. What was promised stays promised: to remove an objective, or to give it another name, is
to move it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from fractions import Fraction

from pipeline.slo.budget import Terms
from pipeline.slo.durations import spell_minutes
from pipeline.slo.objective import Objective, Workflow
from pipeline.slo.periods import RollingWindow, Window
from pipeline.slo.resolve import DEFAULT_RETENTION, check
from pipeline.slo.source import Problem
from pipeline.slo.windows import GUARD_OFF, Guard, Severity, default_guard
from schemas.units import MINUTE_US
from sinks.objectives import Version

Name = tuple[str, str]
"""An SLO, and one of its objectives."""

REMOVED = "removed"
LAUNCH = "launch date"


@dataclass(frozen=True, slots=True)
class Edition:
    """One version, read. Objectives with `problems` are missing: of another Trueup, or since retention was lowered."""

    version: Version
    objectives: Mapping[Name, Objective]
    workflow: Workflow | None
    problems: tuple[Problem, ...] = ()

    @property
    def minute(self) -> int:
        """When it was applied."""
        return self.version.applied_at // MINUTE_US

    def commits(self, name: Name) -> bool:
        """Whether it promises this objective."""
        return name in self.objectives and not self.objectives[name].draft

    def tells(self, name: Name) -> bool:
        """Whether it says anything of this objective, if only that there is none: not if parts cannot be read."""
        return name in self.objectives or not self.problems


@dataclass(frozen=True, slots=True)
class Move:
    """Something of a promise that was changed after it counted."""

    what: str
    before: str
    after: str
    by: str
    at: int
    """Microseconds."""
    why: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What was promised, in which version, and whether that was before the launch (None: there is no launch date).

    `open_until`: the launch (a minute), before which a change moves nothing; None: the promise was final at once.
    """

    objective: Objective
    version: Version
    before_launch: bool | None
    open_until: int | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The editions of one workflow, the oldest first. At least one."""

    editions: tuple[Edition, ...]

    @property
    def latest(self) -> Edition:
        return self.editions[-1]

    @property
    def launch(self) -> int | None:
        """The minute of the launch that counts; None as long as no date is given."""
        return self._launch[0]

    @property
    def _launch(self) -> tuple[int | None, int]:
        """The launch, and how many editions there were once it was known: a date may be given when it is past."""
        launch: int | None = None
        for at, edition in enumerate(self.editions):
            if launch is not None and edition.minute >= launch:
                return launch, at
            if edition.workflow is not None:  # else it has no objectives, and says nothing
                given = edition.workflow.launch_date
                launch = None if given is None else int(datetime.combine(given, time(), UTC).timestamp()) // 60
        return launch, len(self.editions)

    @property
    def workflow(self) -> Workflow | None:
        """The workflow as the newest version says that has objectives of it."""
        return next((each.workflow for each in reversed(self.editions) if each.workflow is not None), None)

    @property
    def names(self) -> list[Name]:
        """Every objective that has ever been, also those that were removed."""
        return sorted({name for edition in self.editions for name in edition.objectives})

    @property
    def shown(self) -> list[Name]:
        """The objectives in force, and those that were promised and are not in force any more."""
        return [name for name in self.names if name in self.latest.objectives or self.reference(name)]

    def commitment(self, name: Name) -> str:
        """`committed` or `draft`; `removed`, or `unreadable` where the newest version cannot be read any more."""
        objective = self.latest.objectives.get(name)
        if objective is not None:
            return objective.commitment.value
        return REMOVED if self.latest.tells(name) else "unreadable"

    def reference(self, name: Name) -> Reference | None:
        """What counts as promised of an objective; None if it never was, or was taken back before the launch."""
        launch, known = self._launch
        before = [e for e in self.editions if launch is not None and e.minute < launch and e.tells(name)]
        promised = [e for e in self.editions if e.commits(name)]
        early = (e for e in self.editions[:known] if e.commits(name))
        undated = [e for e in early if e.objectives[name].workflow.launch_date is None]
        if not undated and before and before[-1].commits(name):
            return Reference(before[-1].objectives[name], before[-1].version, True, launch)
        late = [e for e in promised if launch is None or e.minute >= launch]
        chosen = next(iter(undated or late), None)
        if chosen is None:
            return None
        return Reference(chosen.objectives[name], chosen.version, None if launch is None else chosen.minute < launch)

    def moves(self, name: Name) -> list[Move]:
        """What was changed since the reference, and of the launch since the first commitment; the oldest first."""
        reference = self.reference(name)
        if reference is None:
            return []
        moves: list[Move] = []
        first = next(at for at, edition in enumerate(self.editions) if edition.commits(name))
        held, final = dict[str, str](), False
        for edition in self.editions[first:]:
            if not edition.tells(name):
                continue
            now, version = _promise(edition.objectives.get(name)), edition.version
            moves += [
                Move(what, held[what], now[what], version.by, version.applied_at, version.why)
                for what in now
                if held.get(what, now[what]) != now[what] and (final or what == LAUNCH)
            ]
            final = final or version is reference.version
            held = now if version is reference.version else {**held, **now}
        return moves


def histories(versions: Iterable[Version], retention: int = DEFAULT_RETENTION) -> dict[str, History]:
    """By workflow, what its versions say; they come in their order. `retention`: minutes that counts are kept."""
    editions: dict[str, list[Edition]] = defaultdict(list)
    for version in versions:
        editions[version.workflow].append(read(version, retention))
    return {workflow: History(tuple(found)) for workflow, found in editions.items()}


def read(version: Version, retention: int = DEFAULT_RETENTION) -> Edition:
    """What a version says."""
    checked = check([(f"{version.workflow} version {version.version}", version.text)], retention=retention)
    mine = [each for each in checked.objectives if each.workflow.name == version.workflow]
    workflow = mine[0].workflow if mine else None
    return Edition(version, {(each.slo, each.name): each for each in mine}, workflow, checked.problems)


def _promise(objective: Objective | None) -> dict[str, str]:
    """What an objective promises, in words that can be compared."""
    if objective is None:
        return {"standing": REMOVED}
    alerting, workflow = objective.alerting, objective.workflow
    floor, guard = alerting.coverage_floor, alerting.rule.guard
    promise = {
        "standing": objective.commitment.value,
        "metric": objective.metric.name + (f" ({objective.category})" if objective.category else ""),
        "target": percent(objective.target),
        "window": spell_window(objective.window),
        "counted by": spell_terms(objective.terms),
        "case types": ", ".join(sorted(objective.case_types)) or "all",
        "alert windows": ", ".join(map(str, alerting.rule.pairs)) if alerting.chosen else "default",
        "low-traffic guard": "default" if guard == default_guard() else spell_guard(guard),
        "maturity": str(alerting.maturity),
        "coverage floor": "default" if floor is None else percent(floor),
        "alert without data": str(alerting.no_data or "none"),
        "owner": workflow.owner.name,
        LAUNCH: str(workflow.launch_date or "none"),
    }
    if objective.cap is not None:
        promise["cap"] = f"{objective.cap.op} {objective.cap.limit.normalize():f} {objective.metric.unit}".rstrip()
    return promise


def percent(share: Fraction) -> str:
    """A share as people write it: 99.9%."""
    return f"{float(share * 100):.10g}%"


def spell_guard(guard: Guard) -> str:
    """A low-traffic guard as an annotation has it."""
    if guard == GUARD_OFF:
        return "off"
    allowed = dict(guard.false_alerts)
    false = (f"false-{each}s={f'{float(allowed[each]):.4g}' if each in allowed else 'off'}" for each in Severity)
    return ", ".join((f"min-bad-events={guard.min_bad}", *false))


def spell_window(window: Window) -> str:
    """A window in words."""
    if isinstance(window, RollingWindow):
        return f"{window.duration} rolling"
    return f"{window.duration} from {window.start:%Y-%m-%d %H:%M} {window.zone}"


def spell_terms(terms: Terms) -> str:
    """How a target is counted, in words."""
    if terms.slicing is None:
        return terms.method.value
    good = f" good at {percent(terms.slicing.good_at)}" if terms.slicing.good_at is not None else ""
    return f"{terms.method.value} of {spell_minutes(terms.slicing.minutes)}{good}"
