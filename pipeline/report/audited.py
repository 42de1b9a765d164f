"""What an audit found, in words and as JSON."""

from __future__ import annotations

from typing import Any

from sinks.clickhouse.audit import Audit


def summary(found: Audit) -> dict[str, Any]:
    """For machines: how many differences, the first of them, and what was compared."""
    return {
        "differences": found.total,
        "told": [difference._asdict() for difference in found.differences],
        "landed": found.landed,
        "late": found.late,
        "compared": {"tasks": found.tasks, "windows": found.windows},
        "skipped": {"tasks": found.skipped_tasks, "windows": found.skipped_windows},
    }


def sentence(found: Audit) -> str:
    """For people: the verdict first."""
    events = f"{found.events} events, {found.late} of them late"
    compared = f"{found.tasks} tasks and {found.windows} windows recomputed from {events}"
    moving = f"; {found.skipped} rows were moving and are not judged" if found.skipped else ""
    verdict = f"{found.total} DIFFERENCES" if found.total else "no difference"
    return f"audit: {verdict}; {compared}{moving}"
