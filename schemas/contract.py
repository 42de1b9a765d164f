"""The telemetry contract as pydantic models: the attributes of each event that an agent team emits.

The alias of a field is the OpenTelemetry attribute that carries it. The normaliser validates what
arrives with these models; `docs/schemas/` holds their JSON Schema, made by `trueup config schema`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from schemas.units import MICRO, millionths, nano_dollars
from schemas.words import CostCategory, Intervention, Outcome, Verdict

SMALLEST_PROBABILITY = 0.0001
"""A verdict may stand for at most 10,000 tasks; below that the weights drown everything else."""

Number = Annotated[float, Field(json_schema_extra={"type": "number"})]
Name = Annotated[str, StringConstraints(min_length=1, max_length=256, strict=True)]
Money = Annotated[
    int,
    BeforeValidator(nano_dollars, json_schema_input_type=float),
    Field(description="US dollars, 0 to 10^9; kept as integer nano-dollars"),
]


def _ranged(low: float, high: float, description: str) -> Any:
    return Annotated[
        int,
        BeforeValidator(lambda v: millionths(v, low, high), json_schema_input_type=float),
        Field(description=f"{description}; {low} to {high}, kept as integer millionths"),
    ]


Probability = _ranged(SMALLEST_PROBABILITY, 1, "probability that this task was chosen for verification")
Share = _ranged(0, 1, "0 worst, 1 best")
Score = _ranged(-1_000_000, 1_000_000, "score of an evaluator, on its own scale")
Value = _ranged(-1_000_000_000, 1_000_000_000, "value of the outcome, in its own unit")
Minutes = _ranged(0, 100_000, "working time of a human in minutes")


def _flag(value: object) -> object:
    if isinstance(value, bool):
        return value
    raise ValueError(f"{value!r:.80} is not a boolean")


Flag = Annotated[bool, BeforeValidator(_flag, json_schema_input_type=bool)]


class Contract(BaseModel):
    """Attributes beyond the declared ones are allowed and ignored, so that telemetry may grow."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=False)


class TaskSpan(Contract):
    """A span of a task. Source: design of the contract, on OpenTelemetry spans; root span where said."""

    task_type: Name | None = Field(None, alias="trueup.task.type", description="case type (root span)")
    outcome: Outcome | None = Field(None, alias="trueup.task.outcome", description="the claim (root span)")
    cost: Money | None = Field(
        None,
        alias="trueup.cost.usd",
        description="cost of this step in USD; on the root span the agent's own account of the task's model "
        "cost, which replaces the sum of the steps",
    )


class TaskClaimed(Contract):
    """`trueup.task.claimed`: the claim, when it is not on a span."""

    outcome: Outcome = Field(alias="trueup.task.outcome")


class TaskVerified(Contract):
    """`trueup.task.verified`: what someone independent found. The latest verdict of a task counts."""

    verdict: Verdict = Field(alias="trueup.verdict")
    verifier: Name = Field("unknown", alias="trueup.verifier", description="who or what verified")
    inclusion_probability: Probability = Field(MICRO, alias="trueup.inclusion_probability")


class TaskIntervened(Contract):
    """`trueup.task.intervened`: a human stepped in."""

    intervention: Intervention = Field(alias="trueup.intervention")
    minutes: Minutes | None = Field(None, alias="trueup.human.minutes")
    role: Name | None = Field(None, alias="trueup.human.role", description="prices the human's time")


class TaskFeedback(Contract):
    """`trueup.task.feedback`: what the person served thought of it. At least one of the two."""

    satisfaction: Share | None = Field(None, alias="trueup.satisfaction")
    complaint: Flag | None = Field(None, alias="trueup.complaint")

    @model_validator(mode="after")
    def _says_something(self) -> TaskFeedback:
        if self.satisfaction is None and self.complaint is None:
            raise ValueError("set trueup.satisfaction or trueup.complaint")
        return self


class CostIncurred(Contract):
    """`trueup.cost`: money spent on a task, or on a workflow over a period (nanoseconds since the epoch)."""

    category: CostCategory = Field(alias="trueup.cost.category")
    cost: Money = Field(alias="trueup.cost.usd")
    period_start: Annotated[int, Field(ge=0)] | None = Field(None, alias="trueup.period.start")
    period_end: Annotated[int, Field(ge=0)] | None = Field(None, alias="trueup.period.end")

    @model_validator(mode="after")
    def _period_is_ordered(self) -> CostIncurred:
        if (self.period_start is None) != (self.period_end is None):
            raise ValueError("set both trueup.period.start and trueup.period.end, or neither")
        if self.period_start is not None and self.period_end is not None and self.period_end < self.period_start:
            raise ValueError("trueup.period.end is before trueup.period.start")
        return self


class BusinessOutcome(Contract):
    """`trueup.outcome`: a business outcome of a task or of a workflow."""

    name: Name = Field(alias="trueup.outcome.name")
    value: Value = Field(alias="trueup.outcome.value")


class EvaluationResult(Contract):
    """`gen_ai.evaluation.result`, OpenTelemetry's event: a quality score; with a verifier also a verdict."""

    name: Name = Field(alias="gen_ai.evaluation.name")
    score: Score | None = Field(None, alias="gen_ai.evaluation.score.value")
    label: Name | None = Field(None, alias="gen_ai.evaluation.score.label")
    verifier: Name | None = Field(None, alias="trueup.verifier")
    inclusion_probability: Probability = Field(MICRO, alias="trueup.inclusion_probability")


EVENTS: dict[str, type[Contract]] = {
    "trueup.task.claimed": TaskClaimed,
    "trueup.task.verified": TaskVerified,
    "trueup.task.intervened": TaskIntervened,
    "trueup.task.feedback": TaskFeedback,
    "trueup.cost": CostIncurred,
    "trueup.outcome": BusinessOutcome,
    "gen_ai.evaluation.result": EvaluationResult,
}
"""Every event name of the contract with the model of its attributes."""
