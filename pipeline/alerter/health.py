"""The pipeline's own alerts: what the doctor finds, dead letters, silence, and differences of the audit.

They go to the owner of the platform. Measuring may take long, so it has a thread of its own; the tick only reads the
newest findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from pipeline.alerter.advance import Step, Subject, act, follow
from pipeline.alerter.held import Held
from pipeline.config import Settings
from pipeline.doctor import examine
from pipeline.slo.alert_state import AlertState, Change, Phase, Reason, Transition, Why, alert_key
from pipeline.slo.windows import Severity
from sinks.clickhouse.audit import audit
from sinks.clickhouse.reads import dictionaries
from sinks.objectives import ActionRow

LASTING = 2

GROUP = "pipeline"
_PAGED = ("Kafka", "ClickHouse", "worker", "lag of ")
_WATCHED = (*_PAGED, "topic ", "partitions", "clocks", "migrations", "rights")
"""Of the doctor's checks, those whose failure is a trouble."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part. What was not looked at has no finding, and its alert stays as it is."""

    name: str
    ok: bool
    text: str
    severity: Severity
    lasting: int = LASTING
    """Minutes that a trouble must last before somebody is told."""
    about: Subject | None = None
    """None: the pipeline."""

    @property
    def key(self) -> str:
        return alert_key(self.subject.workflow, self.subject.slo, self.subject.objective)

    @property
    def subject(self) -> Subject:
        return self.about or Subject("", GROUP, self.name)


def checks(settings: Settings, now: Callable[[], float]) -> Iterator[Finding]:
    """What the doctor finds. A part that is down says nothing of what is behind it."""
    for check in examine(settings, now):
        if check.name.startswith(_WATCHED):
            severity = Severity.PAGE if check.name.startswith(_PAGED) else Severity.TICKET
            text = f"{check.name}: {check.finding}" + (f". {check.fix}" if check.fix else "")
            yield Finding(check.name, check.ok, text, severity)


def arrivals(client: Client, settings: Settings, now: int) -> Iterator[Finding]:
    """Dead letters of the last hour, and whether anything arrives at all. `now`: seconds."""
    limits = settings.alerter
    since = {"since": now - 3_600}
    sql = """SELECT count() AS n FROM dead_letters
        WHERE state = 'open' AND received >= toDateTime({since:UInt32}, 'UTC')"""
    (row,) = dictionaries(client, sql, since)
    told = f"{row['n']} open dead letters of the last hour; see `trueup deadletter list`"
    yield Finding("dead letters", row["n"] <= limits.dead_letters, told, Severity.TICKET, lasting=0)
    sql = "SELECT count() AS n, intDiv(max(received), 1000000) AS last FROM envelope_rows WHERE events > 0"
    (row,) = dictionaries(client, sql)
    if row["n"]:
        silent = now - row["last"]
        told = f"no events for {silent // 60} min: do the agents still send?"
        yield Finding("no data", silent < limits.silent_after, told, Severity.TICKET)


def audited(client: Client, settings: Settings, now: int) -> Iterator[Finding]:
    """Whether the windows of the last day are what their raw events say. `now`: seconds."""
    found = audit(client, epoch=settings.kafka.epoch, start=(now - 86_400) // 60 * 60, end=None)
    told = f"the audit of the last day finds {found.total} differences; see `trueup audit`"
    yield Finding("audit", not found.total, told, Severity.PAGE, lasting=0)


def judge(
    findings: Iterable[Finding], states: Mapping[str, Held], actions: Sequence[ActionRow], now: int
) -> Iterator[tuple[Finding, Held, list[Step]]]:
    """The alert of each finding at the minute `now`, and what changed. Troubles have to last."""
    for finding in findings:
        before = states.get(finding.key) or Held(alert=AlertState(key=finding.key))
        if before.alert.evaluated is not None and now < before.alert.evaluated:
            continue
        before, acted = act(before, [action for action in actions if action.key == finding.key], now)
        alert = before.alert
        after = _next(alert, finding, now)
        change = _CHANGES.get((alert.level is not None, after.phase)) if after.phase is not alert.phase else None
        notifies = change in (Change.FIRED, Change.RESOLVED) and not _silenced(after, now)
        made = [Transition.between(alert, after, change, now, notifies)] if change else []
        held, steps = follow(before, after, made)
        yield finding, held, [*acted, *steps]


_CHANGES = {
    (False, Phase.PENDING): Change.PENDING,
    (False, Phase.FIRING): Change.FIRED,
    (False, Phase.INACTIVE): Change.CLEARED,
    (True, Phase.RESOLVED): Change.RESOLVED,
    (False, Phase.RESOLVED): Change.CLEARED,
}


def _next(alert: AlertState, finding: Finding, now: int) -> AlertState:
    if finding.ok:
        quiet = Phase.RESOLVED if alert.episode else Phase.INACTIVE
        if alert.phase is quiet:
            return alert.model_copy(update={"evaluated": now})
        ended = {"phase": quiet, "level": None, "since": now, "reasons": (), "active": (), "fired_at": None}
        return alert.model_copy(update={**ended, "acknowledged": None, "evaluated": now})
    reasons = (Reason(why=Why.BURNING, text=finding.text),)
    if alert.level is not None:
        return alert.model_copy(update={"evaluated": now})
    began = now if alert.phase is not Phase.PENDING or alert.since is None else alert.since
    if now - began < finding.lasting:
        return alert.model_copy(update={"phase": Phase.PENDING, "since": began, "reasons": reasons, "evaluated": now})
    begun = {"phase": Phase.FIRING, "level": finding.severity, "since": now, "reasons": reasons, "fired_at": now}
    return alert.model_copy(update={**begun, "episode": alert.episode + 1, "evaluated": now})


def _silenced(alert: AlertState, now: int) -> bool:
    return alert.silence is not None and alert.silence.until > now
