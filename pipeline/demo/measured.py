"""What the board knows: only what has landed in ClickHouse, read as any client would."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from pipeline.report.metrics import wilson
from schemas.units import MICRO, quantile
from sinks.clickhouse.reads import Counted, Question, count, dictionaries

Z95 = 1.96
Group = tuple[str, str]
"""Workflow and agent version."""


@dataclass(frozen=True)
class Snapshot:
    """Everything that has landed `at` a moment (seconds after the demo's start)."""

    at: float
    groups: Mapping[Group, Counted]
    events: int = 0
    dead_letters: int = 0
    lag: float | None = None
    """Seconds since the newest event happened."""

    def total(self, name: str) -> int:
        """A count over all groups."""
        return sum(group.counts[name] for group in self.groups.values())


def snapshot(client: Client, at: float) -> Snapshot:
    """Read what is there now. Raises Transient."""
    counted = count(client, Question(by=("workflow", "agent_version")))
    (landed,) = dictionaries(
        client,
        """SELECT (SELECT sum(events) FROM envelopes) AS events, (SELECT count() FROM dead_letters) AS dead_letters,
            (SELECT max(at) FROM raw_events) AS newest""",
    )
    return Snapshot(
        at,
        {(group.by["workflow"], group.by["agent_version"]): group for group in counted},
        int(landed["events"]),
        int(landed["dead_letters"]),
        time.time() - int(landed["newest"]) / MICRO if landed["newest"] else None,
    )


def between(earlier: Counted | None, later: Counted) -> Counted:
    """What came in between. A verdict that was corrected takes away what it had added before: never below 0."""
    if earlier is None:
        return later
    counts = {name: max(0, n - earlier.counts[name]) for name, n in later.counts.items()}
    for part, whole in (("weight_discrepancies", "weight_claimed_success_known"), ("tool_errors", "tool_calls")):
        counts[part] = min(counts[part], counts[whole])
    cycle = {index: n - earlier.cycle_us.get(index, 0) for index, n in later.cycle_us.items()}
    return Counted(later.window, later.by, counts, {index: n for index, n in cycle.items() if n > 0}, {}, {})


@dataclass(frozen=True)
class Share:
    """A rate on `effective` independent observations, with its interval."""

    value: float
    effective: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.0%} [{self.low * 100:.0f}, {self.high * 100:.0f}]"


def discrepancy(counted: Counted, z: float) -> Share | None:
    """Of the verdicts on claims of success, the share that contradicts. None where there is no verdict."""
    counts = counted.counts
    whole, square = counts["weight_claimed_success_known"], counts["weight_squared_claimed_success_known"]
    if not whole or not square:
        return None
    effective, value = whole * whole / square, counts["weight_discrepancies"] / whole
    low, high = wilson(value * effective, effective, z) or (0.0, 1.0)
    return Share(value, effective, low, high)


def tool_errors(counted: Counted) -> float | None:
    """The share of tool calls that failed."""
    calls = counted.counts["tool_calls"]
    return counted.counts["tool_errors"] / calls if calls else None


def cycle_p95(counted: Counted) -> float | None:
    """Seconds from start to finish that 95% of the tasks stay below."""
    found = quantile(counted.cycle_us, 0.95)
    return None if found is None else found / MICRO


@dataclass(frozen=True)
class FailingTool:
    """A tool that fails, as the raw events have it."""

    name: str
    error: str
    failed: int
    calls: int


def failing_tool(client: Client, group: Group, seconds: float) -> FailingTool | None:
    """The tool of a workflow's version that failed most often in the last `seconds`."""
    rows = dictionaries(
        client,
        """SELECT name, countIf(error_type != '') AS failed, count() AS calls,
            topKIf(1)(error_type, error_type != '')[1] AS error
        FROM events
        WHERE kind = 'tool_call' AND at >= now64(6) - INTERVAL {seconds:UInt32} SECOND AND task_id IN (
            SELECT task_id FROM tasks WHERE workflow = {workflow:String} AND agent_version = {version:String})
        GROUP BY name HAVING failed > 0 ORDER BY failed DESC LIMIT 1""",
        {"seconds": int(seconds), "workflow": group[0], "version": group[1]},
    )
    return FailingTool(rows[0]["name"], rows[0]["error"], rows[0]["failed"], rows[0]["calls"]) if rows else None


def untrue_claim(client: Client, group: Group | None) -> str | None:
    """The newest task that claimed success and was found to be none, of one group or of all."""
    workflow, version = group or ("", "")
    rows = dictionaries(
        client,
        """SELECT task_id FROM tasks
        WHERE claim = 'success' AND verdict = 'failure' AND {workflow:String} IN ('', workflow)
            AND {version:String} IN ('', agent_version)
        ORDER BY claim_at DESC LIMIT 1""",
        {"workflow": workflow, "version": version},
    )
    return str(rows[0]["task_id"]) if rows else None
