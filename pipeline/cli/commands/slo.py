"""`slo`: objectives as code, what was committed, and where each stands."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import exits
from pipeline.cli.options import As, Config, Output, moment

if TYPE_CHECKING:
    from pipeline.config import Settings
    from pipeline.objectives.read import Overview
    from pipeline.slo.resolve import Checked
    from sinks.objectives import Version

Documents = Annotated[list[Path], typer.Argument(help="OpenSLO documents (YAML, openslo/v1)", metavar="FILE...")]
By = Annotated[str, typer.Option("--by", help="who commits to it, or decides it")]
Why = Annotated[str, typer.Option("--why", help="the reason, for those who read the history")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    slo = typer.Typer(help="Objectives: what owners commit to, and where it stands.", no_args_is_help=True)
    slo.command()(check)
    slo.command()(apply)
    slo.command()(status)
    slo.command()(report)
    slo.command()(export)
    slo.command()(adjust)
    app.add_typer(slo, name="slo")


def check(files: Documents, output: As = Output.TABLE, config: Config = None) -> None:
    """Say whether documents can be applied, and explain every problem: file, line, what, and the fix. Needs no server.

    Exit 2 if there is any problem.
    """
    from pipeline.cli.show import emit
    from pipeline.config import load

    checked = _checked(files, load(config))
    if output is Output.TABLE:
        for problem in checked.problems:
            typer.echo(str(problem))
    else:
        problems = [{name: getattr(each, name) for name in each.__dataclass_fields__} for each in checked.problems]
        named = [{"workflow": o.workflow.name, "slo": o.slo, "objective": o.name} for o in checked.objectives]
        emit({"problems": problems, "objectives": named}, output)
    if checked.problems:
        raise typer.Exit(exits.USAGE)
    workflows = {each.workflow.name for each in checked.objectives}
    typer.echo(f"{len(checked.objectives)} objectives of {len(workflows)} workflows are fine", err=True)


def apply(
    files: Documents,
    by: By,
    why: Why,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would change, and change nothing")] = False,
    config: Config = None,
) -> None:
    """Commit to documents: a new version of each workflow in them. Versions are kept for ever.

    The documents of a workflow are applied together: an SLO that is not among them any more ends. What was committed
    when the launch came stays the reference; what is changed or removed afterwards is shown as moved, by whom and when.
    """
    from pipeline.cli.slo_text import told_of
    from pipeline.config import load
    from pipeline.connections import client_of
    from pipeline.objectives.apply import plan
    from pipeline.objectives.history import histories
    from pipeline.objectives.read import retention_of
    from sinks.clickhouse.objectives import ClickHouseObjectives

    settings = load(config)
    checked = _checked(files, settings)
    if checked.problems:
        told = "\n".join(map(str, checked.problems))
        typer.echo(f"{told}\ntrueup: nothing was applied; correct the documents first", err=True)
        raise typer.Exit(exits.USAGE)
    store = ClickHouseObjectives(client_of(settings))
    before = store.versions()
    try:
        planned = plan(checked.objects, before, by, why, time.time_ns() // 1_000)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not dry_run:
        store.append(list(planned.new))
    after = histories([*before, *planned.new], retention_of(settings))
    for line in told_of(planned, after, dry_run=dry_run):
        typer.echo(line, err=True)


def status(
    workflow: Annotated[str | None, typer.Option("--workflow", help="only of this workflow")] = None,
    output: As = Output.TABLE,
    config: Config = None,
) -> None:
    """Where every objective stands: attainment against the committed and the current target, budget, coverage, alert.

    The remaining budget is signed: below zero it is overspent. What was promised and then removed or renamed is shown,
    too. Exit 1 if a committed or a current target is missed.
    """
    from pipeline.cli.show import emit_rows
    from pipeline.cli.slo_text import print_moves, print_status
    from pipeline.config import load
    from pipeline.objectives.standing import as_json

    found = _overview(load(config), workflow)
    standings = [standing for each in found.standings.values() for standing in each]
    if output is Output.TABLE:
        print_status(standings)
        print_moves(standings)
    else:
        emit_rows([as_json(standing) for standing in standings], output, (), key="objectives")
    if not standings:
        typer.echo("no objectives are applied yet; `trueup slo apply FILE` does", err=True)
    if any(standing.missed for standing in standings):
        raise typer.Exit(exits.DIFFERENT)


def report(
    workflow: Annotated[str, typer.Argument(help="a workflow with objectives", metavar="WORKFLOW")],
    output: As = Output.TABLE,
    config: Config = None,
) -> None:
    """All that was promised for a workflow and what became of it: versions, moves, standings, adjustments, alerts.

    Exit 1 if a committed or a current target is missed.
    """
    from pipeline.cli.show import emit
    from pipeline.cli.slo_text import print_account, report_json
    from pipeline.config import load
    from pipeline.connections import client_of
    from sinks.clickhouse.objectives import ClickHouseObjectives

    settings = load(config)
    found = _overview(settings, workflow)
    store = ClickHouseObjectives(client_of(settings))
    history, standings = found.histories[workflow], found.standings[workflow]
    adjustments = [row for row in store.adjustments() if row.workflow == workflow]
    transitions = store.transitions(workflow=workflow)
    if output is Output.TABLE:
        print_account(history, standings, adjustments, transitions)
    else:
        emit(report_json(history, standings, adjustments, transitions), output)
    if any(standing.missed for standing in standings):
        raise typer.Exit(exits.DIFFERENT)


def export(
    workflow: Annotated[str, typer.Argument(help="a workflow with objectives", metavar="WORKFLOW")],
    version: Annotated[int | None, typer.Option("--version", help="this one; else the one in force", min=1)] = None,
    config: Config = None,
) -> None:
    """Print the documents of a workflow as they were applied: OpenSLO, which `trueup slo apply` takes again."""
    from pipeline.config import load
    from pipeline.connections import client_of
    from sinks.clickhouse.objectives import ClickHouseObjectives

    versions = ClickHouseObjectives(client_of(load(config))).versions()
    mine = [each for each in versions if each.workflow == workflow]
    chosen = [each for each in mine if version in (None, each.version)]
    if not chosen:
        there = f"its versions are 1 to {mine[-1].version}" if mine else f"there are {_known(versions)}"
        raise typer.BadParameter(f"{workflow!r} has no version {version or 'at all'}; {there}")
    typer.echo(chosen[-1].text, nl=False)


def adjust(
    workflow: Annotated[str, typer.Argument(help="a workflow with objectives", metavar="WORKFLOW")],
    by: By,
    why: Why,
    start: Annotated[str | None, typer.Option("--from", help="first minute left out: 2026-11-01T08:00Z")] = None,
    end: Annotated[str | None, typer.Option("--to", help="first minute that counts again")] = None,
    slo: Annotated[str, typer.Option("--slo", help="only of this SLO")] = "",
    objective: Annotated[str, typer.Option("--objective", help="only this objective of the SLO")] = "",
    withdraw: Annotated[
        str | None, typer.Option("--withdraw", help="take back the adjustment with this id", metavar="ID")
    ] = None,
    output: As = Output.TABLE,
    config: Config = None,
) -> None:
    """Leave a span out of the budgets of a workflow, good and bad alike. The counts stay, and both are shown.

    With --withdraw an earlier adjustment is taken back: the span counts again. Neither is ever removed from the
    history (`trueup slo report`).
    """
    from pipeline.cli.show import emit_rows
    from pipeline.config import load
    from pipeline.connections import client_of
    from pipeline.objectives.adjust import adjustment, effects, withdrawal
    from sinks.clickhouse.objectives import ClickHouseObjectives

    if withdraw is None and (start is None or end is None):
        raise typer.BadParameter("which span? Give --from and --to, or --withdraw ID to take one back")
    if withdraw is not None and (start or end or slo or objective):
        raise typer.BadParameter("--withdraw takes back a whole adjustment: leave out --from, --to, --slo, --objective")
    first, last = (moment(start) or 0) // 60, (moment(end) or 0) // 60
    settings = load(config)
    store = ClickHouseObjectives(client_of(settings))
    names = _overview(settings, workflow).histories[workflow].shown
    now = time.time_ns() // 1_000
    try:
        if withdraw is None:
            row = adjustment(workflow, slo, objective, first, last, by, why, now, names)
        else:
            row = withdrawal(
                withdraw, by, why, now, [each for each in store.adjustments() if each.workflow == workflow]
            )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    store.append([row])
    told = f"adjustment {row.withdraws} is withdrawn" if row.withdraws else f"adjustment {row.id}"
    typer.echo(told, err=True)
    rows = effects(row, _overview(settings, workflow).standings[workflow])
    emit_rows(rows, output, ("slo", "objective", "dropped good", "dropped bad", "remaining", "without it"))


def _checked(files: list[Path], settings: Settings) -> Checked:
    """What the files say; one that cannot be read is a usage error."""
    from pipeline.objectives.read import retention_of
    from pipeline.slo.resolve import Checked
    from pipeline.slo.resolve import check as check_documents
    from pipeline.slo.source import Problem

    sources = []
    for file in files:
        try:
            sources.append((str(file), file.read_text("utf-8")))
        except OSError as error:
            raise typer.BadParameter(f"cannot read {file}: {error.strerror}; check the path and its rights") from None
        except UnicodeDecodeError:
            raise typer.BadParameter(f"{file} is not UTF-8 text; save it as UTF-8") from None
    receivers = (each.name for each in settings.notify.receivers)
    checked = check_documents(sources, retention=retention_of(settings), receivers=receivers)
    if checked.objectives or checked.problems:
        return checked
    fix = "add an SLO; one that is to end can be made a draft"
    nothing = Problem(sources[0][0], 1, 1, "there is no SLO in these files, so nothing is promised", fix)
    return Checked(checked.objectives, checked.objects, (nothing,))


def _overview(settings: Settings, workflow: str | None) -> Overview:
    """Where objectives stand now; a workflow that has none is a usage error."""
    from pipeline.alerter.held import held
    from pipeline.connections import client_of
    from pipeline.objectives.read import overview
    from sinks.clickhouse.objectives import ClickHouseObjectives

    client = client_of(settings)
    store = ClickHouseObjectives(client)
    states = {key: held(row).alert for key, row in store.states().items()}
    found = overview(client, store, settings, states, int(time.time()) // 60, workflow)
    for history in found.histories.values():
        for problem in history.latest.problems:
            typer.echo(f"trueup: cannot be measured any more: {problem}", err=True)
    if workflow is not None and workflow not in found.histories:
        raise typer.BadParameter(
            f"no objectives are applied for the workflow {workflow!r}; there are {_known(store.versions())}"
        )
    return found


def _known(versions: Iterable[Version]) -> str:
    """The workflows of some versions, for people."""
    return ", ".join(sorted({version.workflow for version in versions})) or "none yet: `trueup slo apply FILE`"
