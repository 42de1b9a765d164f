"""The story of one task, from its raw events."""

from __future__ import annotations

from typing import Any

from clickhouse_connect.driver.client import Client

from pipeline.report.build import is_overridden, task_cost
from pipeline.report.metrics import usd
from schemas.units import MICRO
from schemas.words import Kind, TaskStatus
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
        "people": _people(row, events),
        "events": events,
        "lines": [_line(event) for event in events],
    }


def _with_work(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Of a task's rows, one for each epoch, the latest that has work; one that a verdict only announced has none."""
    return next((row for row in reversed(rows) if row["status"] != TaskStatus.ANNOUNCED), rows[-1])


def _people(row: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, Any]:
    """What humans and evaluators made of the task; None where nobody told."""
    times = [event["number"] for event in events if event["kind"] == Kind.INTERVENTION]
    told = [us for us in times if us is not None]
    time = minutes(sum(told)) + (f" (told of {len(told)} of {len(times)})" if len(told) < len(times) else "")
    return {
        "interventions": row["interventions"] or None,
        "overridden": "yes" if is_overridden(row) else "no",
        "human time": time if told else None,
        "satisfaction": None if row["satisfaction"] is None else row["satisfaction"] / MICRO,
        "complaint": ("yes" if row["complaint"] else "no") if row["answered"] else None,
        "scores": {name: score / MICRO for name, score in row["scores"].items()} or None,
    }


def _line(event: dict[str, Any]) -> list[Any]:
    """When, what, about what, with which result, how long, tokens, cost."""
    return [
        event["at"],
        event["kind"],
        event["name"] or event["agent"],
        _result(event),
        _seconds(event["start"], event["at"])
        if event["span_id"] and event["event_id"].endswith(event["span_id"])
        else None,
        _tokens(event["input_tokens"], event["output_tokens"]),
        None if event["cost"] is None else usd(event["cost"]),
    ]


def _result(event: dict[str, Any]) -> str | None:
    """What came of it: the error, else what was said, and the number that was said with it."""
    kind, number = event["kind"], event["number"]
    told = [event["error_type"] or event["value"]]
    if kind == Kind.INTERVENTION and number is not None:
        told.append(minutes(number))
    elif kind == Kind.FEEDBACK and number is not None:
        told.append(f"satisfaction {number / MICRO:g}")
    elif kind in (Kind.SCORE, Kind.OUTCOME) and number is not None:
        told.append(f"{number / MICRO:.15g}")
    if kind == Kind.FEEDBACK and event["flag"]:
        told.append("complaint")
    if kind == Kind.VERDICT and event["weight"] > MICRO:
        told.append(f"stands for {event['weight'] / MICRO:g} tasks")
    return ", ".join(filter(None, told)) or None


def minutes(us: int) -> str:
    """Human working time of so many microseconds."""
    return f"{us / MICRO / 60:g} min"


def _tokens(told_in: int | None, told_out: int | None) -> str | None:
    if told_in is None and told_out is None:
        return None
    return ", ".join(f"{'unknown' if n is None else n} {way}" for n, way in ((told_in, "in"), (told_out, "out")))


def _seconds(start: str, end: str) -> float:
    from datetime import datetime

    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
