"""`try` and `replay`: recorded telemetry in."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import exits
from pipeline.cli.options import As, By, Config, Files, Output, Where, Window, question
from schemas.words import ACTION_DIMENSIONS

if TYPE_CHECKING:
    from sinks.clickhouse.reads import Question


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("try")(try_)
    app.command()(replay)


def try_(
    files: Files,
    window: Window = None,
    by: By = None,
    where: Where = None,
    tasks: Annotated[bool, typer.Option("--tasks", help="list every task, too")] = False,
    output: As = Output.TABLE,
    config: Config = None,
) -> None:
    """Measure recorded telemetry on a private local stack, and leave nothing behind.

    Sends the files through Kafka and the worker into ClickHouse, waits until they have landed, prints the
    report and the audit, and stops. Tasks that never finished count as abandoned. Events of any age are
    taken. Exit 1 if the audit finds a difference. A line of ndjson is a row of the report, a task, or, the last one,
    the audit and what landed.
    """
    from pipeline.config import load
    from pipeline.replay.trial import trial

    asked = question(window=window, by=by, where=where)
    if tasks and any(name in ACTION_DIMENSIONS for name in asked.where):
        raise typer.BadParameter("--tasks lists whole tasks; leave out the --where that is about actions")
    settings = load(config)
    result = trial(settings, files, asked, tasks=tasks)
    _show(result, asked, output)
    if result["audit"]["differences"]:
        raise typer.Exit(exits.DIFFERENT)


def _show(result: dict[str, Any], asked: Question, output: Output) -> None:
    from pipeline.cli.report_table import print_report
    from pipeline.cli.show import emit, emit_rows

    if output is Output.JSON:
        emit(result, output)
        return
    if output is Output.NDJSON:
        emit_rows([*result["report"]["rows"], *result.get("tasks", ())], output, ())
        emit({name: result[name] for name in ("audit", "landed")}, output)
        return
    print_report(result["report"], asked)
    if "tasks" in result:
        columns = ("task_id", "case_type", "claim", "verdict", "model_calls", "tool_calls", "tool_errors", "cost_usd")
        typer.echo()
        emit_rows(result["tasks"], output, columns)
    landed, audit = result["landed"], result["audit"]
    typer.echo(
        f"\n{landed['events']} events landed, {landed['duplicates']} duplicates, "
        f"{landed['dead_letters']} dead letters; audit: {audit['differences']} differences"
    )


def replay(
    files: Files,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0.1, help="at most so many spans and records a second")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="return when everything has landed, or when it is sent")
    ] = True,
    config: Config = None,
) -> None:
    """Send recorded OTLP/JSON lines to Kafka, as an agent's exporter would.

    A request that is larger than kafka.message_bytes is split. A single record that is larger than Kafka takes is
    told and left out, and the others are sent: then the exit code is 2. Sending a file again changes nothing:
    events are recognised by their ids. Only in a new epoch, as each start of `trueup up --data` begins one, do they
    count again.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from pipeline.cli.show import to_stderr
    from pipeline.config import load
    from pipeline.replay.land import wait_until_landed
    from pipeline.replay.send import send

    settings = load(config)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    console = to_stderr()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("sending", total=_size(files))
        sent = send(settings, files, pace=Pace(rate), advance=lambda n: bar.advance(task, n))
        for refused in sent.refused:
            typer.echo(f"trueup: not sent: {refused}", err=True)
        if wait:
            last: dict[str, int] = {}

            def waiting(stage: str, left: int) -> None:
                total = last.setdefault(stage, left)
                bar.update(task, description=f"waiting to {stage}", total=total, completed=total - left)

            wait_until_landed(settings, sent.reached, waiting=waiting)
    landed = "and landed" if wait else "; not waited for"
    typer.echo(f"{sent.records} records in {sent.messages} messages sent {landed}".replace(" ;", ";"), err=True)
    if sent.refused:
        raise typer.Exit(exits.USAGE)


def _size(files: list[Path]) -> int | None:
    try:
        return sum(path.stat().st_size for path in files)
    except OSError:
        return None


class Pace:
    """Keeps a sender to `rate` records a second."""

    def __init__(self, rate: float | None) -> None:
        self._rate, self._next = rate, time.monotonic()

    def __call__(self, records: int) -> None:
        if self._rate is None:
            return
        now = time.monotonic()
        if self._next > now:
            time.sleep(self._next - now)
        self._next = max(self._next, now) + records / self._rate
