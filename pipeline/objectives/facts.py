"""A task as objectives see it: one line of `sinks.clickhouse.counting`."""

from __future__ import annotations

import msgspec

from schemas.rows import model_cost, other_costs
from schemas.words import OVERRIDES, Intervention, Outcome, Stage, TaskStatus, Verdict


class TaskFacts(msgspec.Struct, frozen=True, array_like=True):
    """What became of a task. Minutes are since the Unix epoch; 0: it is not known when, or it did not happen."""

    key: str
    workflow: str
    case_type: str
    standing: str
    """Its status; `control` for a task without the agent."""
    minute: int
    """In which it counts: of its claim, or of its last work once abandoned."""
    known: int
    """When the claim, or the giving up, became known."""
    claim: str
    verdict: str
    weight: int
    """How many tasks the verdict stands for, in millionths."""
    verified: int
    """When the verdict became known."""
    kinds: list[str]
    """Of interventions."""
    intervened: int
    answered: int
    complaint: int
    satisfaction: int | None
    """Millionths."""
    told: int
    """When the feedback became known."""
    root_cost: int | None
    step_cost: int
    unpriced: int
    model_calls: int
    costs: dict[str, int]
    cycle_us: int | None
    actions: int
    action_errors: int
    scores: dict[str, int]
    """By evaluator, millionths."""

    @property
    def finished(self) -> bool:
        return self.standing == TaskStatus.FINISHED

    @property
    def counts(self) -> bool:
        """Whether it is in any window at all."""
        return self.standing in (TaskStatus.FINISHED, TaskStatus.ABANDONED)

    @property
    def heard(self) -> int:
        """The minute in which its end was news."""
        return self.known or self.minute

    @property
    def claimed_success(self) -> bool:
        return self.claim == Outcome.SUCCESS

    @property
    def judged(self) -> bool:
        """Whether the verdict is known."""
        return self.verdict in (Verdict.SUCCESS, Verdict.FAILURE)

    @property
    def right(self) -> bool:
        return self.verdict == Verdict.SUCCESS

    @property
    def overridden(self) -> bool:
        return any(kind in OVERRIDES for kind in self.kinds)

    @property
    def escalated(self) -> bool:
        return Intervention.ESCALATED in self.kinds

    def cost(self, category: str | None = None) -> int | None:
        """Nano-dollars, of all or of one category; None while any part of the whole is unknown."""
        told = self.root_cost, self.step_cost, self.unpriced, self.model_calls, self.costs
        model = model_cost(*told, is_control=self.standing == Stage.CONTROL)
        if model is None:
            return None
        if category is None:
            return model + other_costs(self.costs)
        return model if category == "model" else self.costs.get(category, 0)
