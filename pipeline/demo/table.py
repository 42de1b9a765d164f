"""The table of the demo: a line for each workflow and agent version, as wide as there is room."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from pipeline.cli.show import plain, span
from pipeline.demo.measured import Group
from pipeline.report.metrics import metrics
from sinks.clickhouse.reads import Counted

WIDE = 96
"""Columns from which on there is room for everything."""
LEGEND = (
    "claimed: the agent says success. verified: an independent check says success. [95% interval]",
    "discrepancy: claimed success, but is none. coverage: share of the tasks that was checked.",
)


def table_of(groups: Mapping[Group, Counted], width: int, troubled: Collection[Group] = ()) -> Table:
    """The groups by their names; `troubled` ones stand out. Below WIDE columns it shows less."""
    wide = width >= WIDE
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    table.add_column("workflow", no_wrap=True)
    table.add_column("ver.", no_wrap=True)
    for name in _columns(wide=wide):
        table.add_column(name, justify="right", no_wrap=True)
    last = ""
    for (workflow, version), counted in sorted(groups.items()):
        names = Text(plain(workflow) if workflow != last else ""), Text(plain(version or "?"))
        style = "bold red" if (workflow, version) in troubled else ""
        table.add_row(*names, *map(Text, _cells(counted, wide=wide)), style=style)
        last = workflow
    return table


def _columns(*, wide: bool) -> tuple[str, ...]:
    columns = ("tasks", "claimed", "verified", "discrepancy")
    return (*columns, "override", "cost/task", "coverage", "p95") if wide else (*columns, "overr.", "cost", "cover.")


def _cells(counted: Counted, *, wide: bool) -> Iterator[str]:
    found = metrics(counted)
    cost = found["cost_per_task"]["value"]
    yield f"{counted.counts['tasks_finished']:,}"
    yield _percent(found["completion_rate"])
    yield _interval(found["verified_success_rate"]) if wide else _percent(found["verified_success_rate"])
    yield _interval(found["discrepancy_rate"])
    yield _percent(found["override_rate"])
    yield "-" if cost is None else f"${float(cost):.2f}"
    yield _percent(found["verification_coverage"])
    if wide:
        yield span(found["cycle_time"]["p95"])


def _percent(metric: dict[str, Any]) -> str:
    return "-" if metric["value"] is None else f"{metric['value']:.0%}"


def _interval(metric: dict[str, Any]) -> str:
    if metric["value"] is None:
        return "-"
    return f"{metric['value']:.0%} [{metric['low'] * 100:.0f}, {metric['high'] * 100:.0f}]"
