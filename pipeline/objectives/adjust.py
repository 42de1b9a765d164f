"""Budget adjustments: what a person left out, who, why, and what that does."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Any

from msgspec import structs

from pipeline.objectives.history import Name
from pipeline.objectives.standing import Standing, concerns, in_force
from pipeline.slo.budget import Adjustment
from pipeline.slo.durations import MINUTES_PER_DAY
from schemas.units import MINUTE_US
from sinks.objectives import AdjustmentRow

MOST_DAYS = 31
"""How long an adjustment may be, and how far ahead it may end: a target is not left out for good by one line."""


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
        ValueError: the span is empty or too long, nobody or nothing is named, or there is no such objective; it says
            the fix.
    """
    if objective and not slo:
        raise ValueError("an objective is one of an SLO: give --slo, too")
    if not any(slo in ("", name[0]) and objective in ("", name[1]) for name in names):
        known = ", ".join("/".join(name) for name in sorted(names))
        raise ValueError(f"{workflow} has no objective {slo}/{objective}; choose of {known}")
    if start >= end:
        raise ValueError("the span is empty: --to must be later than --from")
    if end - start > MOST_DAYS * MINUTES_PER_DAY:
        raise ValueError(f"the span is longer than {MOST_DAYS} days: make an adjustment for each part, with its reason")
    if end > now // MINUTE_US + MOST_DAYS * MINUTES_PER_DAY:
        raise ValueError(
            f"the span ends more than {MOST_DAYS} days ahead: let it end earlier, and prolong it if need be"
        )
    Adjustment(start, end, by, why)
    name = _identity(workflow, slo, objective, str(start), str(end), by, why, str(now))
    return AdjustmentRow(name, workflow, slo, objective, start, end, by.strip(), why.strip(), now)


def withdrawal(withdrawn: str, by: str, why: str, now: int, rows: Collection[AdjustmentRow]) -> AdjustmentRow:
    """The row that takes back an adjustment. `withdrawn`: its id, or the beginning of it.

    `rows` are those of the workflow; `now`: microseconds.

    Raises:
        ValueError: there is no such adjustment in force, or several; nobody or nothing is named; it says the fix.
    """
    known = in_force(rows)
    found = [row for row in known if withdrawn and row.id.startswith(withdrawn)]
    if len(found) != 1:
        earlier = next((row for row in rows if withdrawn and row.withdraws.startswith(withdrawn)), None)
        if earlier is not None and not found:
            raise ValueError(f"{earlier.withdraws} was withdrawn already, by {earlier.by}: {earlier.why}")
        choice = ", ".join(f"{row.id} ({row.why})" for row in known) or "none is in force"
        raise ValueError(f"{len(found)} adjustments in force begin with {withdrawn!r}; give the id of one: {choice}")
    (row,) = found
    Adjustment(row.start, row.end, by, why)
    name = _identity(row.id, by, why, str(now))
    return structs.replace(row, id=name, by=by.strip(), why=why.strip(), at=now, withdraws=row.id)


def _identity(*told: str) -> str:
    return hashlib.sha256("\x1f".join(told).encode()).hexdigest()[:16]


def effects(row: AdjustmentRow, standings: Iterable[Standing]) -> list[dict[str, Any]]:
    """What all adjustments together drop from each objective that `row` concerns. Its counts may still change."""
    rows = []
    for standing in standings:
        measure = standing.measure
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
