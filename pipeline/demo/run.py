"""The demo from start to end: the stack, the agents, somebody who watches, and the reckoning."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.config import Settings
from pipeline.demo.figures import Figures, figures
from pipeline.demo.landing import land
from pipeline.demo.ledger import Difference, Ledger
from pipeline.demo.noticing import Incident
from pipeline.demo.plan import Plan, Trouble
from pipeline.demo.simulation import Simulation
from pipeline.demo.watch import View, Watch
from pipeline.replay.land import Stalled
from pipeline.report.build import report
from pipeline.stack import Stack
from sinks.clickhouse.audit import Audit, audit
from sinks.clickhouse.reads import Counted, Question, count

GROUPING = ("workflow", "agent_version")
PARTITIONS = 4
ABANDON_AFTER = 15
"""Seconds. The longest a simulated agent falls silent is the timeout of its tool."""
INTERVAL = 1.0


@dataclass(frozen=True)
class Options:
    """How long (None: until stopped), how many tasks a second, which decisions; ports, 0 for free ones."""

    seconds: float | None
    rate: float
    seed: int
    kafka_port: int = 0
    clickhouse_port: int = 0


class Display(Protocol):
    """Where a person looks."""

    def show(self, view: View, elapsed: float) -> None:
        """Show this now."""


@dataclass(frozen=True)
class Result:
    """What came of it."""

    counted: list[Counted]
    """By workflow and agent version."""
    report: dict[str, Any]
    """The same, as `trueup report --output json` has it."""
    audit: Audit
    told: Ledger
    """What the agents told, by their own account."""
    differences: list[Difference]
    """Where report and agents do not agree."""
    incidents: list[Incident]
    plan: Plan
    seconds: float
    """How long the agents worked."""


def run(
    settings: Settings,
    options: Options,
    *,
    stop: threading.Event,
    display: Callable[[Stack], AbstractContextManager[Display]],
    progress: Callable[[str], None],
) -> Result:
    """Run until the time is over or `stop` is set. Raises StartError, Stalled, Lost, Transient, Refused."""
    known = figures()
    plan = Plan(known, options.seed, options.rate, options.seconds, Trouble.of(options.seconds))
    with Stack(
        for_demo(settings, known), kafka_port=options.kafka_port, clickhouse_port=options.clickhouse_port
    ) as stack:
        stack.wait_until_ready()
        watch = Watch(stack.client)
        with Simulation(stack.settings, plan) as simulation:
            with display(stack) as shown:
                _watch(watch, shown, simulation, stack, stop)
            progress("The agents stop. What they have told is landing ...")
            simulation.finish()
            land(stack.settings, alive=lambda: stack.alive, waiting=lambda _stage, _left: None)
        progress("It has landed. The audit recomputes it from the raw events ...")
        counted = count(stack.client, Question(by=GROUPING))
        return Result(
            counted,
            report(stack.client, Question(by=GROUPING)),
            audit(stack.client, epoch=stack.settings.kafka.epoch),
            simulation.ledger,
            simulation.ledger.differences(counted),
            watch.view.incidents,
            plan,
            watch.view.now.at,
        )


def for_demo(settings: Settings, known: Figures) -> Settings:
    """The same settings with the demo's short times and its own prices, on a private stack."""
    return settings.model_copy(
        update={
            "kafka": settings.kafka.model_copy(update={"partitions": PARTITIONS, "epoch": 0}),
            "clickhouse": settings.clickhouse.model_copy(update={"database": "trueup"}),
            "worker": settings.worker.model_copy(update={"clock": 1.0}),
            "http": settings.http.model_copy(update={"port": 0}),
            "abandon_after": ABANDON_AFTER,
            "workflows": {},
            "human_usd_per_hour": known.human_usd_per_hour,
        }
    )


def _watch(watch: Watch, display: Display, simulation: Simulation, stack: Stack, stop: threading.Event) -> None:
    """Look once a second until the agents have ended or somebody stops it."""
    start = time.monotonic()
    due = start
    while simulation.running and not stop.is_set():
        if not stack.alive:
            raise Stalled(f"the worker has stopped. Its last words:\n{stack.last_words()}")
        elapsed = time.monotonic() - start
        display.show(watch.look(elapsed), elapsed)
        due = max(due + INTERVAL, time.monotonic())
        stop.wait(due - time.monotonic())
