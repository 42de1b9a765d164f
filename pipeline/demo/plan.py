"""What the simulated agents will do: every decision follows from the seed and the number of the task.

A plan knows the truth of each task. The agents only tell what an agent, a verifier or a human would.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import TypeVar

from pipeline.demo.figures import Claim, Common, Figures, Incident, Workflow
from pipeline.demo.job import NANO, Feedback, Intervention, Job, Later, ModelCall, ToolCall, Verdict, VerdictWord

Word = TypeVar("Word", bound=str)
SPREAD = 4.0
"""Shape of the gamma distributions of calls and tokens: invented, the sources are kept to their means."""
Z95 = 1.645
TOOL_TIME = 0.3
"""Share of the cycle time that tools take."""


@dataclass(frozen=True)
class Trouble:
    """When the incident is: seconds after the demo's start."""

    start: float
    end: float
    every: float | None = None
    """It comes again after so many seconds."""

    @classmethod
    def of(cls, seconds: float | None) -> Trouble:
        """In the middle of a demo of so many seconds; of an endless one, every four minutes."""
        return cls(40, 85, 240) if seconds is None else cls(0.35 * seconds, 0.75 * seconds)

    def at(self, moment: float) -> bool:
        """Whether the incident is on."""
        return self.start <= (moment if self.every is None else moment % self.every) < self.end

    def periods(self, until: float) -> list[tuple[float, float]]:
        """When it was before `until`: from its start to its end."""
        shifts = [0.0] if self.every is None else [n * self.every for n in range(int(until // self.every) + 1)]
        return [(self.start + n, min(self.end + n, until)) for n in shifts if self.start + n < until]


@dataclass(frozen=True)
class Plan:
    """The tasks of a demo: `rate` a second, for ever or until `seconds`."""

    figures: Figures
    seed: int
    rate: float
    seconds: float | None
    trouble: Trouble

    def jobs(self) -> Iterator[Job]:
        """The tasks in the order of their starts."""
        for number in count():
            if self.seconds is not None and number >= round(self.seconds * self.rate):
                return
            yield self.job(number)

    def job(self, number: int) -> Job:
        """The task of a number."""
        at, workflows = number / self.rate, self.figures.workflows
        random = Random(f"{self.seed}/{number}")  # noqa: S311 - a simulation
        name = _draw(random, {name: workflow.figures.share.value for name, workflow in workflows.items()})
        job, true = _Author(random, self.figures, name, workflows[name]).write(number, at)
        incident = self.figures.incident
        unlucky = random.random() < incident.affected.value
        hit = (job.workflow, job.version) == (incident.workflow, incident.version) and self.trouble.at(at)
        if hit and unlucky and job.claim is not None:
            job, true = _broken(job, incident), False
        return replace(job, later=_Aftermath(random, self.figures, job, true).write())


def _draw(random: Random, weights: Mapping[Word, float]) -> Word:
    return random.choices(list(weights), list(weights.values()))[0]


def _spread(random: Random, mean: float) -> float:
    return random.gammavariate(SPREAD, mean / SPREAD)


def _lognormal(random: Random, p50: float, p95: float) -> float:
    return p50 * math.exp(random.gauss(0, math.log(p95 / p50) / Z95))


@dataclass(frozen=True)
class _Author:
    """Writes what one agent does for one task, and knows whether it did it."""

    random: Random
    figures: Figures
    name: str
    workflow: Workflow

    def write(self, number: int, at: float) -> tuple[Job, bool]:
        random, workflow, common = self.random, self.workflow, self.figures.common
        new = random.random() < common.new_version_share.value
        pilot = new and random.random() < workflow.figures.new_in_pilot.value
        case_type, claim, true = self._outcome()
        calls = self._calls()
        lost = random.random() < common.lost_tasks.value
        job = Job(
            number=number,
            at=at,
            task_id=f"{self.name}-{number:06}",
            workflow=self.name,
            agent=workflow.agent,
            version=workflow.versions[new],
            stage="pilot" if pilot else "production",
            case_type=case_type,
            calls=calls[: len(calls) // 2 + 1] if lost else calls,
            claim=None if lost else claim,
            later=(),
        )
        return job, true

    def _outcome(self) -> tuple[str, Claim, bool]:
        """Case type, claim, and whether the task was done: one of the real runs."""
        runs = self.workflow.outcomes.runs
        cells = {(case, i): float(n) for case, found in runs.items() for i, n in enumerate(found)}
        case_type, cell = self.random.choices(list(cells), list(cells.values()))[0]
        claimed, true = cell < 2, cell in (0, 2)
        instead = self.workflow.unclaimed.success if true else self.workflow.unclaimed.failure
        return case_type, "success" if claimed else _draw(self.random, instead), true

    def _calls(self) -> tuple[ModelCall, ...]:
        random, figures = self.random, self.workflow.figures
        n = max(1, round(_spread(random, figures.model_calls.value)))
        real = _lognormal(random, figures.cycle_p50.value, figures.cycle_p95.value)
        seconds = real / figures.cycle_compression.value / n
        asks = figures.tool_calls.value / figures.model_calls.value
        return tuple(self._call(seconds, asks=random.random() < asks) for _ in range(n))

    def _call(self, seconds: float, *, asks: bool) -> ModelCall:
        random, figures = self.random, self.workflow.figures
        size = _spread(random, 1)
        tools = (self._tool(seconds * TOOL_TIME),) if asks else ()
        return ModelCall(
            model=_draw(random, self.workflow.models.runs),
            seconds=seconds * (1 - TOOL_TIME if asks else 1),
            input_tokens=round(size * figures.input_tokens.value),
            output_tokens=max(1, round(_spread(random, figures.output_tokens.value))),
            cost_nano=round(size * figures.call_cost_usd.value * NANO),
            tools=tools,
        )

    def _tool(self, seconds: float) -> ToolCall:
        failed = self.random.random() < self.workflow.figures.tool_error_rate.value
        return ToolCall(_draw(self.random, self.workflow.tools.runs), seconds, "tool_error" if failed else "")


def _broken(job: Job, incident: Incident) -> Job:
    """The tool times out, again and again; the agent goes on without it, and claims success."""
    timeout = ToolCall(incident.tool, incident.timeout.value, incident.error)
    first, *others = job.calls
    calls = (
        replace(first, tools=(timeout,) * int(incident.attempts.value)),
        *(replace(call, tools=()) for call in others),
    )
    return replace(job, calls=calls, claim="success")


@dataclass(frozen=True)
class _Aftermath:
    """Writes what is learnt about a task after its claim."""

    random: Random
    figures: Figures
    job: Job
    true: bool

    def write(self) -> tuple[Later, ...]:
        if self.job.claim is None:
            return ()
        found: list[Later] = [*self._verdicts(), *self._interventions(), *self._feedback()]
        return tuple(sorted(found, key=lambda later: later.after))

    def _verdicts(self) -> Iterator[Verdict]:
        random, common = self.random, self.figures.common
        pilot = self.job.stage == "pilot"
        probability = (common.checked_in_pilot if pilot else common.checked_in_production).value
        if random.random() >= probability:
            return
        after = self._lag(common)
        times = 1 + (random.random() < common.resent_verdicts.value)
        word: VerdictWord = "success" if self.true else "failure"
        wrong: VerdictWord = "failure" if self.true else "success"
        cost = round(common.check_cost_usd.value * NANO)
        if random.random() < common.inconclusive_verdicts.value:
            yield Verdict(after, "inconclusive", probability, times, cost)
        elif random.random() < common.corrected_verdicts.value:
            yield Verdict(after, wrong, probability, times, cost)
            yield Verdict(after + self._lag(common), word, probability, 1, cost)
        else:
            yield Verdict(after, word, probability, times, cost)

    def _lag(self, common: Common) -> float:
        real = _lognormal(self.random, common.verdict_lag_p50.value, common.verdict_lag_p95.value)
        return real / common.verdict_lag_compression.value

    def _interventions(self) -> Iterator[Intervention]:
        random, job = self.random, self.job
        workflow, incident = self.figures.workflows[job.workflow], self.figures.incident
        hit = any(tool.error == incident.error for call in job.calls for tool in call.tools)
        rate = (incident if hit else workflow.figures).override_rate.value
        # Quarters of a minute, so that every price of them is a whole number of nano-dollars.
        minutes = round(4 * _spread(random, workflow.figures.human_minutes.value)) / 4
        if job.claim == "escalated":
            yield Intervention(0.1, "escalated", minutes, workflow.role)
        elif random.random() < rate:
            kind = _draw(random, workflow.overrides.runs)
            yield Intervention(random.uniform(0.1, 3), kind, minutes, workflow.role)
        elif job.stage == "pilot" and random.random() < self.figures.common.approval_rate.value:
            yield Intervention(random.uniform(0.1, 3), "approved", 0.25, workflow.role)

    def _feedback(self) -> Iterator[Feedback]:
        random = self.random
        if random.random() >= self.figures.workflows[self.job.workflow].figures.answer_rate.value:
            return
        score = min(20, max(0, round(random.gauss(16 if self.true else 7, 4)))) / 20
        yield Feedback(random.uniform(0.5, 4), score, complaint=not self.true and random.random() < 0.3)
