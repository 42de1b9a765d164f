"""A report: what the public contract says of `trueup report --output json`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from clickhouse_connect.driver.client import Client

from pipeline.report.metrics import action_metrics, mean, metrics, usd
from schemas.rows import COUNTS, model_cost, other_costs
from schemas.words import OVERRIDES, Stage
from sinks.clickhouse import actions, business, reads

NAMED = (
    "tasks_finished", "tasks_abandoned", *reads.OF_TASKS, "claimed_success", "verdict_known", "verdict_success",
    "claimed_success_known", "discrepancies", "underclaims", "overridden", "escalated", "actions", "action_errors",
    "input_tokens", "output_tokens", "cost_known",
)  # fmt: skip
"""The counts that a report shows, beside `cost_usd`."""


def report(client: Client, question: reads.Question) -> dict[str, Any]:
    """The rows of a report, by window and dimensions: of tasks, or of actions where only they can answer."""
    if question.about_actions:
        return {"rows": [_row_of_actions(group) for group in actions.count(client, question)]}
    counted = reads.count(client, question)
    if not counted and question.window is None and not question.by:
        counted = [reads.Counted(None, {}, dict.fromkeys((*COUNTS, *reads.OF_TASKS), 0), {}, {}, {})]
    return {
        "rows": [_row(group) for group in counted],
        "costs_of_periods": [_period_cost(cost) for cost in business.period_costs(client, question)],
        "outcomes": [_outcome(outcome) for outcome in business.outcomes(client, question)],
    }


def _row(group: reads.Counted) -> dict[str, Any]:
    return {
        "window": None if group.window is None else stamp(group.window),
        "by": group.by,
        "counts": {name: group.counts[name] for name in NAMED} | {"cost_usd": usd(group.counts["cost_nano"])},
        "metrics": metrics(group),
    }


def _row_of_actions(group: actions.Actions) -> dict[str, Any]:
    counts: dict[str, int | None] = dict(group.counts)
    if group.counts["model_uses"] and not group.counts["usage_known"]:
        counts |= dict.fromkeys((name for name in counts if name.endswith("_tokens")), None)
    return {
        "window": None if group.window is None else stamp(group.window),
        "by": group.by,
        "counts": counts,
        "metrics": action_metrics(group),
    }


def _period_cost(cost: business.PeriodCost) -> dict[str, Any]:
    when = {"start": stamp(cost.start), "end": stamp(cost.end), "periods": cost.periods}
    return {"workflow": cost.workflow, "category": cost.category, **when, "cost_usd": usd(cost.nano)}


def _outcome(told: business.Outcomes) -> dict[str, Any]:
    return {"workflow": told.workflow, "name": told.name, **mean(told.micro, told.n)}


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
        "overridden": is_overridden(row),
        "escalated": "escalated" in row["interventions"],
        "model_calls": calls,
        "tool_calls": row["tool_calls"],
        "tool_errors": row["tool_errors"],
        "input_tokens": row["input_tokens"] if known else None,
        "output_tokens": row["output_tokens"] if known else None,
        "cost_usd": None if cost is None else usd(cost),
    }


def is_overridden(row: dict[str, Any]) -> bool:
    """Whether a human corrected, rejected, took over or interrupted a task."""
    return not OVERRIDES.isdisjoint(row["interventions"])


def task_cost(row: dict[str, Any]) -> int | None:
    """Nano-dollars of a task's row; None while a part is unknown."""
    told = (row[name] for name in ("root_cost", "step_cost", "unpriced", "model_calls", "costs"))
    model = model_cost(*told, is_control=row["stage"] == Stage.CONTROL)
    return None if model is None else model + other_costs(row["costs"])
