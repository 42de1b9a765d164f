"""Objectives as tables for people, and as JSON for machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import typer

from pipeline.cli.show import plain, print_table
from pipeline.objectives.apply import Plan
from pipeline.objectives.history import History, percent
from pipeline.objectives.standing import Measure, Standing, alert_json, as_json
from pipeline.report.build import stamp
from pipeline.slo.budget import Account, Budget
from schemas.units import MICRO
from sinks.objectives import AdjustmentRow, TransitionRow

COLUMNS = ("workflow", "objective", "attained", "of", "target", "committed", "budget left", "covered", "alert", "moved")


def told_of(planned: Plan, after: Mapping[str, History], *, dry_run: bool) -> Iterator[str]:
    """What applying does, line by line."""
    for version in planned.new:
        yield f"{version.workflow}: version {version.version} {'would be' if dry_run else 'is'} in force"
        for name in after[version.workflow].names:
            for move in after[version.workflow].moves(name):
                if move.at == version.applied_at:
                    moved = f"{move.what} of {'/'.join(name)} moved from {move.before} to {move.after}"
                    yield f"  after the commitment: {moved}"
    for workflow, gone in planned.dropped.items():
        yield f"{workflow}: these SLOs end, because they are not in the files: {', '.join(gone)}"
    for workflow in planned.unchanged:
        yield f"{workflow}: nothing changes"


def print_status(standings: Sequence[Standing]) -> None:
    """One line an objective; what is missed, is marked. In brackets: without the adjustments."""
    print_table(COLUMNS, (_line(standing) for standing in standings))


def print_moves(standings: Sequence[Standing]) -> None:
    """What was changed after it was committed to."""
    moves = [(standing.measure.objective, move) for standing in standings for move in standing.moves]
    if not moves:
        return
    typer.echo("\nMoved after the commitment")
    columns = ("workflow", "objective", "what", "from", "to", "by", "at", "why")
    print_table(
        columns,
        (
            [o.workflow.name, f"{o.slo}/{o.name}", m.what, m.before, m.after, m.by, stamp(m.at // MICRO), m.why]
            for o, m in moves
        ),
    )


def _line(standing: Standing) -> list[Any]:
    objective, account = standing.measure.objective, standing.measure.account
    budget = account.adjusted if account else None
    seen = standing.measure.seen
    return [
        objective.workflow.name,
        f"{objective.slo}/{objective.name}"
        + ("" if standing.commitment == "committed" else f" ({standing.commitment})"),
        _both(account, lambda each: None if each.sli is None else f"{float(each.sli):.2%}"),
        budget.total / standing.measure.unit if budget else None,
        _target(standing.current) if standing.current else None,
        _committed(standing),
        _both(account, lambda each: None if each.remaining is None else f"{float(each.remaining):+.0%}"),
        f"{seen.total / seen.eligible:.0%}" if seen.eligible else None,
        _alert(standing),
        ", ".join(_changes(standing)) or None,
    ]


def _both(account: Account | None, told: Callable[[Budget], str | None]) -> str | None:
    """A figure of a budget, and in brackets what it is as counted, where somebody left a span out."""
    if account is None:
        return None
    return (
        f"{plain(told(account.adjusted))} ({plain(told(account.raw))})" if account.applied else told(account.adjusted)
    )


def _changes(standing: Standing) -> dict[str, None]:
    """What people changed about a promise, each once: what was moved, and who left something out."""
    account = standing.measure.account
    adjusted = (f"adjusted by {each.who}" for each in (account.applied if account else ()))
    return dict.fromkeys((*(move.what for move in standing.moves), *adjusted))


def _committed(standing: Standing) -> str:
    if standing.reference is None:
        return "never"
    launch = standing.open_until
    still = "" if launch is None else f" (open until {stamp(launch * 60):.10})"
    return _target(standing.committed) + still


def _target(measure: Measure) -> str:
    objective, account = measure.objective, measure.account
    cap = f" {objective.cap.op} {objective.cap.limit.normalize():f}" if objective.cap else ""
    as_counted = "  (MISSED as counted)" if account and account.raw.met is False else ""
    return f"{percent(objective.target)}{cap}{as_counted if measure.met is not False else '  MISSED'}"


def _alert(standing: Standing) -> str:
    alert = standing.alert
    level = f" {alert.level}" if alert.level else ""
    person = " (acknowledged)" if alert.acknowledged else " (silenced)" if alert.silence else ""
    return f"{alert.phase}{level}{person}"


def print_account(
    history: History,
    standings: Sequence[Standing],
    adjustments: Sequence[AdjustmentRow],
    transitions: Sequence[TransitionRow],
) -> None:
    """The whole account of a workflow."""
    workflow = history.workflow
    if workflow is not None:
        told: dict[str, Any] = {
            "workflow": workflow.display_name,
            "owner": workflow.owner.name,
            "contact": workflow.owner.contact,
        }
        told |= {"escalation": workflow.owner.escalation, "launch": workflow.launch_date, "runbook": workflow.runbook}
        for name, value in told.items():
            typer.echo(f"{name:12}{plain(value)}")
        typer.echo()
    print_status(standings)
    print_moves(standings)
    for standing in standings:
        for reason in standing.alert.reasons:
            typer.echo(f"\n{standing.measure.objective.slo}/{standing.measure.objective.name}: {plain(reason.text)}")
    if adjustments:
        typer.echo("\nLeft out of budgets")
        columns = ("id", "from", "to", "of", "by", "at", "why", "withdrawn")
        rows = _adjusted(adjustments)
        print_table(columns, ([*(row[name] for name in columns[:-1]), _withdrawn(row["withdrawn"])] for row in rows))
    typer.echo("\nVersions")
    print_table(("version", "at", "by", "why"), (list(row.values()) for row in _versions(history)))
    if transitions:
        typer.echo("\nAlerts")
        print_table(HISTORY, ([line[name] for name in HISTORY] for line in map(transition_json, transitions)))


HISTORY = ("at", "objective", "change", "level", "why", "told")


def transition_json(row: TransitionRow) -> dict[str, Any]:
    """A line of an alert's history."""
    from pipeline.slo.alert_state import Transition

    transition = Transition.model_validate_json(row.transition)
    return {
        "id": row.id,
        "key": row.key,
        "at": stamp(row.at * 60),
        "workflow": row.workflow,
        "slo": row.slo,
        "objective": f"{row.slo}/{row.objective}",
        "change": transition.change.value,
        "level": transition.level.value if transition.level else None,
        "phase": transition.phase.value,
        "episode": transition.episode,
        "why": "; ".join(reason.text for reason in transition.reasons) or None,
        "told": "yes" if row.notifies else "no",
    }


def report_json(
    history: History,
    standings: Sequence[Standing],
    adjustments: Sequence[AdjustmentRow],
    transitions: Sequence[TransitionRow],
) -> dict[str, Any]:
    """The whole account for machines."""
    return {
        "versions": _versions(history),
        "objectives": [as_json(standing) for standing in standings],
        "adjustments": _adjusted(adjustments),
        "alerts": [alert_json(standing.alert) for standing in standings],
        "history": [transition_json(row) for row in transitions],
    }


def _versions(history: History) -> list[dict[str, Any]]:
    versions = [edition.version for edition in history.editions]
    return [{"version": v.version, "at": stamp(v.applied_at // MICRO), "by": v.by, "why": v.why} for v in versions]


def _adjusted(rows: Sequence[AdjustmentRow]) -> list[dict[str, Any]]:
    """Every adjustment there ever was, and who took it back. Where several did, the first."""
    withdrawals = {row.withdraws: row for row in reversed(rows) if row.withdraws}
    return [
        {
            "id": row.id,
            "from": stamp(row.start * 60),
            "to": stamp(row.end * 60),
            "of": "/".join(name for name in (row.slo, row.objective) if name) or "all",
            **_signed(row),
            "withdrawn": _signed(withdrawals[row.id]) if row.id in withdrawals else None,
        }
        for row in rows
        if not row.withdraws
    ]


def _signed(row: AdjustmentRow) -> dict[str, Any]:
    return {"by": row.by, "at": stamp(row.at // MICRO), "why": row.why}


def _withdrawn(told: Mapping[str, str] | None) -> str | None:
    return f"by {told['by']}, {told['at']}: {told['why']}" if told else None
