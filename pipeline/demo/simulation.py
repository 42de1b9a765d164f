"""Runs the agents in a thread of their own: real spans, through the real SDK, into the local stack's Kafka."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Self

from trueup import KafkaSettings, Telemetry

from pipeline.config import Settings
from pipeline.demo.agents import Agents, Pace
from pipeline.demo.job import Job
from pipeline.demo.ledger import Ledger
from pipeline.demo.plan import Plan

FLUSH_SECONDS = 30.0


class Lost(Exception):
    """Telemetry of the agents was not delivered; the text says what and why."""


class Simulation:
    """`with Simulation(settings, plan) as simulation`: agents work until their plan ends or `finish` is called."""

    def __init__(self, settings: Settings, plan: Plan) -> None:
        # OpenTelemetry's own variables are for the user's agents; these here must not sample or be disabled.
        for name in [name for name in os.environ if name.startswith("OTEL_")]:
            del os.environ[name]
        k = settings.kafka
        kafka = KafkaSettings(bootstrap=k.bootstrap, spans_topic=k.spans_topic, logs_topic=k.logs_topic)
        workflows = plan.figures.workflows
        self._telemetry = {
            (name, version): Telemetry(
                workflow.agent,
                service_version=version,
                workflow=name,
                environment="demo",
                kafka=kafka,
                strict=True,
            )
            for name, workflow in workflows.items()
            for version in workflow.versions
        }
        self._pace = Pace()
        self._agents = {
            deployed: Agents(telemetry, workflows[deployed[0]], self._pace)
            for deployed, telemetry in self._telemetry.items()
        }
        self._plan = plan
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="agents", daemon=True)
        self.ledger = Ledger(plan.figures.human_usd_per_hour)
        """What was told. Complete after `finish`."""
        self.error: BaseException | None = None
        """What ended the agents before their time."""

    @property
    def running(self) -> bool:
        """Whether agents still work."""
        return self._thread.is_alive()

    def finish(self) -> None:
        """Start no more tasks, let the others end at once, and return when Kafka has all. Raises Lost."""
        self._stop()
        self._thread.join()
        if self.error is not None:
            raise self.error
        flushed = [telemetry.flush(FLUSH_SECONDS) for telemetry in self._telemetry.values()]
        dropped = sum((telemetry.dropped for telemetry in self._telemetry.values()), Counter[str]())
        if dropped or not all(flushed):
            why = ", ".join(f"{n} {reason}" for reason, n in dropped.items()) or "it does not answer"
            raise Lost(f"Kafka did not take within {FLUSH_SECONDS:g} s all that the agents told: {why}")

    def __enter__(self) -> Self:
        self._pace.begin()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()
        self._thread.join()
        for telemetry in self._telemetry.values():
            telemetry.shutdown(0 if error else None)

    def _stop(self) -> None:
        self._stopped = True
        with suppress(RuntimeError):  # the loop has ended by itself
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._pace.finish)

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
            self.error = error

    async def _work(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            for job in self._plan.jobs():
                await self._pace.until(job.at)
                if self._stopped:
                    break
                tasks.create_task(self._live(job))
            if self._plan.seconds is not None and not self._stopped:
                await self._pace.until(self._plan.seconds)
            self._pace.finish()

    async def _live(self, job: Job) -> None:
        await self._agents[job.workflow, job.version].live(job)
        self.ledger.add(job)
