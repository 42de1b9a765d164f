"""The story of one task, from its raw events."""

from __future__ import annotations

from typing import Any

from clickhouse_connect.driver.client import Client

from pipeline.report.build import task_cost
from pipeline.report.metrics import usd
from schemas.words import TaskStatus
from sinks.clickhouse import reads


def story(client: Client, task_id: str) -> dict[str, Any] | None:
    """A task with its events, by its id or by that of one of its traces; None if nothing has landed."""
    rows = reads.task(client, task_id)
    if not rows:
        for found in reads.task_of_trace(client, task_id):
            rows = reads.task(client, found)
    if rows and (linked_to := _with_work(rows)["linked_to"]):  # a trace that turned out to belong to a task
        rows = reads.task(client, linked_to) or rows
    if not rows:
        return None
    row = _with_work(rows)
    cost = task_cost(row)
    facts = row | {
        "claim": row["claim"] or None,
        "verdict": row["verdict"] or None,
        "cost_usd": None if cost is None else usd(cost),
    }
    events = reads.events_of(client, row["task_id"])
    return {
        "task": facts,
        "epochs": [each["epoch"] for each in rows],
        "discrepancy": row["claim"] == "success" and row["verdict"] == "failure",
        "events": events,
        "lines": [_line(event) for event in events],
    }


def _with_work(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Of a task's rows, one for each epoch, the latest that has work; one that a verdict only announced has none."""
    return next((row for row in reversed(rows) if row["status"] != TaskStatus.ANNOUNCED), rows[-1])


def _line(event: dict[str, Any]) -> list[Any]:
    """When, what, about what, with which result, how long, tokens, cost."""
    tokens = (event["input_tokens"], event["output_tokens"])
    return [
        event["at"],
        event["kind"],
        event["name"] or event["agent"],
        event["error_type"] or event["value"] or None,
        _seconds(event["start"], event["at"])
        if event["span_id"] and event["event_id"].endswith(event["span_id"])
        else None,
        None if tokens == (None, None) else f"{tokens[0] or 0} in, {tokens[1] or 0} out",
        None if event["cost"] is None else usd(event["cost"]),
    ]


def _seconds(start: str, end: str) -> float:
    from datetime import datetime

    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
