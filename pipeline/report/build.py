"""A report: what the public contract says of `trueup report --output json`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from clickhouse_connect.driver.client import Client

from pipeline.report.metrics import metrics, usd
from schemas.rows import COUNTS, model_cost, other_costs
from schemas.words import Stage
from sinks.clickhouse import reads

NAMED = (
    "tasks_finished", "tasks_abandoned", "tasks_open", "claimed_success", "verdict_known", "verdict_success",
    "claimed_success_known", "discrepancies", "underclaims", "overridden", "escalated", "actions", "action_errors",
    "input_tokens", "output_tokens", "cost_known",
)  # fmt: skip
"""The counts that a report shows, beside `cost_usd`."""


def report(client: Client, question: reads.Question) -> dict[str, Any]:
    """The rows of a report, by window and dimensions."""
    counted = reads.count(client, question)
    if not counted and question.window is None and not question.by:
        counted = [reads.Counted(None, {}, dict.fromkeys((*COUNTS, "tasks_open"), 0), {}, {}, {})]
    return {"rows": [_row(group) for group in counted]}


def _row(group: reads.Counted) -> dict[str, Any]:
    return {
        "window": None if group.window is None else stamp(group.window),
        "by": group.by,
        "counts": {name: group.counts[name] for name in NAMED} | {"cost_usd": usd(group.counts["cost_nano"])},
        "metrics": metrics(group),
    }


def stamp(seconds: int) -> str:
    """Seconds since the epoch as RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def task_list(client: Client, question: reads.Question) -> list[dict[str, Any]]:
    """Every task, null where the telemetry does not tell."""
    return [task_of_row(row) for row in reads.tasks(client, question) if row["status"] != "linked"]


def task_of_row(row: dict[str, Any]) -> dict[str, Any]:
    """A task as `--tasks` lists it."""
    calls = row["model_calls"] if row["model_calls"] or not row["untold_runs"] else None
    known = row["usage_known"] == row["model_calls"] and not row["untold_successes"]
    cost = task_cost(row)
    return {
        "task_id": row["task_id"],
        "trace_ids": row["trace_ids"],
        "case_type": row["case_type"],
        "status": row["status"],
        "claim": row["claim"] or ("failure" if row["run_failed"] else None),
        "verdict": row["verdict"] or None,
        "overridden": any(k in row["interventions"] for k in ("corrected", "rejected", "taken_over", "interrupted")),
        "escalated": "escalated" in row["interventions"],
        "model_calls": calls,
        "tool_calls": row["tool_calls"],
        "tool_errors": row["tool_errors"],
        "input_tokens": row["input_tokens"] if known else None,
        "output_tokens": row["output_tokens"] if known else None,
        "cost_usd": None if cost is None else usd(cost),
    }


def task_cost(row: dict[str, Any]) -> int | None:
    """Nano-dollars of a task's row; None while a part is unknown."""
    told = (row[name] for name in ("root_cost", "step_cost", "unpriced", "model_calls", "costs"))
    model = model_cost(*told, is_control=row["stage"] == Stage.CONTROL)
    return None if model is None else model + other_costs(row["costs"])
