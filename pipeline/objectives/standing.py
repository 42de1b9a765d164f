"""Where an objective stands: attainment, budget, coverage, alert; by what was promised, and by what is promised now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.objectives.book import Basis, Book
from pipeline.objectives.counting import lag, needs
from pipeline.objectives.history import History, Move, Reference, percent, spell_terms, spell_window
from pipeline.report.build import stamp
from pipeline.report.metrics import wilson
from pipeline.slo.alert_state import AlertState
from pipeline.slo.budget import Account, Adjustment, Budget, account
from pipeline.slo.counts import Counts
from pipeline.slo.objective import Objective
from schemas.units import MICRO
from sinks.objectives import AdjustmentRow


@dataclass(frozen=True, slots=True)
class Measure:
    """What was counted for an objective in its period. `account` is None before its first period has begun."""

    objective: Objective
    account: Account | None
    seen: Counts
    unit: int
    """The counts of the budget are in units of 1/unit: weights are millionths."""

    @property
    def met(self) -> bool | None:
        """Whether the target is met, adjustments included; None where nothing tells."""
        return self.account.adjusted.met if self.account else None


@dataclass(frozen=True, slots=True)
class Standing:
    """One objective as its owner reads it."""

    commitment: str
    """See `History.commitment`."""
    current: Measure | None
    """By what is in force; None of what was removed."""
    committed: Measure
    reference: Reference | None
    moves: tuple[Move, ...]
    lag: int | None
    alert: AlertState
    open_until: int | None = None
    """The minute of the launch, if it is still to come: until then what is promised may be changed."""

    @property
    def missed(self) -> bool:
        """Whether something that was promised is missed. A draft promises nothing."""
        return self.reference is not None and False in (self.measure.met, self.committed.met)

    @property
    def measure(self) -> Measure:
        """What to show: by what is in force, else by what was promised."""
        return self.current or self.committed


def watched(history: History) -> list[Objective]:
    """Everything that has to be counted to say where the objectives of a workflow stand."""
    current = list(history.latest.objectives.values())
    references = [history.reference(name) for name in history.shown]
    return [*current, *(each.objective for each in references if each is not None)]


def standings(
    history: History, book: Book, adjustments: Iterable[AdjustmentRow], states: dict[str, AlertState], now: int
) -> list[Standing]:
    """Where each objective of a workflow stands at the minute `now`, also those that were promised and then removed.

    `states`: alerts by key.
    """
    rows, found = in_force(adjustments), []
    for name in history.shown:
        current, reference = history.latest.objectives.get(name), history.reference(name)
        promised = reference.objective if reference else history.latest.objectives[name]
        shown = current or promised
        found.append(
            Standing(
                commitment=history.commitment(name),
                current=None if current is None else measure(current, book, rows, now),
                committed=measure(promised, book, rows, now),
                reference=reference,
                moves=tuple(history.moves(name)),
                lag=lag(book, shown, now),
                alert=states.get(shown.key, AlertState(key=shown.key)),
                open_until=_ahead(reference, now),
            )
        )
    return found


def _ahead(reference: Reference | None, now: int) -> int | None:
    launch = reference.open_until if reference else None
    return launch if launch is not None and launch > now else None


def measure(objective: Objective, book: Book, adjustments: Iterable[AdjustmentRow], now: int) -> Measure:
    """The budget of an objective's period, with and without the adjustments that are made for it: of those in force."""
    wanted = needs(objective)
    unit = MICRO if wanted.budget.basis is Basis.WEIGHT and objective.terms.slicing is None else 1
    period = objective.window.period_at(now)
    if period is None:
        return Measure(objective, None, Counts(0, 0, 0), unit)
    mine = [Adjustment(row.start, row.end, row.by, row.why) for row in adjustments if concerns(row, objective)]
    counted = account(book.series(wanted.budget), objective.terms, period, now, mine)
    return Measure(objective, counted, book.series(wanted.by_task).between(period.start, now + 1), unit)


def in_force(rows: Iterable[AdjustmentRow]) -> list[AdjustmentRow]:
    """The adjustments that nobody has taken back."""
    rows = list(rows)
    withdrawn = {row.withdraws for row in rows}
    return [row for row in rows if not row.withdraws and row.id not in withdrawn]


def concerns(row: AdjustmentRow, objective: Objective) -> bool:
    """Whether an adjustment is made for an objective."""
    return (
        row.workflow == objective.workflow.name
        and row.slo in ("", objective.slo)
        and row.objective in ("", objective.name)
    )


def as_json(standing: Standing) -> dict[str, Any]:
    """A standing for machines. Times are UTC, shares are floats, what nothing tells is null."""
    objective, reference = standing.measure.objective, standing.reference
    seen = standing.measure.seen
    owner = objective.workflow.owner
    return {
        "workflow": objective.workflow.name,
        "slo": objective.slo,
        "objective": objective.name,
        "display_name": objective.display_name,
        "metric": objective.metric.name,
        "owner": owner.name,
        "contact": owner.contact,
        "case_types": sorted(objective.case_types),
        "commitment": standing.commitment,
        "current": None if standing.current is None else _measure(standing.current),
        "committed": None
        if reference is None
        else {
            **_measure(standing.committed),
            "version": reference.version.version,
            "by": reference.version.by,
            "at": stamp(reference.version.applied_at // MICRO),
            "before_launch": reference.before_launch,
            "open_until": _minute(standing.open_until),
        },
        "moved": [
            {"what": m.what, "before": m.before, "after": m.after, "by": m.by, "at": stamp(m.at // MICRO), "why": m.why}
            for m in standing.moves
        ],
        "missed": standing.missed,
        "coverage": {
            "value": seen.total / seen.eligible if seen.eligible else None,
            "numerator": seen.total,
            "denominator": seen.eligible,
        },
        "lag_minutes": standing.lag,
        "alert": alert_json(standing.alert),
    }


def alert_json(alert: AlertState) -> dict[str, Any]:
    """The state of an alert for machines."""
    return {
        "key": alert.key,
        "phase": alert.phase.value,
        "level": alert.level.value if alert.level else None,
        "since": _minute(alert.since),
        "fired_at": _minute(alert.fired_at),
        "reasons": [reason.text for reason in alert.reasons],
        "acknowledged_by": alert.acknowledged.by if alert.acknowledged else None,
        "silenced_until": _minute(alert.silence.until) if alert.silence else None,
    }


def _minute(minute: int | None) -> str | None:
    return None if minute is None else stamp(minute * 60)


def _measure(measure: Measure) -> dict[str, Any]:
    objective, counted = measure.objective, measure.account
    cap = objective.cap
    return {
        "target": float(objective.target),
        "target_text": percent(objective.target),
        "cap": None if cap is None else {"op": cap.op, "value": str(cap.limit), "unit": objective.metric.unit},
        "window": spell_window(objective.window),
        "counted_by": spell_terms(objective.terms),
        "met": measure.met,
        "budget": None if counted is None else _budget(counted.adjusted, measure),
        "raw": None if counted is None or not counted.applied else _budget(counted.raw, measure),
        "adjustments": []
        if counted is None
        else [
            {"start": _minute(each.start), "end": _minute(each.end), "by": each.who, "why": each.why}
            for each in counted.applied
        ],
    }


def _budget(budget: Budget, measure: Measure) -> dict[str, Any]:
    """Numbers of events, or of slices; `remaining` is a signed share of the budget. The interval is Wilson's.

    Where verdicts are a sample, the report has the interval (`trueup report`): this has none.
    """
    total, good = budget.total / measure.unit, float(budget.good) / measure.unit
    plain = measure.objective.terms.slicing is None and (measure.unit == 1 or total == measure.seen.total)
    bounds = wilson(good, total) if plain else None
    return {
        "value": None if budget.sli is None else float(budget.sli),
        "numerator": good,
        "denominator": total,
        "low": bounds[0] if bounds else None,
        "high": bounds[1] if bounds else None,
        "bad": float(budget.bad) / measure.unit,
        "allowed_bad": float(budget.allowed_bad) / measure.unit,
        "remaining": None if budget.remaining is None else float(budget.remaining),
    }
