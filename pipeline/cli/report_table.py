"""A report as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import typer

from pipeline.cli.show import percent, plain, print_table, span

if TYPE_CHECKING:
    from sinks.clickhouse.reads import Question

Row = dict[str, Any]
Column = tuple[str, Callable[[Row], Any]]


def print_report(report: dict[str, Any], question: Question) -> None:
    """One line a group; below, the costs of periods and the outcomes, where there are any."""
    rows = report["rows"]
    groups: list[Column] = [("window", lambda row: row["window"])] if question.window is not None else []
    groups += [(name, _name(name)) for name in question.by]
    _print(rows, groups + (_ACTIONS if question.about_actions else _tasks(rows)))
    for title, key, columns in (
        ("costs of periods, in no task's cost:", "costs_of_periods", _COSTS),
        ("business outcomes:", "outcomes", _OUTCOMES),
    ):
        if report.get(key):
            typer.echo(f"\n{title}")
            _print(report[key], columns)


def _print(rows: Sequence[Row], columns: Sequence[Column]) -> None:
    print_table([name for name, _ in columns], ([value(row) for _, value in columns] for row in rows))


def _quantity(n: float) -> str:
    """A number of things, or a sum that need not be whole."""
    return f"{n:,}" if isinstance(n, int) else f"{n:,.2f}"


def _name(name: str) -> Callable[[Row], Any]:
    return lambda row: row["by"][name] or None


def _rate(name: str) -> Callable[[Row], str]:
    return lambda row: percent(row["metrics"][name])


def _share(name: str) -> Callable[[Row], str | None]:
    """A rate of what was looked at: nothing is inferred from it, so it has no interval."""
    return lambda row: percent(row["metrics"][name]).partition(" [")[0]


def _count(name: str) -> Callable[[Row], str]:
    return lambda row: _quantity(row["counts"][name])


def _tasks(rows: Sequence[Row]) -> list[Column]:
    """How many tasks, the rates that matter and how many verdicts they stand on, satisfaction where anybody told."""
    some_open = any(row["counts"]["tasks_open"] for row in rows)
    some_unknown = any(row["counts"]["tasks_usage_unknown"] for row in rows)
    some_told = any(row["metrics"]["satisfaction"]["denominator"] for row in rows)
    return [
        ("finished", _count("tasks_finished")),
        ("abandoned", _count("tasks_abandoned")),
        *([("open", _count("tasks_open"))] if some_open else []),
        ("completed", _rate("completion_rate")),
        ("with verdict", _share("verification_coverage")),
        ("verified success", _rate("verified_success_rate")),
        ("discrepancy", _rate("discrepancy_rate")),
        ("underclaim", _rate("underclaim_rate")),
        ("override", _rate("override_rate")),
        *([("satisfaction", _satisfaction)] if some_told else []),
        ("cost per task (USD)", _cost),
        ("tokens", _tokens),
        *([("tokens unknown", _count("tasks_usage_unknown"))] if some_unknown else []),
        ("cycle p95", lambda row: span(row["metrics"]["cycle_time"]["p95"])),
    ]


def _satisfaction(row: Row) -> str | None:
    mean = row["metrics"]["satisfaction"]
    return None if mean["value"] is None else f"{plain(mean['value'])} (of {mean['denominator']})"


def _cost(row: Row) -> str | None:
    cost = row["metrics"]["cost_per_task"]
    return None if cost["value"] is None else f"{float(cost['value']):.4f} (of {cost['denominator']})"


def _tokens(row: Row) -> str | None:
    """Of calls that told theirs: a sum is at least that much where some did not, and unknown where none did."""
    counts = row["counts"]
    unknown = counts["tasks_usage_unknown"]
    if unknown and not counts["input_tokens"] and not counts["output_tokens"]:
        return None
    told = f"{_quantity(counts['input_tokens'])} in, {_quantity(counts['output_tokens'])} out"
    return f">= {told}" if unknown else told


def _latency(point: str) -> Column:
    return f"{point} (s)", lambda row: row["metrics"]["action_latency"][point]


def _per_action(way: str) -> Column:
    def value(row: Row) -> str | None:
        mean = row["metrics"][f"{way}_tokens_per_action"]["value"]
        return None if mean is None else f"{mean:,.1f}"

    return f"{way} tokens", value


_ACTIONS: list[Column] = [
    ("actions", _count("actions")),
    ("errors", _rate("action_error_rate")),
    *map(_latency, ("p50", "p95", "p99")),
    *map(_per_action, ("input", "output")),
    ("with known tokens", _share("usage_coverage")),
]
_COSTS: list[Column] = [
    *((name, itemgetter(name)) for name in ("workflow", "category", "start", "end")),
    ("periods", lambda row: _quantity(row["periods"])),
    ("cost (USD)", itemgetter("cost_usd")),
]
_OUTCOMES: list[Column] = [
    ("workflow", itemgetter("workflow")),
    ("outcome", itemgetter("name")),
    ("count", lambda row: _quantity(row["denominator"])),
    ("sum", lambda row: _quantity(row["numerator"])),
    ("mean", itemgetter("value")),
]
