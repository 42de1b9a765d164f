"""`up`, `demo` and `worker`: what runs until it is told to stop."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from pipeline.cli import exits
from pipeline.cli.options import Config, Data


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(worker)


def up(
    data: Data = None,
    kafka_port: Annotated[int, typer.Option("--kafka-port", help="port of the broker; 0: a free one")] = 9092,
    clickhouse_port: Annotated[
        int, typer.Option("--clickhouse-port", help="ClickHouse's HTTP port; 0: a free one")
    ] = 8123,
    config: Config = None,
) -> None:
    """Start the local stack: a Kafka-compatible broker, the ClickHouse engine, worker and alerter, until Ctrl-C.

    Everything listens on loopback only. Kafka's log is in memory; with --data ClickHouse's tables stay, and the next
    start begins a new epoch: what was measured stays in reports, but what comes later for those tasks does not reach
    them, and what is sent again counts again. Only Kafka that keeps its log (docker compose) has no such end.
    """
    from pipeline.cli.interrupts import INTERRUPTED, Interrupts
    from pipeline.config import load
    from pipeline.stack import Stack

    interrupts = Interrupts()
    stack = Stack(load(config), data=data, kafka_port=kafka_port, clickhouse_port=clickhouse_port, with_alerter=True)
    _say("Starting Kafka, ClickHouse, the worker and the alerter on this machine ...")
    try:
        with stack:
            _say(f"Kafka       {stack.settings.kafka.bootstrap}\nClickHouse  {stack.settings.clickhouse.url}")
            _say(f"worker      {stack.health_url}/readyz\nalerter     {stack.alerter_url}/readyz")
            stack.wait_until_ready()
            interrupts.begun.set()
            _say("Ready. Send OTLP to otlp_spans and otlp_logs, or `trueup replay FILE`; Ctrl-C stops.")
            _say(f"For commands in another terminal: export TRUEUP_CONFIG={stack.config}")
            while not interrupts.stop.wait(0.5):
                if not stack.alive:
                    _say(f"trueup: a process has stopped. Its last words:\n{stack.last_words()}")
                    raise typer.Exit(exits.UNDECIDED)
    except KeyboardInterrupt:
        _say("Stopped.")
        raise typer.Exit(INTERRUPTED) from None
    _say("Stopped.")


def _say(text: str) -> None:
    typer.echo(text, err=True)


def worker(config: Config = None) -> None:
    """Run one worker: normalise and fold, until it is told to stop. Add workers up to the number of partitions."""
    from pipeline.config import load
    from pipeline.connections import client_of
    from pipeline.kafka import ensure_topics
    from pipeline.logs import log_to_stderr
    from pipeline.worker.app import Worker
    from sinks.clickhouse.store import ClickHouseStore

    settings = load(config)
    log_to_stderr()
    ensure_topics(settings)
    store = ClickHouseStore(lambda: client_of(settings), settings.kafka.epoch)
    code = Worker(settings, store).run()
    sys.stderr.flush()
    os._exit(code)  # a thread that waits for a ClickHouse that hangs would keep the process until its timeout
