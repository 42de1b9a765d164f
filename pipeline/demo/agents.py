"""The simulated agents: they live through their tasks in real time and tell of it with the real SDK."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack

from opentelemetry.trace import Status, StatusCode
from trueup import Telemetry

from pipeline.demo.figures import Workflow
from pipeline.demo.job import NANO, Feedback, Intervention, Job, Later, ModelCall, ToolCall, Verdict


class Pace:
    """Lets time pass for the agents. Once it is over, nothing waits any more: everything happens at once."""

    def __init__(self) -> None:
        self.is_over = False
        self._waiting: set[asyncio.Future[None]] = set()
        self._start = time.monotonic()

    def begin(self) -> None:
        """The demo starts now."""
        self._start = time.monotonic()

    async def pause(self, seconds: float) -> None:
        """Come back after `seconds`, or when it is over."""
        if self.is_over or seconds <= 0:
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _wake, future)
        self._waiting.add(future)
        try:
            await future
        finally:
            timer.cancel()
            self._waiting.discard(future)

    async def until(self, moment: float) -> None:
        """Come back `moment` seconds after the start, or when it is over."""
        await self.pause(self._start + moment - time.monotonic())

    def finish(self) -> None:
        """It is over. To be called in the agents' own thread."""
        self.is_over = True
        for future in self._waiting:
            _wake(future)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Agents:
    """One deployed version of a workflow's agent, and who looks after it: the verifiers, the humans."""

    def __init__(self, telemetry: Telemetry, workflow: Workflow, pace: Pace) -> None:
        self._telemetry, self._workflow, self._pace = telemetry, workflow, pace

    async def live(self, job: Job) -> None:
        """Do the task, and tell everything that is learnt about it later. Runs in an asyncio task of its own."""
        with ExitStack() as process:
            task = process.enter_context(
                self._telemetry.task(
                    job.task_id,
                    case_type=job.case_type,
                    stage=job.stage,
                    agent=job.agent,
                    agent_version=job.version,
                )
            )
            for call in job.calls:
                await self._model(call)
            if job.claim is None:
                process.pop_all()  # the agent's process is gone: its root span never ends
                return
            task.claim(job.claim)
        finished = time.monotonic()
        for later in job.later:
            await self._pace.pause(finished + later.after - time.monotonic())
            self._tell(job, later)

    async def _model(self, call: ModelCall) -> None:
        asked = {"gen_ai.operation.name": "chat", "gen_ai.request.model": call.model}
        with self._telemetry.tracer.start_as_current_span(f"chat {call.model}", attributes=asked) as span:
            await self._pace.pause(call.seconds)
            span.set_attributes(
                {
                    "gen_ai.usage.input_tokens": call.input_tokens,
                    "gen_ai.usage.output_tokens": call.output_tokens,
                    "trueup.cost.usd": call.cost_nano / NANO,
                }
            )
        for tool in call.tools:
            await self._tool(tool)

    async def _tool(self, tool: ToolCall) -> None:
        called = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool.name}
        with self._telemetry.tracer.start_as_current_span(f"execute_tool {tool.name}", attributes=called) as span:
            await self._pace.pause(tool.seconds)
            if tool.error:
                span.set_attribute("error.type", tool.error)
                span.set_status(Status(StatusCode.ERROR))

    def _tell(self, job: Job, later: Later) -> None:
        telemetry, task_id = self._telemetry, job.task_id
        match later:
            case Verdict():
                self._verify(job, later)
            case Intervention():
                telemetry.intervened(task_id, later.kind, minutes=later.minutes, role=later.role)
            case Feedback():
                telemetry.feedback(task_id, later.satisfaction, later.complaint)

    def _verify(self, job: Job, verdict: Verdict) -> None:
        now = time.time_ns()
        for _ in range(verdict.times):  # the same event, as a queue that delivers at least once would
            self._telemetry.verified(
                job.task_id,
                verdict.word,
                verifier=self._workflow.verifier,
                inclusion_probability=verdict.probability,
                at=now,
                event_id=f"{job.task_id}/{now}",
            )
        self._telemetry.cost("operations", verdict.cost_nano / NANO, task_id=job.task_id)
