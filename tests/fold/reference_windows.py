"""What the rows of tasks add up to in windows, in the plainest way: the other side of `pipeline.fold.facts`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from schemas.rows import COUNTS, WindowKey
from schemas.units import bucket

OVERRIDE_KINDS = {"corrected", "rejected", "taken_over", "interrupted"}
DIMENSIONS = ("tenant", "workflow", "stage", "environment", "agent", "agent_version", "case_type", "model")
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")

Row = dict[str, Any]
"""The fields of a TaskRow by name."""


@dataclass
class Window:
    """What a window holds, apart from its seq."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    cycle_us: Counter[int] = field(default_factory=Counter)
    latency_us: Counter[int] = field(default_factory=Counter)
    scores: dict[str, tuple[int, int]] = field(default_factory=dict)


def windows(rows: Iterable[Row]) -> dict[WindowKey, Window]:
    """The windows that count anything of these tasks."""
    found: dict[WindowKey, Window] = {}
    for row in rows:
        if row["status"] in ("finished", "abandoned"):
            minute_of = row["claim_at"] if row["status"] == "finished" else row["last_at"]
            dims = {name: row[name] for name in DIMENSIONS}
            dims["case_type"] = dims["case_type"] or "unclassified"
            key = WindowKey(minute=minute_of // 60_000_000 * 60, **dims)
            _count(row, found.setdefault(key, Window()))
    return found


def model_cost(row: Row) -> int | None:
    """Nano-dollars of the task's model calls; None: unknown."""
    told = "model" in row["costs"] or (row["stage"] == "control" and row["costs"])
    if "unpriced" in row["costs"]:
        return None
    if row["root_cost"] is None and (row["unpriced"] or not (row["model_calls"] or told)):
        return None
    own = row["step_cost"] if row["root_cost"] is None else row["root_cost"]
    return int(own + row["costs"].get("model", 0))


def _count(row: Row, window: Window) -> None:
    counts = window.counts

    def add(name: str, number: int = 1) -> None:
        counts[name] += number

    for name in ("actions", "action_errors", "model_calls", "tool_calls", "tool_errors", *TOKENS):
        add(name, row[name])
    window.latency_us.update(row["latency_us"])
    if row["status"] == "abandoned":
        add("tasks_abandoned")
        return
    add("tasks_finished")
    add("claimed_" + row["claim"])
    if row["start_at"]:
        window.cycle_us[bucket(max(0, row["claim_at"] - row["start_at"]))] += 1
    for name, score in row["scores"].items():
        n, total = window.scores.get(name, (0, 0))
        window.scores[name] = (n + 1, total + score)
    _count_people(row, add)
    _count_verdict(row, add)
    _count_cost(row, add)


_Add = Callable[..., None]


def _count_people(row: Row, add: _Add) -> None:
    kinds = set(row["interventions"])
    add("overridden", int(bool(kinds & OVERRIDE_KINDS)))
    add("escalated", int("escalated" in kinds))
    add("approved", int("approved" in kinds))
    add("human_us", row["human_us"])
    add("answered", row["answered"])
    add("complaints", row["complaint"])
    if row["satisfaction"] is not None:
        add("satisfaction_known")
        add("satisfaction_micro", row["satisfaction"])


def _count_verdict(row: Row, add: _Add) -> None:
    verdict, claimed, weight = row["verdict"], row["claim"] == "success", row["weight"]
    if verdict not in ("success", "failure"):
        return
    groups = {"known": True, "success": verdict == "success", "claimed_success_known": claimed}
    groups["discrepancies"] = claimed and verdict == "failure"
    groups["underclaims"] = not claimed and verdict == "success"
    names = {"known": "verdict_known", "success": "verdict_success"}
    for group, belongs in groups.items():
        if belongs:
            add(names.get(group, group))
            add("weight_" + group, weight)
            if group in ("known", "claimed_success_known"):
                add("weight_squared_" + group, weight**2)


def _count_cost(row: Row, add: _Add) -> None:
    model, others = model_cost(row), {k: v for k, v in row["costs"].items() if k != "model"}
    if model is None:
        add("cost_partial_nano", row["step_cost"] + sum(row["costs"].values()))
        return
    total = model + sum(others.values())
    add("cost_known")
    add("cost_nano", total)
    add("cost_model_nano", model)
    for category, nano in others.items():
        add(f"cost_{category}_nano", nano)
    if row["verdict"] in ("success", "failure"):
        add("cost_of_verified_nano", total)
        add("verdict_success_cost_known", int(row["verdict"] == "success"))
