"""`alerts` and `alerter`: what fires, what did, what people do about it, and the process that decides it."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import exits
from pipeline.cli.options import As, Config, From, Output, moment

if TYPE_CHECKING:
    from sinks.objectives import ActionRow, ObjectiveStore

Key = Annotated[str, typer.Argument(help="an alert's key, or its beginning, as `alerts list` shows it", metavar="KEY")]
By = Annotated[str, typer.Option("--by", help="who does it")]
LIST = ("key", "workflow", "objective", "phase", "level", "since", "why", "acknowledged_by", "silenced_until")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    alerts = typer.Typer(help="What fires, what did, and what people do about it.", no_args_is_help=True)
    alerts.command("list")(list_)
    alerts.command()(history)
    alerts.command()(ack)
    alerts.command()(silence)
    app.add_typer(alerts, name="alerts")
    app.command()(alerter)


def list_(
    everything: Annotated[bool, typer.Option("--all", help="those that are quiet, too")] = False,
    output: As = Output.TABLE,
    config: Config = None,
) -> None:
    """List the alerts that fire, are pending or frozen, and why. Exit 1 if one fires."""
    from pipeline.cli.show import emit_rows
    from pipeline.objectives.standing import alert_json

    store = _store(config)
    rows = []
    for subject, state in _alerts(store, config):
        if everything or state.level or state.phase in ("pending", "frozen"):
            told = alert_json(state)
            rows.append({**subject, **told, "why": "; ".join(told["reasons"]) or None})
    emit_rows(rows, output, LIST, key="alerts")
    if any(row["level"] for row in rows):
        raise typer.Exit(exits.DIFFERENT)


def history(
    key: Annotated[
        str | None, typer.Argument(help="only of this alert: its key, or the beginning of it", metavar="[KEY]")
    ] = None,
    start: From = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="at most so many, the newest first")] = 100,
    output: As = Output.TABLE,
    config: Config = None,
) -> None:
    """What happened to alerts, the newest first: fired, escalated, frozen, resolved, acknowledged, silenced."""
    from pipeline.cli.show import emit_rows
    from pipeline.cli.slo_text import HISTORY, transition_json

    since = (moment(start) or 0) // 60
    store = _store(config)
    wanted = None if key is None else _key(store, key)
    lines = store.transitions(key=wanted, since=since, limit=limit)
    emit_rows([transition_json(line) for line in lines], output, ("key", "workflow", *HISTORY), key="history")


def ack(
    key: Key,
    by: By,
    why: Annotated[str, typer.Option("--why", help="what is being done")] = "",
    config: Config = None,
) -> None:
    """Say that somebody has taken an alert. Ends when it resolves, or when a ticket becomes a page."""
    from sinks.objectives import ACKNOWLEDGE

    store = _store(config)
    found = _key(store, key)
    if not any(subject["key"] == found and state.level for subject, state in _alerts(store, config)):
        raise typer.BadParameter(f"{found} does not fire: there is nothing to acknowledge; see `trueup alerts list`")
    store.append([_action(found, ACKNOWLEDGE, by, why)])
    typer.echo(f"{found}: acknowledged by {by}", err=True)


def silence(
    key: Key,
    by: By,
    why: Annotated[str, typer.Option("--why", help="the reason, for those who read the history")],
    length: Annotated[str | None, typer.Option("--for", help="how long: 30m, 2h, 1d")] = None,
    end: Annotated[bool, typer.Option("--end", help="end the silence that there is, within two minutes")] = False,
    config: Config = None,
) -> None:
    """Go on evaluating an alert, but tell nobody anything new for a while. What still fires then is told.

    Whoever was told before that it fires is told if it ends. A later silence replaces an earlier one, so it can be
    made longer or shorter; --end ends it.
    """
    from pipeline.config import parse_duration
    from sinks.objectives import SILENCE

    if not why.strip():
        raise typer.BadParameter("a silence says why: give --why TEXT")
    if (length is None) is not end:
        raise typer.BadParameter("for how long? Give --for, or --end to end the silence that there is")
    try:
        minutes = 1 if length is None else parse_duration(length) // 60
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if minutes < 1:
        raise typer.BadParameter(f"--for {length} is less than a minute")
    store = _store(config)
    found = _key(store, key)
    until = int(time.time()) // 60 + minutes + 1
    store.append([_action(found, SILENCE, by, why, until)])
    told = "the silence ends" if end else f"silenced by {by} for {length}"
    typer.echo(f"{found}: {told}", err=True)


def alerter(config: Config = None) -> None:
    """Run the alerter: evaluate every objective, keep alerts, notify; until it is told to stop.

    A second one may run beside it: they repeat each other, and change nothing.
    """
    import signal
    import threading

    from pipeline.alerter.process import Alerter
    from pipeline.config import load
    from pipeline.logs import log_to_stderr

    settings = load(config)
    log_to_stderr()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    Alerter(settings).run(stop)


def _store(config: Any) -> ObjectiveStore:
    from pipeline.config import load
    from pipeline.connections import client_of
    from sinks.clickhouse.objectives import ClickHouseObjectives

    return ClickHouseObjectives(client_of(load(config)))


def _alerts(store: ObjectiveStore, config: Any) -> list[tuple[dict[str, str], Any]]:
    """Every alert with its name: of objectives in force, and those that have a history."""
    from pipeline.alerter.held import held
    from pipeline.alerter.in_force import StoredObjectives
    from pipeline.config import load
    from pipeline.objectives.read import retention_of

    names = {key: (workflow, f"{slo}/{objective}") for key, (workflow, slo, objective) in store.subjects().items()}
    for key, objective in StoredObjectives(store, retention_of(load(config))).objectives().items():
        names[key] = (objective.workflow.name, f"{objective.slo}/{objective.name}")
    states = {key: held(row).alert for key, row in store.states().items() if key in names}
    return [
        ({"key": key, "workflow": names[key][0] or None, "objective": names[key][1]}, state)  # type: ignore[dict-item]
        for key, state in sorted(states.items(), key=lambda item: names[item[0]])
    ]


def _key(store: ObjectiveStore, given: str) -> str:
    """The one key that begins as given."""
    found = sorted(key for key in store.states() if key.startswith(given))
    if len(found) != 1:
        what = "no alert" if not found else "more than one alert"
        raise typer.BadParameter(f"{what} has a key that begins with {given!r}; see `trueup alerts list --all`")
    return found[0]


def _action(key: str, kind: str, by: str, why: str, until: int = 0) -> ActionRow:
    from sinks.objectives import ActionRow

    if not by.strip():
        raise typer.BadParameter("say who: give --by NAME")
    return ActionRow(secrets.token_hex(8), key, kind, by.strip(), why.strip(), time.time_ns() // 1_000, until)
