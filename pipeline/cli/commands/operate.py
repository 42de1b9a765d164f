"""`migrate`, `doctor` and `config`: operations."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from pipeline.cli import exits
from pipeline.cli.options import As, Config, Output


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(migrate)
    app.command()(doctor)
    settings = typer.Typer(help="What can be set, and what is set.", no_args_is_help=True)
    settings.command("show")(config_show)
    settings.command("check")(config_check)
    settings.command("schema")(config_schema)
    app.add_typer(settings, name="config")


def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the SQL that would run, and run nothing")] = False,
    config: Config = None,
) -> None:
    """Bring ClickHouse's tables up to this version. Safe to repeat; a changed migration is refused."""
    from pipeline.config import load
    from pipeline.connections import address_of
    from sinks.clickhouse.migrate import migrate as apply
    from sinks.clickhouse.migrate import pending

    settings = load(config)
    address = address_of(settings)
    if dry_run:
        for migration in pending(address):
            typer.echo(f"-- {migration.number:04}_{migration.name}\n{migration.sql}")
        return
    done = apply(address, retention_days=settings.clickhouse.retention_days)
    for migration in done:
        typer.echo(f"applied {migration.number:04}_{migration.name}", err=True)
    typer.echo(f"{address} is up to date", err=True)


def doctor(output: As = Output.TABLE, config: Config = None) -> None:
    """Check Kafka, topics, ClickHouse, migrations, clocks, the worker and the data; say what to do.

    Exit 3 if something is down, marked !!. What is marked `note` works, and yet there is something to do: dead
    letters that nobody has resolved, or telemetry without a price. Of the telemetry the last 7 days are looked at; of
    telemetry that is older, its last 7 days.
    """
    from pipeline.cli.show import emit_rows, print_table
    from pipeline.config import load
    from pipeline.doctor import examine

    checks = examine(load(config))
    if output is Output.TABLE:
        print_table(("", "check", "finding", "what to do"), ([c.mark, c.name, c.finding, c.fix] for c in checks))
    else:
        told = [{"name": c.name, "ok": c.ok, "mark": c.mark, "finding": c.finding, "fix": c.fix} for c in checks]
        emit_rows(told, output, (), key="checks")
    if not all(c.ok for c in checks):
        raise typer.Exit(exits.UNDECIDED)


def config_show(config: Config = None) -> None:
    """Print the settings in force, as YAML. Secrets are masked.

    Environment variables that nearly have the name of a setting, and so set nothing, are told on stderr.
    """
    import yaml

    from pipeline.config import load
    from pipeline.environment import nearly_ours

    for nearly in nearly_ours(os.environ):
        typer.echo(f"trueup: {nearly}", err=True)
    typer.echo(yaml.safe_dump(load(config).model_dump(mode="json"), sort_keys=False), nl=False)


def config_check(config: Config = None) -> None:
    """Say whether the configuration can be used, with the secrets and templates in files that it names; exit 2 if not.

    Connects to nothing.
    """
    from pipeline.config import load
    from pipeline.connections import address_of
    from pipeline.kafka import client_options
    from pipeline.notify.build import receiver_of

    settings = load(config)
    address_of(settings)
    client_options(settings)
    for receiver in settings.notify.receivers:
        receiver_of(settings, receiver)
    typer.echo("the configuration is fine", err=True)


def config_schema() -> None:
    """Print the JSON Schema of the configuration."""
    from pipeline.cli.show import emit
    from pipeline.config import Settings

    emit(Settings.model_json_schema(), Output.JSON)
