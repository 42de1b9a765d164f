"""The commands, and what becomes of an error: one line that says what, why and the fix."""

from __future__ import annotations

import logging
import os
import sys
import traceback

import typer

from pipeline.cli import exits
from pipeline.cli.commands import alerts, data, deadletter, demo, operate, read, run, slo

NEXT = """\
Trueup measures what AI agents did, and whether it was true.

  trueup demo               see it work: simulated agents, an incident, a live board
  trueup try FILE...        measure recorded OTLP/JSON lines, once, and leave nothing behind
  trueup up                 start the local stack; point OTEL exporters or `trueup replay` at it
  trueup report             read the metrics of what has landed

trueup --help lists every command; trueup COMMAND --help explains one."""

app = typer.Typer(
    name="trueup", no_args_is_help=False, add_completion=True, pretty_exceptions_enable=False, rich_markup_mode=None
)
for module in (run, demo, data, read, slo, alerts, deadletter, operate):
    module.register(app)


@app.callback(invoke_without_command=True)
def root(context: typer.Context) -> None:
    """AI agents report what they did; Trueup measures what was true, while it happens."""
    if context.invoked_subcommand is None:
        typer.echo(NEXT)


def main() -> None:
    """Run the command and exit with its code. `TRUEUP_DEBUG=1` shows where an error came from."""
    for name in ("clickhouse_connect", "kafka", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what they meet on the way, we say once
    try:
        app(standalone_mode=True)
    except Exception as error:  # noqa: BLE001 - each becomes an exit code
        code = exits.code_of(error)
        if code is None or os.environ.get("TRUEUP_DEBUG"):
            traceback.print_exc()
        told = (
            "this is a defect of trueup; please report it with the lines above" if code is None else exits.told(error)
        )
        sys.stderr.write(f"trueup: {told}\n")
        sys.exit(exits.DEFECT if code is None else code)
