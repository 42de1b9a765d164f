"""`demo`: everything at once, on this machine, in a minute."""

from __future__ import annotations

import shutil
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import exits
from pipeline.cli.options import As, Config, Output

if TYPE_CHECKING:
    from pipeline.config import Settings
    from pipeline.demo.run import Display, Options, Result
    from pipeline.stack import Stack

UNATTENDED_SECONDS = 60.0
PAPER_WIDTH = 120


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=1, help="end after so long; without a terminal 60, else until Ctrl-C"),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="the same seed makes the same decisions")] = 1,
    rate: Annotated[float, typer.Option("--rate", min=0.1, max=200, help="tasks that start in a second")] = 30.0,
    kafka_port: Annotated[int, typer.Option("--kafka-port", help="port of the broker; 0: a free one")] = 0,
    clickhouse_port: Annotated[
        int, typer.Option("--clickhouse-port", help="ClickHouse's HTTP port; 0: a free one")
    ] = 0,
    output: As = Output.TABLE,
    config: Config = None,
) -> None:
    """Simulated agents of three workflows, an incident in the middle, and a live board of what landed.

    Starts the local stack; the agents use the real SDK. Ends with the report and the audit, and leaves nothing
    behind. Exit 1 if the audit differs, or if the report is not what the agents told.

    Real are the rates of claims and verdicts, the steps and the waiting times, and for two workflows tokens
    and cost. They are of published runs: SWE-bench Verified (mini-SWE-agent with Gemini 3 Pro), Entire's Claude
    Code checkpoints, tau-bench airline (GPT-4o), tau2-bench (GPT-4.1-mini), MedAgentBench. Invented are the
    incident, sampling, human minutes and prices; time is compressed. docs/demo.md has the source of every number.
    """
    from pipeline.config import load
    from pipeline.demo.run import Options

    settings = load(config)
    attended = sys.stdout.isatty() and sys.stderr.isatty()
    if seconds is None and not attended:
        seconds = UNATTENDED_SECONDS
    result = _run(settings, Options(seconds, rate, seed, kafka_port, clickhouse_port), attended=attended)
    _show(result, output)
    if result.audit.total or result.differences:
        raise typer.Exit(exits.DIFFERENT)


def _run(settings: Settings, options: Options, *, attended: bool) -> Result:
    """Run with signals: the first one ends the agents once they work, any other one everything."""
    from pipeline.cli.interrupts import INTERRUPTED, Interrupts
    from pipeline.demo.run import run

    interrupts = Interrupts()

    def display(stack: Stack) -> AbstractContextManager[Display]:
        interrupts.begun.set()
        return _display(options, stack, attended=attended)

    _say("Starting Kafka, ClickHouse and the worker on this machine ...")
    try:
        return run(settings, options, stop=interrupts.stop, display=display, progress=_say)
    except KeyboardInterrupt:
        _say("Stopped.")
        raise typer.Exit(INTERRUPTED) from None


def _display(options: Options, stack: Stack, *, attended: bool) -> AbstractContextManager[Display]:
    from pipeline.cli.show import to_stderr
    from pipeline.demo.board import Board, Heading
    from pipeline.demo.lines import Lines

    console = to_stderr()
    if not attended or console.is_dumb_terminal:
        return Lines(_say)
    heading = Heading(options.seconds, options.seed, _program(), str(stack.config), stack.settings.clickhouse.url)
    return Board(heading, console)


def _program() -> str:
    """How to call this command in another terminal."""
    called = Path(sys.argv[0])
    if called.name != "trueup" or shutil.which("trueup"):
        return "trueup"
    here = Path.cwd()
    return str(called.relative_to(here)) if called.is_relative_to(here) else str(called)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _show(result: Result, output: Output) -> None:
    from rich.console import Console

    from pipeline.cli.show import emit, emit_rows
    from pipeline.demo.summary import as_json, print_summary

    if output is Output.JSON:
        emit(as_json(result), output)
        return
    if output is Output.NDJSON:
        told = as_json(result)
        emit_rows(told.pop("report")["rows"], output, ())
        emit(told, output)
        return
    print_summary(result, Console(width=None if sys.stdout.isatty() else PAPER_WIDTH))
