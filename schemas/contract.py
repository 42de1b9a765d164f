"""The telemetry contract as pydantic models: the attributes of each event that an agent team emits.

The alias of a field is the OpenTelemetry attribute that carries it. The normaliser validates what
arrives with these models; `docs/schemas/` holds their JSON Schema, made by `python -m pipeline.docs`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from schemas.described import described
from schemas.units import millionths, nano_dollars
from schemas.words import CostCategory, Intervention, Outcome, Stage, Verdict

SMALLEST_PROBABILITY = 0.0001
"""A verdict may stand for at most 10,000 tasks; below that the weights drown everything else."""

Nanoseconds = Annotated[int, Field(ge=0, lt=2**32 * 1_000_000_000, description="since 1970, to 2106 at most")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=256, strict=True)]
Text = Annotated[str, StringConstraints(strict=True)]
Money = Annotated[
    int,
    BeforeValidator(nano_dollars, json_schema_input_type=Annotated[float, Field(ge=0, le=10**9)]),
    Field(description="US dollars; kept as integer nano-dollars"),
]


def _within(low: float, high: float) -> BeforeValidator:
    """Takes a number of `low`..`high` and keeps it as integer millionths."""
    return BeforeValidator(
        lambda value: millionths(value, low, high),
        json_schema_input_type=Annotated[float, Field(ge=low, le=high)],
    )


Probability = Annotated[
    int,
    _within(SMALLEST_PROBABILITY, 1),
    Field(description="probability that this task was chosen for verification; kept as integer millionths"),
]
Share = Annotated[int, _within(0, 1), Field(description="0 worst, 1 best; kept as integer millionths")]
Score = Annotated[
    int,
    _within(-1_000_000, 1_000_000),
    Field(description="score on the evaluator's own scale; kept as integer millionths"),
]
Value = Annotated[
    int,
    _within(-1_000_000_000, 1_000_000_000),
    Field(description="value of the outcome in its own unit; kept as integer millionths"),
]
Minutes = Annotated[
    int,
    _within(0, 100_000),
    Field(description="working time of a human in minutes; kept as integer millionths"),
]


def _flag(value: object) -> object:
    if isinstance(value, bool):
        return value
    raise ValueError(f"{described(value)} is not a boolean")


Flag = Annotated[bool, BeforeValidator(_flag, json_schema_input_type=bool)]


class Contract(BaseModel):
    """Attributes beyond the declared ones are allowed and ignored, so that telemetry may grow."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=False)


class Common(Contract):
    """What any span and any event may say beside its own. The mapper reads it, with aliases and the resource."""

    task_id: Text | None = Field(
        None,
        alias="trueup.task.id",
        description="the unit of work that it belongs to; without it an alias of the configuration, else the trace id",
    )
    workflow: Text | None = Field(
        None, alias="trueup.workflow", description="the business process; without it service.name of the resource"
    )
    stage: Stage = Field(Stage.PRODUCTION, alias="trueup.stage", description="where the workflow stands")
    tenant: Text | None = Field(None, alias="trueup.tenant", description="whose data it is")


class CommonEvent(Common):
    """What any event may say, since a log record has no id of its own as a span has."""

    event_id: Text | None = Field(
        None,
        alias="trueup.event.id",
        description="an event that comes again with the same id changes nothing; without it a hash of the record",
    )


class TaskSpan(Contract):
    """What a span of a task may say beside OpenTelemetry's own attributes."""

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
    inclusion_probability: Probability = Field(1, validate_default=True, alias="trueup.inclusion_probability")


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
    period_start: Nanoseconds | None = Field(None, alias="trueup.period.start")
    period_end: Nanoseconds | None = Field(None, alias="trueup.period.end")

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
    """`gen_ai.evaluation.result`, OpenTelemetry's event: a quality score; with a verifier also a verdict.

    So it is without one, if its name is one of `verdicts` of the configuration, and a human or code judged.
    """

    name: Name = Field(alias="gen_ai.evaluation.name")
    score: Score | None = Field(None, alias="gen_ai.evaluation.score.value")
    label: Name | None = Field(None, alias="gen_ai.evaluation.score.label")
    verifier: Name | None = Field(None, alias="trueup.verifier")
    annotator: str | None = Field(
        None, alias="gen_ai.evaluation.evaluator.type", description="human, deterministic or llm_judge"
    )
    inclusion_probability: Probability = Field(1, validate_default=True, alias="trueup.inclusion_probability")


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
