"""The pipeline's own alerts: what the doctor finds, dead letters, silence, differences of the audit, and what fails.

They go to the owner of the platform. Measuring may take long, so it has a thread of its own; the tick only reads the
newest findings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from pipeline.alerter.advance import Step, Subject, act, follow
from pipeline.alerter.held import Held
from pipeline.config import Settings
from pipeline.doctor import Check
from pipeline.slo.alert_record import record
from pipeline.slo.alert_state import AlertState, Phase, Reason, Why, alert_key
from pipeline.slo.windows import Severity
from sinks.clickhouse.audit import audit
from sinks.clickhouse.reads import dictionaries
from sinks.objectives import ActionRow
from sinks.port import Refused, Transient

LASTING = 2
TOLD = 3
"""Objectives that are named where several have the same trouble."""

AUDITING = "making the audit"
GROUP = "pipeline"
_PAGED = ("Kafka", "ClickHouse", "worker", "lag of ")
_WATCHED = (*_PAGED, "topic ", "partitions", "clocks", "migrations", "rights")
"""Of the doctor's checks, those whose failure is a trouble."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part. What was not looked at has no finding, and its alert stays as it is.

    So it does if `ok` is None: neither is there a new trouble, nor is the old one over.
    """

    name: str
    ok: bool | None
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


def checks(examined: Iterable[Check]) -> Iterator[Finding]:
    """What the doctor finds. A part that is down says nothing of what is behind it."""
    for check in examined:
        if check.name.startswith(_WATCHED):
            severity = Severity.PAGE if check.name.startswith(_PAGED) else Severity.TICKET
            text = f"{check.name}: {check.finding}" + (f". {check.fix}" if check.fix else "")
            yield Finding(check.name, check.ok, text, severity)


def taken_until(examined: Iterable[Check], settings: Settings, now: int, known: int | None) -> int | None:
    """The last minute of which no telemetry waits in the topics that it comes to; None: none waits for long.

    What has waited for no longer than `alerter.freeze_after` is how things are. `now`: seconds; `known`: what it was
    before, and still is if Kafka does not tell.
    """
    incoming = {f"lag of {topic}" for topic in (settings.kafka.spans_topic, settings.kafka.logs_topic)}
    waited = [check.oldest for check in examined if check.name in incoming]
    if not waited:
        return known
    return int(now - max(waited)) // 60 - 1 if max(waited) > settings.alerter.freeze_after else None


def arrivals(client: Client, settings: Settings, now: int) -> Iterator[Finding]:
    """Open dead letters, and whether anything arrives at all. `now`: seconds.

    New dead letters are a trouble until they have been dealt with, not until they are old.
    """
    limits = settings.alerter
    since = {"since": now - 3_600}
    sql = """SELECT count() AS open, countIf(received >= toDateTime({since:UInt32}, 'UTC')) AS new
        FROM dead_letters WHERE state = 'open'"""
    (row,) = dictionaries(client, sql, since)
    told = f"{row['open']} open dead letters, {row['new']} of the last hour; see `trueup deadletter list`"
    fine = row["open"] <= limits.dead_letters
    troubled = row["new"] > limits.dead_letters
    yield Finding("dead letters", fine if fine or troubled else None, told, Severity.TICKET, lasting=0)
    sql = "SELECT count() AS n, intDiv(max(received), 1000000) AS last FROM envelope_rows WHERE events > 0"
    (row,) = dictionaries(client, sql)
    if row["n"]:
        silent = now - row["last"]
        told = f"no events for {silent // 60} min: do the agents still send?"
        yield Finding("no data", silent < limits.silent_after, told, Severity.TICKET)


def audited(client: Client, settings: Settings, now: int) -> Iterator[Finding]:
    """Whether the windows of the last day are what their raw events say, if that can be told. `now`: seconds."""
    try:
        found = audit(client, epoch=settings.kafka.epoch, start=(now - 86_400) // 60 * 60, end=None)
    except (Transient, Refused) as error:
        told = f"the audit of the last day could not be made ({error}); see `trueup audit`"
        yield Finding(AUDITING, False, told, Severity.TICKET)
        return
    yield Finding(AUDITING, True, "the audit of the last day was made", Severity.TICKET)
    told = f"the audit of the last day finds {found.total} differences; see `trueup audit`"
    yield Finding("audit", not found.total, told, Severity.PAGE, lasting=0)


def evaluated(failed: Mapping[Subject, Exception]) -> Iterator[Finding]:
    """Whether every objective can be evaluated. `failed`: those that cannot, and why."""
    causes = [
        f"{each.workflow}/{each.slo}/{each.objective} ({type(error).__name__}: {error!s:.200})"
        for each, error in failed.items()
    ]
    more = f", and {len(causes) - TOLD} more" if len(causes) > TOLD else ""
    told = f"not evaluated, their alerts stay as they are: {', '.join(causes[:TOLD])}{more}; see the alerter's log"
    yield Finding("evaluation", not causes, told, Severity.PAGE, lasting=0)


def judge(
    findings: Iterable[Finding], states: Mapping[str, Held], actions: Sequence[ActionRow], now: int
) -> Iterator[tuple[Finding, Held, list[Step]]]:
    """The alert of each finding at the minute `now`, and what changed. Troubles have to last."""
    for finding in findings:
        before = states.get(finding.key) or Held(alert=AlertState(key=finding.key))
        if before.alert.evaluated is not None and now < before.alert.evaluated:
            continue
        before, acted = act(before, [action for action in actions if action.key == finding.key], now)
        after, made = record(before.alert, _found(before.alert, finding, now), now)
        held, steps = follow(before, after.model_copy(update={"evaluated": now}), made)
        yield finding, held, [*acted, *steps]


def _found(alert: AlertState, finding: Finding, now: int) -> AlertState:
    """The alert as a finding has it."""
    if finding.ok is None:
        return alert
    if finding.ok:
        quiet = Phase.RESOLVED if alert.episode else Phase.INACTIVE
        ended = {"phase": quiet, "level": None, "since": now, "reasons": (), "active": (), "fired_at": None}
        return alert.model_copy(update={**ended, "acknowledged": None})
    known = {"reasons": (Reason(why=Why.BURNING, text=finding.text),)}
    if alert.level is not None:
        return alert.model_copy(update=known)
    began = now if alert.phase is not Phase.PENDING or alert.since is None else alert.since
    if now - began < finding.lasting:
        return alert.model_copy(update={**known, "phase": Phase.PENDING, "since": began})
    begun = {"phase": Phase.FIRING, "level": finding.severity, "since": now, "fired_at": now}
    return alert.model_copy(update={**known, **begun, "episode": alert.episode + 1})
