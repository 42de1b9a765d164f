"""`deadletter`: what could not be used, why, and to try it again or let it be."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import exits
from pipeline.cli.options import As, Config, From, Output, To, moment

if TYPE_CHECKING:
    from sinks.clickhouse.dead_letters import Wanted

Positions = Annotated[
    str | None, typer.Argument(metavar="[POSITION]", help="one message: TOPIC/PARTITION/OFFSET, or .../INDEX")
]
ByReason = Annotated[str | None, typer.Option("--reason", help="only those with this reason")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    dead = typer.Typer(help="What could not be used, and why; and to try it again, or let it be.", no_args_is_help=True)
    dead.command("list")(list_)
    dead.command()(show)
    dead.command()(replay)
    dead.command()(discard)
    app.add_typer(dead, name="deadletter")


def list_(
    reason: ByReason = None,
    start: From = None,
    end: To = None,
    everything: Annotated[bool, typer.Option("--all", help="those that are resolved or discarded, too")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="at most so many, the newest first")] = 100,
    output: As = Output.TABLE,
    config: Config = None,
) -> None:
    """List dead letters: where each is in Kafka, and why it could not be used."""
    from pipeline.cli.show import emit_rows
    from pipeline.config import load
    from pipeline.connections import client_of
    from sinks.clickhouse.dead_letters import dead_letters

    wanted = _wanted(None, reason, start, end, open_only=not everything)
    rows = [_placed(row) for row in dead_letters(client_of(load(config)), wanted, limit=limit)]
    emit_rows(rows, output, ("received", "reason", "position", "state", "detail"), key="dead_letters")


def show(
    position: Annotated[str, typer.Argument(metavar="POSITION", help="TOPIC/PARTITION/OFFSET, or .../INDEX")],
    output: As = Output.TABLE,
    config: Config = None,
) -> None:
    """Show the dead letters of a message: the reason and what it means, the payload, and what to do.

    The payload is redacted, unless privacy.dead_letters is `full`.
    """
    from pipeline.cli.show import emit_rows
    from pipeline.config import load
    from pipeline.connections import client_of
    from pipeline.deadletter.explain import explain, readable
    from pipeline.deadletter.replay import incoming
    from sinks.clickhouse.dead_letters import dead_letters

    settings = load(config)
    rows = dead_letters(client_of(settings), _wanted(position), payload=True)
    if not rows:
        _nothing_at(position)
    told = []
    for row in rows:
        meaning, fix = explain(settings, row["reason"])
        more = {"meaning": meaning, "fix": fix, "replayable": row["topic"] in incoming(settings)}
        told.append({**_placed(row), "payload": readable(row["payload"]), **more})
    if output is Output.TABLE:
        for letter in told:
            _print(letter)
    else:
        emit_rows(told, output, (), key="dead_letters")


def replay(
    position: Positions = None,
    reason: ByReason = None,
    start: From = None,
    end: To = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be sent, and send nothing")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="return when it has landed, or when it is sent")
    ] = True,
    output: As = Output.TABLE,
    config: Config = None,
) -> None:
    """Send the messages of dead letters again, once what was wrong with them is mended.

    Each is read from its place in Kafka, as long as Kafka keeps it, and sent to its topic again. What had landed
    of it is recognised by its ids; what still cannot be used stays the same dead letter; the others are
    `resolved`. To replay twice changes nothing. Exit 1 if any is gone from Kafka or a dead letter again.
    """
    _require_any(position, reason, start, end)
    from pipeline.cli.show import emit_rows
    from pipeline.config import load
    from pipeline.connections import client_of
    from pipeline.deadletter.replay import messages_of
    from pipeline.deadletter.replay import replay as send_again
    from pipeline.replay.land import wait_until_landed
    from sinks.clickhouse.dead_letters import dead_letters

    settings = load(config)
    client = client_of(settings)
    wanted = _wanted(position, reason, start, end, open_only=position is None)
    rows = dead_letters(client, wanted)
    if position and not rows:
        _nothing_at(position)
    done = send_again(settings, messages_of(rows), dry_run=dry_run)
    states: dict[str, str] = {}
    if wait and done.reached:
        wait_until_landed(settings, done.reached)
        now = dead_letters(client, _wanted(position, reason, start, end))
        states = {_placed(row)["position"]: row["state"] for row in now}
    told = [_outcome(row, done, states, dry_run=dry_run) for row in rows]
    emit_rows(told, output, ("position", "reason", "result", "detail"), key="dead_letters")
    resolved = sum(letter["result"] == "resolved" for letter in told)
    verb = "would be sent" if dry_run else "sent again"
    typer.echo(
        f"{len(done.sent)} messages {verb}, {len(done.gone)} not; {resolved} of {len(told)} dead letters resolved",
        err=True,
    )
    if any(letter["result"] in ("not sent", "open") for letter in told):
        raise typer.Exit(exits.DIFFERENT)


def discard(
    by: Annotated[str, typer.Option("--by", help="who does it")],
    why: Annotated[str, typer.Option("--why", help="the reason, for those who read it later")],
    position: Positions = None,
    reason: ByReason = None,
    start: From = None,
    end: To = None,
    output: As = Output.TABLE,
    config: Config = None,
) -> None:
    """Say that open dead letters will not be mended, so that they are open no more and hold no alert.

    They are kept as `discarded`, with who said so and why: `list --all` and `show` tell. One that is replayed, and
    cannot be used either, is open again. Exit 1 if none is open there.
    """
    from pipeline.cli.show import emit_rows
    from pipeline.config import load
    from pipeline.connections import client_of
    from sinks.clickhouse import dead_letters

    _require_any(position, reason, start, end)
    if not (by.strip() and why.strip()):
        raise typer.BadParameter("say who and why: give --by NAME and --why TEXT")
    wanted = _wanted(position, reason, start, end)
    at = time.time_ns() // 1_000
    done = dead_letters.discard(client_of(load(config)), wanted, by.strip(), why.strip(), at)
    emit_rows(
        [{"reason": name, "discarded": n} for name, n in done.items()], output, ("reason", "discarded"), key="discarded"
    )
    if not done:
        typer.echo("trueup: no open dead letter is there; `trueup deadletter list` shows those there are", err=True)
        raise typer.Exit(exits.DIFFERENT)
    typer.echo(f"{sum(done.values())} dead letters discarded by {by.strip()}", err=True)


def _require_any(*given: str | None) -> None:
    if not any(given):
        raise typer.BadParameter("say which: a POSITION, --reason, or --from and --to")


def _outcome(row: dict[str, Any], done: Any, states: dict[str, str], *, dry_run: bool) -> dict[str, Any]:
    """What became of a dead letter: `resolved`, `open` again, `sent` without waiting, `there`, or `not sent`."""
    from pipeline.deadletter.replay import messages_of

    letter = _placed(row)
    (message,) = messages_of([row])
    if message in done.gone:
        return {**letter, "result": "not sent", "detail": done.gone[message]}
    if dry_run:
        return {**letter, "result": "there", "detail": f"{done.sent[message]} bytes would be sent"}
    return {**letter, "result": states.get(letter["position"], "sent")}


def _wanted(
    position: str | None,
    reason: str | None = None,
    start: str | None = None,
    end: str | None = None,
    *,
    open_only: bool = False,
) -> Wanted:
    from schemas.words import Reason
    from sinks.clickhouse.dead_letters import OPEN, Position, Wanted

    if reason is not None and reason not in list(Reason):
        raise typer.BadParameter(f"{reason} is not a reason; choose of {', '.join(Reason)}")
    try:
        place = None if position is None else Position.parse(position)
        return Wanted(reason, moment(start), moment(end), place, OPEN if open_only else None)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _placed(row: dict[str, Any]) -> dict[str, Any]:
    """A dead letter with its position as people write it."""
    from sinks.clickhouse.dead_letters import position_of

    return {"position": str(position_of(row)), **{k: v for k, v in row.items() if k != "received_us"}}


def _nothing_at(position: str) -> None:
    typer.echo(
        f"trueup: there is no dead letter at {position}; `trueup deadletter list` shows those there are", err=True
    )
    raise typer.Exit(exits.DIFFERENT)


def _print(letter: dict[str, Any]) -> None:
    import msgspec

    from pipeline.cli.show import plain

    payload = letter["payload"]
    text = payload if isinstance(payload, str) else msgspec.json.format(msgspec.json.encode(payload), indent=2).decode()
    state = letter["state"] if letter["replayed"] is None else f"{letter['state']}, replayed {letter['replayed']}"
    if letter["discarded"] is not None:
        state += f", discarded {letter['discarded']} by {letter['discarded_by']}: {letter['discarded_why']}"
    lines = {
        "position": letter["position"],
        "received": letter["received"],
        "state": state,
        "reason": f"{letter['reason']}: {letter['meaning']}",
        "detail": letter["detail"],
        "what to do": letter["fix"],
    }
    if letter["replayable"]:
        lines[""] = f"then: trueup deadletter replay {letter['position']}"
    else:
        lines[""] = f"then: trueup deadletter discard {letter['position']} --by NAME --why TEXT"
    for name, value in lines.items():
        typer.echo(f"{name:12}{plain(value)}")
    typer.echo("payload")
    for line in text.splitlines():
        typer.echo(f"  {plain(line)}")
    typer.echo()
