"""From a line of the history to what a woken person reads."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from pipeline.alerter.difference import Span, ToldTask, compared, differences, failed
from pipeline.alerter.held import held
from pipeline.alerter.settings import AlerterSettings
from pipeline.notify.notification import Audience, Link, Notification, Status
from pipeline.objectives.book import Counted
from pipeline.objectives.counting import needs
from pipeline.objectives.history import percent, spell_window
from pipeline.report.build import stamp
from pipeline.slo.alert_state import Change, Transition, Why
from pipeline.slo.objective import Objective
from pipeline.slo.windows import Severity
from schemas.units import MINUTE_US
from sinks.objectives import TransitionRow
from sinks.port import Refused, Transient

MOST_TASKS = 100_000
"""Tasks that are looked at for what makes up the difference; of busier workflows the newest."""

Tasks = Callable[[str, int, int], Sequence[bytes]]
"""Workflow, since (microseconds), at most so many -> lines of `ToldTask`."""


@dataclass(frozen=True, slots=True)
class Composer:
    """Writes notifications. `tasks` asks for the tasks of a workflow; may raise Transient.

    `receivers`: all that there are. A target that is none of them does not count, so that nothing is told to nobody.
    """

    settings: AlerterSettings
    tasks: Tasks
    receivers: frozenset[str] = frozenset()

    def compose(self, line: TransitionRow, objective: Objective | None) -> Notification:
        """The notification of a transition. `objective` is None of the pipeline's own alerts, and if it was removed."""
        transition = Transition.model_validate_json(line.transition)
        ended = transition.change is Change.RESOLVED
        severity = transition.level or transition.told or transition.from_level
        replaced = None if ended or transition.told is severity else transition.told
        platform = not line.workflow
        owner = objective.workflow.owner if objective else None
        text, bad = self._facts(line, transition, objective)
        addressed = held(line.after).addressed
        meant = {severity: self.receivers.intersection(names) for severity, names in addressed.targets.items()}
        what = objective.display_name if objective else line.objective if platform else f"{line.slo}/{line.objective}"
        if objective and line.objective == objective.no_data:
            what = f"no data: {what}"
        return Notification(
            key=line.key,
            transition_id=line.id,
            status=Status.RESOLVED if ended else Status.FIRING,
            severity=severity,
            replaced=replaced,
            audience=Audience.PLATFORM if platform else Audience.WORKFLOW,
            title=f"{_word(transition, severity)}: {line.workflow or 'Trueup itself'}: {what}",
            text=(*text, *self._commands(line.key, bad)),
            started_at=(line.started or line.at) * MINUTE_US,
            ended_at=line.at * MINUTE_US if ended else None,
            workflow=line.workflow,
            slo=line.slo,
            objective=line.objective,
            owner=self.settings.owner if platform else owner.name if owner else "",
            contact=(self.settings.contact if platform else owner.contact if owner else "") or "",
            escalation=(owner.escalation if owner else "") or "",
            link=self._link("alerts", line.key),
            runbook=(self.settings.runbook if platform else objective.runbook if objective else "") or "",
            failed_tasks=tuple(Link(task_id, self._link("tasks", task_id)) for task_id in bad),
            labels=addressed.labels,
            targets={severity: names for severity, names in meant.items() if names},
        )

    def _link(self, page: str, name: str) -> str:
        base = self.settings.console.rstrip("/")
        return f"{base}/{page}/{quote(name, safe='')}" if base else ""

    def _commands(self, key: str, bad: Sequence[str]) -> list[str]:
        """Where there is no console to link to: what to run."""
        if self.settings.console:
            return []
        opened = [f"to open: trueup task {'-- ' if each.startswith('-') else ''}{shlex.quote(each)}" for each in bad]
        return [*opened, f"what happened: trueup alerts history {key}"]

    def _facts(
        self, line: TransitionRow, transition: Transition, objective: Objective | None
    ) -> tuple[list[str], list[str]]:
        """The lines of the text, and the ids of failed tasks."""
        since = f"since {stamp((line.started or line.at) * 60)}"
        reasons = [reason.text for reason in transition.reasons]
        if objective is None or line.objective == objective.no_data:
            return [since, *reasons], []
        metric = objective.metric.name.replace("_", " ")
        cap = f", {objective.cap.op} {objective.cap.limit:f} {objective.metric.unit}".rstrip() if objective.cap else ""
        window = spell_window(objective.window)
        lines = [f"promised: {percent(objective.target)} {metric}{cap}, {window}", since, *reasons]
        state = held(line.after)
        if state.remaining is not None:
            lines.append(f"budget left: {state.remaining:+.0%} of that of {objective.window.duration}")
        if transition.change is Change.RESOLVED:
            return lines, []
        counted, span = looked_at(objective, state.alert.active, line.at, state.lag or 0)
        try:
            found = self.tasks(line.workflow, span.compared_since * MINUTE_US, MOST_TASKS)
        except (Transient, Refused) as error:  # whoever has to get up is told in time, if not everything
            return [*lines, f"what differs is not known: {error}"], []
        tasks = [msgspec.json.decode(task, type=ToldTask) for task in found]
        told = differences(tasks, counted, span)
        if told:
            lines += [f"what differs, {compared(span)}:", *told]
        return lines, failed(tasks, counted, span)


def _word(transition: Transition, severity: Severity | None) -> str:
    """How a title begins. What ended because nobody asks any more has not been resolved."""
    if transition.change is Change.RESOLVED:
        return "Ended" if any(reason.why is Why.WITHDRAWN for reason in transition.reasons) else "Resolved"
    return (severity or Severity.TICKET).value.capitalize()


def looked_at(objective: Objective, active: Sequence[str], at: int, lag: int) -> tuple[Counted, Span]:
    """The series and the window that made an alert fire: of the first of its active observations."""
    name, _, level = (active[0] if active else "reported/page").partition("/")
    wanted = needs(objective)
    counted = {"verified": wanted.by_task, "reported": wanted.stand_in}.get(name) or wanted.by_news or wanted.by_task
    pairs = [pair for pair in objective.alerting.rule.pairs if pair.severity == level] or objective.alerting.rule.pairs
    until = at - lag if name == "verified" else at
    return counted, Span(until, min(pair.long for pair in pairs))
