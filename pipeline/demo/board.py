"""The live board: one screen, drawn anew every second, from what has landed and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from pipeline.cli.show import span
from pipeline.demo import measured
from pipeline.demo.noticing import Incident
from pipeline.demo.table import LEGEND, table_of
from pipeline.demo.watch import View, clock, other_version

TALL = 28
"""Lines from which on there is room for everything."""
LOG_LINES = 3
"""At least so many lines of what has happened, where the screen is small."""


@dataclass(frozen=True)
class Heading:
    """What does not change while the demo runs."""

    seconds: float | None
    seed: int
    program: str
    """How this command is called."""
    config: str
    """The configuration file of the stack that runs."""
    clickhouse: str
    """Its URL."""


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
    troubled = {incident.group for incident in view.incidents if incident.is_open}
    table = table_of(view.now.groups, width, troubled)
    told = [Text(line, style="dim") for line in (LEGEND if height >= TALL else ())]
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
    lag = "-" if now.lag is None else f"{max(0.0, now.lag):.1f} s"
    title = Text.assemble(("Trueup demo ", "bold"), clock(elapsed))
    if heading.seconds is not None:
        title.append(f"/{clock(heading.seconds)}")
    title.append(f"  {view.tasks_per_second:.0f} tasks/s  {view.events_per_second:,.0f} events/s  lag {lag}")
    title.append(f"  dead letters {now.dead_letters}", style="bold red" if now.dead_letters else "")
    if view.away:
        title.append("  ClickHouse does not answer", style="bold red")
    else:
        title.append(f"  seed {heading.seed}", style="dim")
    return title


def _findings(view: View) -> list[Text]:
    """The newest incident with its numbers, or that there is none."""
    if not view.incidents:
        return [Text("No version's verdicts are worse than they were before.", style="green")]
    incident = view.incidents[-1]
    style = "bold red" if incident.is_open else "yellow"
    when = (
        f"since {clock(incident.start)}" if incident.end is None else f"{clock(incident.start)}-{clock(incident.end)}"
    )
    name = " ".join(incident.group)
    return [Text(f"{name}: claims success that is not there, {when}", style=style), *_evidence(incident, view)]


def _evidence(incident: Incident, view: View) -> Iterator[Text]:
    """What was measured of it, before and since."""
    before, since = incident.shares()
    line = Text(f"  discrepancy {before} -> {since}")
    other = other_version(incident.group, view.now)
    if other is not None:
        line.append(
            f"   (version {other[1]}: {measured.discrepancy(view.now.groups[other], measured.Z95)})", style="dim"
        )
    yield line
    tool = f"   ({view.failing.name}: {view.failing.error})" if view.failing is not None else ""
    yield Text.assemble(f"  tool calls that fail {_change(incident.tool_errors(), percent=True)}", (tool, "dim"))
    yield Text(f"  p95 of the cycle time {_change(incident.cycles(), percent=False)}")


def _change(values: tuple[float | None, float | None], *, percent: bool) -> str:
    """From one value to another."""
    return " -> ".join("-" if v is None else f"{v:.0%}" if percent else span(v) for v in values)


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
    """What to try next, in another terminal."""
    program = heading.program
    shown = [
        (f"export TRUEUP_CONFIG={heading.config}", "in another terminal; then"),
        (f"{program} report --by workflow,agent_version", "the table above, and more"),
        (f"{program} task {view.example}" if view.example else "", "a claim that was not true"),
        (f"{program} report --by workflow,stage", "pilot beside production"),
        (f"curl '{heading.clickhouse}/?database=trueup' -d 'SHOW TABLES'", "any SQL"),
    ]
    told = [(command, what) for command, what in shown if command][: None if height >= TALL else 3]
    widest = max(len(command) for command, _ in told)
    lines = [Text.assemble((f"{command:{widest}}", "cyan"), (f"  {what}", "dim")) for command, what in told]
    return [*lines, Text("Ctrl-C ends it, with the report and the audit.", style="dim")]
