"""The simulator's own account of what its agents told, to hold the report against. It shares no code with the fold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

from pipeline.demo.job import NANO, Feedback, Intervention, Job, Verdict
from sinks.clickhouse.reads import Counted

OVERRIDES = ("corrected", "rejected", "taken_over", "interrupted")
MILLION = 1_000_000

COUNTED = (
    "tasks_finished", "tasks_abandoned", "claimed_success", "claimed_failure", "claimed_escalated",
    "claimed_gave_up", "verdict_known", "verdict_success", "claimed_success_known", "discrepancies",
    "underclaims", "overridden", "escalated", "approved", "answered", "complaints", "satisfaction_known",
    "satisfaction_micro", "cost_known", "cost_nano", "cost_model_nano", "cost_human_nano",
    "cost_operations_nano", "weight_known", "weight_success", "actions", "action_errors", "model_calls",
    "tool_calls", "tool_errors", "input_tokens", "output_tokens",
)  # fmt: skip
"""What the ledger counts, by the names of the report's own counts."""


class Difference(NamedTuple):
    """A count that the agents and the report do not agree on."""

    workflow: str
    version: str
    name: str
    told: int
    reported: int


class Ledger:
    """Counts by workflow and agent version. Add every task once, when all about it has been told."""

    def __init__(self, human_usd_per_hour: Mapping[str, float]) -> None:
        self._prices = {role: Fraction(usd) * NANO / 60 for role, usd in human_usd_per_hour.items()}
        self.counts: dict[tuple[str, str], Counter[str]] = {}
        self.tasks = 0

    def add(self, job: Job) -> None:
        """Count a task with everything that was told about it."""
        self.tasks += 1
        found = self.counts.setdefault((job.workflow, job.version), Counter())
        self._work(job, found)
        if job.claim is None:
            found["tasks_abandoned"] += 1
            return
        found["tasks_finished"] += 1
        found[f"claimed_{job.claim}"] += 1
        verdicts = [later for later in job.later if isinstance(later, Verdict)]
        if verdicts and verdicts[-1].word != "inconclusive":
            self._verdict(job, verdicts[-1], found)
        self._people(job, found)
        self._cost(job, verdicts, found)

    def total(self, name: str) -> int:
        """A count over everything."""
        return sum(found[name] for found in self.counts.values())

    def differences(self, reported: Iterable[Counted]) -> list[Difference]:
        """What a report by workflow and agent_version says otherwise, of our workflows: others may send as well."""
        ours = {workflow for workflow, _ in self.counts}
        groups = {
            (group.by["workflow"], group.by["agent_version"]): group.counts
            for group in reported
            if group.by["workflow"] in ours
        }
        return [
            Difference(*key, name, told[name], counts.get(name, 0))
            for key in sorted(self.counts.keys() | groups.keys())
            for told, counts in [(self.counts.get(key, Counter()), groups.get(key, {}))]
            for name in COUNTED
            if told[name] != counts.get(name, 0)
        ]

    def _work(self, job: Job, found: Counter[str]) -> None:
        tools = [tool for call in job.calls for tool in call.tools]
        errors = sum(tool.error != "" for tool in tools)
        found.update(
            model_calls=len(job.calls),
            tool_calls=len(tools),
            tool_errors=errors,
            actions=len(job.calls) + len(tools),
            action_errors=errors,
            input_tokens=sum(call.input_tokens for call in job.calls),
            output_tokens=sum(call.output_tokens for call in job.calls),
        )

    def _verdict(self, job: Job, latest: Verdict, found: Counter[str]) -> None:
        true, claimed = latest.word == "success", job.claim == "success"
        weight = round(MILLION / Fraction(latest.probability))
        found.update(
            verdict_known=1,
            verdict_success=int(true),
            claimed_success_known=int(claimed),
            discrepancies=int(claimed and not true),
            underclaims=int(true and not claimed),
            weight_known=weight,
            weight_success=weight if true else 0,
        )

    def _people(self, job: Job, found: Counter[str]) -> None:
        kinds = {later.kind for later in job.later if isinstance(later, Intervention)}
        found["overridden"] += any(kind in OVERRIDES for kind in kinds)
        found["escalated"] += "escalated" in kinds
        found["approved"] += "approved" in kinds
        for answer in (later for later in job.later if isinstance(later, Feedback)):
            found.update(
                answered=1,
                complaints=int(answer.complaint),
                satisfaction_known=1,
                satisfaction_micro=round(Fraction(str(answer.satisfaction)) * MILLION),
            )

    def _cost(self, job: Job, verdicts: list[Verdict], found: Counter[str]) -> None:
        model = sum(call.cost_nano for call in job.calls)
        operations = sum(verdict.cost_nano for verdict in verdicts)
        human = sum(
            round(Fraction(later.minutes) * self._prices[later.role])
            for later in job.later
            if isinstance(later, Intervention)
        )
        found.update(
            cost_known=1,
            cost_model_nano=model,
            cost_operations_nano=operations,
            cost_human_nano=human,
            cost_nano=model + operations + human,
        )
