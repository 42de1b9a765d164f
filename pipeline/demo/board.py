"""The live board: one screen, drawn anew every second, from what has landed and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.cli.show import plain, span
from pipeline.demo import measured
from pipeline.demo.noticing import Incident
from pipeline.demo.watch import View, change, clock, describe, other_version
from pipeline.report.metrics import metrics
from sinks.clickhouse.reads import Counted

WIDE = 96
LEGEND = (
    "claimed: the agent says success.  verified: an independent check says success.",
    "discrepancy: claimed success, found to be none.  coverage: tasks that have been checked.  [95% interval]",
)
LOG_LINES = 3
"""At least so many lines of what has happened, where the screen is small."""


@dataclass(frozen=True)
class Heading:
    """What does not change while the demo runs."""

    seconds: float | None
    seed: int
    commands: Sequence[tuple[str, str]]
    """What to try next, and what it shows."""


class Board:
    """Draws on stderr's terminal: `with Board(heading) as board: board.show(view)`."""

    def __init__(self, heading: Heading, console: Console) -> None:
        self._heading, self._console = heading, console
        self._live = Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False)

    def __enter__(self) -> Board:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, view: View, elapsed: float) -> None:
        """Draw."""
        self._live.update(draw(view, elapsed, self._heading, *self._console.size), refresh=True)


def draw(view: View, elapsed: float, heading: Heading, width: int, height: int) -> RenderableType:
    """The board, at most `width` columns and `height` lines."""
    top = [_title(view, elapsed, heading)]
    table = _table(view, wide=width >= WIDE)
    told = [Text(line, style="dim") for line in LEGEND] if height >= 28 else []
    found = _findings(view)
    commands = _commands(heading, view, height)
    used = len(top) + len(table.rows) + 1 + len(told) + len(found) + len(commands) + 4
    log = _log(view, width, max(LOG_LINES, height - used))
    parts: list[RenderableType] = [*top, Text(), table, *told, Text(), *found, Text(), *log, Text(), *commands]
    for part in parts:
        if isinstance(part, Text):
            part.no_wrap, part.overflow = True, "ellipsis"
    return Group(*parts)


def _title(view: View, elapsed: float, heading: Heading) -> Text:
    now = view.now
    title = Text.assemble(("Trueup demo ", "bold"), clock(elapsed))
    if heading.seconds is not None:
        title.append(f" of {clock(heading.seconds)}")
    lag = "-" if now.lag is None else f"{max(0.0, now.lag):.1f} s"
    title.append(f"   {view.tasks_per_second:.0f} tasks/s, {view.events_per_second:,.0f} events/s")
    title.append(f"   lag {lag}")
    title.append(f"   dead letters {now.dead_letters}", style="bold red" if now.dead_letters else "")
    title.append(f"   seed {heading.seed}", style="dim")
    if view.away:
        title.append("   ClickHouse does not answer", style="bold red")
    return title


def _table(view: View, *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    table.add_column("workflow", no_wrap=True)
    table.add_column("ver.", no_wrap=True)
    for name in _columns(wide=wide):
        table.add_column(name, justify="right", no_wrap=True)
    troubled = {found.group for found in view.incidents if found.is_open}
    last = ""
    for (workflow, version), counted in sorted(view.now.groups.items()):
        alarm = (workflow, version) in troubled
        cells = [Text(plain(workflow) if workflow != last else ""), Text(plain(version or "?"))]
        cells += _cells(counted, wide=wide)
        table.add_row(*cells, style="bold red" if alarm else "")
        last = workflow
    return table


def _columns(*, wide: bool) -> tuple[str, ...]:
    columns = ("tasks", "claimed", "verified", "discrepancy")
    return (*columns, "override", "cost/task", "coverage", "p95") if wide else (*columns, "overr.", "cost", "cover.")


def _cells(counted: Counted, *, wide: bool) -> Iterable[Text]:
    found = metrics(counted)
    cost = found["cost_per_task"]["value"]
    yield Text(f"{counted.counts['tasks_finished']:,}")
    yield Text(_percent(found["completion_rate"]))
    yield Text(_interval(found["verified_success_rate"]) if wide else _percent(found["verified_success_rate"]))
    yield Text(_interval(found["discrepancy_rate"]))
    yield Text(_percent(found["override_rate"]))
    yield Text("-" if cost is None else f"${float(cost):.2f}")
    yield Text(_percent(found["verification_coverage"]))
    if wide:
        yield Text(span(found["cycle_time"]["p95"]))


def _percent(metric: dict[str, Any]) -> str:
    return "-" if metric["value"] is None else f"{metric['value']:.0%}"


def _interval(metric: dict[str, Any]) -> str:
    if metric["value"] is None:
        return "-"
    return f"{metric['value']:.0%} [{metric['low'] * 100:.0f}-{metric['high'] * 100:.0f}]"


def _findings(view: View) -> list[Text]:
    """The newest incident with its numbers, or that there is none."""
    if not view.incidents:
        return [Text("No version's verdicts are worse than they were before.", style="green")]
    incident = view.incidents[-1]
    style = "bold red" if incident.is_open else "yellow"
    when = f"since {clock(incident.start)}" if incident.end is None else f"{clock(incident.start)}-{clock(incident.end)}"
    name = " ".join(incident.group)
    return [Text(f"{name}: claims success that is not there, {when}", style=style), *_evidence(incident, view)]


def _evidence(incident: Incident, view: View) -> Iterable[Text]:
    before, since = incident.shares()
    line = Text(f"  discrepancy {before} -> {since}")
    other = other_version(incident.group, view.now)
    if other is not None:
        line.append(f"   version {other[1]}: {measured.discrepancy(view.now.groups[other], 1.96)}", style="dim")
    yield line
    failing = f", now {describe(view.failing)}" if view.failing is not None else ""
    yield Text(f"  failing tool calls {change(*incident.tool_errors(), percent=True)}{failing}")
    yield Text(f"  p95 of the cycle time {change(*incident.cycles(), percent=False)}")


def _log(view: View, width: int, lines: int) -> list[Text]:
    """The newest of what has happened."""
    told: list[Text] = []
    for note in view.notes:
        first, *others = wrap(note.text, max(20, width - 6)) or [""]
        style = "red" if note.alarm else ""
        told.append(Text.assemble((f"{clock(note.at):>5} ", "dim"), (first, style)))
        told += [Text(f"      {line}", style=style) for line in others]
    return told[-lines:]


def _commands(heading: Heading, view: View, height: int) -> list[Text]:
    shown = [Text.assemble((command, "cyan"), (f"   {what}" if what else "", "dim")) for command, what in heading.commands]
    if height < 28:
        shown = shown[:3]
    return [*shown, Text("Ctrl-C ends it, with the report and the audit.", style="dim")]
