"""`report`, `audit` and `task`: what has landed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipeline.cli import exits
from pipeline.cli.options import As, By, Config, From, Output, To, Where, Window, moment, question


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(report)
    app.command()(audit)
    app.command()(task)


def report(
    start: From = None,
    end: To = None,
    window: Window = None,
    by: By = None,
    where: Where = None,
    output: As = Output.TABLE,
    config: Config = None,
) -> None:
    """The metrics of the tasks that finished, or were abandoned, in a time.

    A task counts in the minute in which it finished. A verdict, an override or a cost that arrives later
    changes that minute, however old: every rate says on how many tasks it stands.

    By action, tool, error_type, action_agent or action_model it is about the actions of these tasks: how many
    failed, how long they took, what tokens they used.
    """
    asked = question(start=start, end=end, window=window, by=by, where=where)
    from pipeline.cli.report_table import print_report
    from pipeline.cli.show import emit, emit_rows
    from pipeline.config import load
    from pipeline.connections import client_of
    from pipeline.report.build import report as build

    result = build(client_of(load(config)), asked)
    if output is Output.JSON:
        emit(result, output)
    elif output is Output.NDJSON:
        emit_rows(result["rows"], output, ())
    else:
        print_report(result, asked)


def audit(
    start: From = None,
    end: To = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="have the workers recompute what differs, and compare again")
    ] = False,
    output: As = Output.TABLE,
    config: Config = None,
) -> None:
    """Recompute tasks and windows from the raw events with an independent SQL query, and compare.

    Safe beside running workers. Exit 1 if anything differs. With --repair, tasks and windows that differ are
    recomputed by the worker that owns them, and compared again: exit 1 if anything still differs, 3 if no worker
    takes the repair.
    """
    from pipeline.cli.show import emit, print_table
    from pipeline.config import load
    from pipeline.connections import client_of
    from pipeline.report.audited import sentence, summary
    from sinks.clickhouse.audit import audit as compare

    since, until = moment(start), moment(end)
    settings = load(config)
    more: dict[str, Any] = {}
    if repair:
        from pipeline.repair import repair as have_repaired

        done = have_repaired(settings, client_of(settings), start=since, end=until)
        found = done.after
        more = {"repair": {"differences": done.before.total, "tasks": done.tasks, "windows": done.windows}}
        typer.echo(sentence(done.before), err=True)
        typer.echo(f"repair: {done.tasks} tasks and {done.windows} windows recomputed", err=True)
    else:
        found = compare(client_of(settings), epoch=settings.kafka.epoch, start=since, end=until)
    if output is not Output.TABLE:
        emit({**summary(found), **more}, output)
    else:
        if found.differences:
            columns = ("kind", "partition", "key", "column", "stored", "recomputed")
            print_table(columns, ([getattr(d, name) for name in columns] for d in found.differences))
        typer.echo(sentence(found))
    if found.total:
        raise typer.Exit(exits.DIFFERENT)


def task(
    task_id: Annotated[str, typer.Argument(help="task id, or the id of one of its traces", metavar="ID")],
    output: As = Output.TABLE,
    config: Config = None,
) -> None:
    """The whole story of a task: actions, claim, verdicts, interventions, cost."""
    from pipeline.cli.show import emit
    from pipeline.config import load
    from pipeline.connections import client_of
    from pipeline.report.story import story

    found = story(client_of(load(config)), task_id)
    if found is None:
        typer.echo(
            f"trueup: no task and no trace {task_id!r} has landed; `trueup deadletter list` shows what could not",
            err=True,
        )
        raise typer.Exit(exits.DIFFERENT)
    if output is Output.TABLE:
        _print_story(found)
    else:
        emit(found, output)


def _print_story(found: dict[str, Any]) -> None:
    from pipeline.cli.show import plain, print_table

    facts = found["task"]
    told = {name: facts[name] or None for name in _NAMES}
    told |= {"claim": facts["claim"], "verdict": facts["verdict"], **found["people"], "cost (USD)": facts["cost_usd"]}
    for name, value in told.items():
        mark = "  DISCREPANCY" if name == "verdict" and found["discrepancy"] else ""
        typer.echo(f"{name:16}{plain(value)}{mark}")
    if len(found["epochs"]) > 1:
        other = f"of {plain(found['epochs'])}: what came in the others is not in these facts"
        typer.echo(f"{'epoch':16}{facts['epoch']}, {other}")
    typer.echo()
    print_table(("at", "what", "name", "result", "seconds", "tokens", "cost (USD)"), found["lines"])


_NAMES = ("task_id", "workflow", "stage", "case_type", "agent", "agent_version", "model", "status")
