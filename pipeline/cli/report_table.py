"""A report as a table for people."""

from __future__ import annotations

from typing import Any

from pipeline.cli.show import percent, print_table, span

RATES = (
    ("completed", "completion_rate"),
    ("verified success", "verified_success_rate"),
    ("discrepancy", "discrepancy_rate"),
    ("override", "override_rate"),
)


def print_report(report: dict[str, Any]) -> None:
    """One line a group: how many tasks, the rates that matter, the cost of a task."""
    rows = report["rows"]
    by = list(rows[0]["by"]) if rows else []
    windowed = any(row["window"] for row in rows)
    columns = [*(["window"] if windowed else []), *by, "finished", "abandoned", *(name for name, _ in RATES)]
    columns += ["cost per task (USD)", "cycle p95"]
    print_table(columns, (_line(row, by, windowed=windowed) for row in rows))


def _line(row: dict[str, Any], by: list[str], *, windowed: bool) -> list[Any]:
    counts, metrics = row["counts"], row["metrics"]
    cost = metrics["cost_per_task"]
    return [
        *([row["window"]] if windowed else []),
        *(row["by"][name] for name in by),
        counts["tasks_finished"],
        counts["tasks_abandoned"],
        *(percent(metrics[name]) for _, name in RATES),
        None if cost["value"] is None else f"{float(cost['value']):.4f} (of {cost['denominator']})",
        span(metrics["cycle_time"]["p95"]),
    ]
