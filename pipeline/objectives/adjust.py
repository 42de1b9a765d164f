"""Budget adjustments: what a person left out, who, why, and what that does."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Any

from pipeline.objectives.history import Name
from pipeline.objectives.standing import Standing, concerns
from pipeline.slo.budget import Adjustment
from sinks.objectives import AdjustmentRow


def adjustment(
    workflow: str,
    slo: str,
    objective: str,
    start: int,
    end: int,
    by: str,
    why: str,
    now: int,
    names: Collection[Name],
) -> AdjustmentRow:
    """A new adjustment of the minutes start <= minute < end. `now`: microseconds; `names`: the workflow's objectives.

    Raises:
        ValueError: the span is empty, nobody or nothing is named, or there is no such objective; it says the fix.
    """
    if objective and not slo:
        raise ValueError("an objective is one of an SLO: give --slo, too")
    if not any(slo in ("", name[0]) and objective in ("", name[1]) for name in names):
        known = ", ".join("/".join(name) for name in sorted(names))
        raise ValueError(f"{workflow} has no objective {slo}/{objective}; choose of {known}")
    if start >= end:
        raise ValueError("the span is empty: --to must be later than --from")
    Adjustment(start, end, by, why)
    told = "\x1f".join((workflow, slo, objective, str(start), str(end), by, why, str(now)))
    name = hashlib.sha256(told.encode()).hexdigest()[:16]
    return AdjustmentRow(name, workflow, slo, objective, start, end, by.strip(), why.strip(), now)


def effects(row: AdjustmentRow, standings: Iterable[Standing]) -> list[dict[str, Any]]:
    """What all adjustments together drop from each objective that `row` concerns. Its counts may still change."""
    rows = []
    for standing in standings:
        measure = standing.current
        if measure.account is None or not concerns(row, measure.objective):
            continue
        raw, adjusted, unit = measure.account.raw, measure.account.adjusted, measure.unit
        rows.append(
            {
                "slo": measure.objective.slo,
                "objective": measure.objective.name,
                "dropped good": float(raw.good - adjusted.good) / unit,
                "dropped bad": float(raw.bad - adjusted.bad) / unit,
                "remaining": None if adjusted.remaining is None else float(adjusted.remaining),
                "without it": None if raw.remaining is None else float(raw.remaining),
            }
        )
    return rows
