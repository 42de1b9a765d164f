"""The telemetry contract: every attribute and event name that Trueup reads, and the values they take.

Standard OpenTelemetry names come first; `trueup.*` exists only where there is no convention.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

# --- resource or span ---------------------------------------------------------------------------
SERVICE_NAME: Final = "service.name"
"""The agent's service. Stands in for the workflow where none is named."""
SERVICE_VERSION: Final = "service.version"
"""Version of the service. Stands in for the agent's version."""
ENVIRONMENT: Final = "deployment.environment.name"
"""Where it runs: production, staging."""
WORKFLOW: Final = "trueup.workflow"
"""The business process that the agent serves."""
STAGE: Final = "trueup.stage"
"""Pilot, production or control: a `Stage`."""
TENANT: Final = "trueup.tenant"
"""Whose data it is, where one pipeline serves several."""

# --- any span, any event ------------------------------------------------------------------------
TASK_ID: Final = "trueup.task.id"
"""The unit of work. May span several traces and processes."""
COST_USD: Final = "trueup.cost.usd"
"""US dollars: of a step; on the root span the agent's account of the task's model cost; of a cost event."""
ERROR_TYPE: Final = "error.type"
"""Class of the error that ended the operation."""

# --- root span of a task ------------------------------------------------------------------------
OPERATION_NAME: Final = "gen_ai.operation.name"
"""`invoke_agent` on a task's root span."""
AGENT_NAME: Final = "gen_ai.agent.name"
"""Name of the agent."""
AGENT_VERSION: Final = "gen_ai.agent.version"
"""Version of the agent: prompts, tools and code together."""
TASK_TYPE: Final = "trueup.task.type"
"""The case type: what kind of task it is. Low cardinality."""
TASK_OUTCOME: Final = "trueup.task.outcome"
"""The agent's claim: an `Outcome`."""
INPUT_FIELDS_PRESENT: Final = "trueup.input.fields_present"
"""Names of the input's fields that had a value."""
INPUT_FIELDS_MISSING: Final = "trueup.input.fields_missing"
"""Names of the input's fields that were expected and had none."""
INPUT_FORMAT: Final = "trueup.input.format"
"""Format of the input: pdf, json, email."""
INPUT_SIZE: Final = "trueup.input.size"
"""Prefix of the input's sizes: `trueup.input.size.bytes`, `trueup.input.size.documents`."""

# --- events: log records with an event_name -----------------------------------------------------
EVENT_ID: Final = "trueup.event.id"
"""Identity of an event. Sending an event again under the same id changes nothing."""
EVENT_CLAIMED: Final = "trueup.task.claimed"
"""The claim, when it is not on a span."""
EVENT_VERIFIED: Final = "trueup.task.verified"
"""Someone independent found how the task really ended."""
EVENT_INTERVENED: Final = "trueup.task.intervened"
"""A human stepped in."""
EVENT_FEEDBACK: Final = "trueup.task.feedback"
"""What the person served thought of it."""
EVENT_COST: Final = "trueup.cost"
"""Money spent on a task, or on a workflow over a period."""
EVENT_OUTCOME: Final = "trueup.outcome"
"""A business outcome of a task or of a workflow."""
EVENT_EVALUATION: Final = "gen_ai.evaluation.result"
"""OpenTelemetry's event: a quality score; with `trueup.verifier` also a verdict."""

VERDICT: Final = "trueup.verdict"
"""What was found: a `Verdict`."""
VERIFIER: Final = "trueup.verifier"
"""Who or what found it."""
INCLUSION_PROBABILITY: Final = "trueup.inclusion_probability"
"""Probability that this task was chosen for verification; 1 when all are."""
INTERVENTION: Final = "trueup.intervention"
"""How a human stepped in: an `Intervention`."""
HUMAN_MINUTES: Final = "trueup.human.minutes"
"""Working time of the human, in minutes."""
HUMAN_ROLE: Final = "trueup.human.role"
"""Role of the human; prices the minutes."""
SATISFACTION: Final = "trueup.satisfaction"
"""0 (worst) to 1 (best)."""
COMPLAINT: Final = "trueup.complaint"
"""Whether the person complained."""
COST_CATEGORY: Final = "trueup.cost.category"
"""What the money was spent on: a `CostCategory`."""
PERIOD_START: Final = "trueup.period.start"
"""Start of the period of a workflow's cost, nanoseconds since the epoch."""
PERIOD_END: Final = "trueup.period.end"
"""End of that period, nanoseconds since the epoch."""
OUTCOME_NAME: Final = "trueup.outcome.name"
"""Name of the business outcome: refund_amount, days_to_close."""
OUTCOME_VALUE: Final = "trueup.outcome.value"
"""Its value, in its own unit."""

TASK_BAGGAGE: Final = (WORKFLOW, TASK_ID, TASK_TYPE, STAGE)
"""What travels as OpenTelemetry Baggage and is copied onto every span and log record of a task."""


class Stage(StrEnum):
    """Where a workflow stands: the agent on trial, the agent in charge, or no agent."""

    PILOT = "pilot"
    PRODUCTION = "production"
    CONTROL = "control"


class Outcome(StrEnum):
    """What an agent claims when it finishes a task."""

    SUCCESS = "success"
    FAILURE = "failure"
    ESCALATED = "escalated"
    GAVE_UP = "gave_up"


class Verdict(StrEnum):
    """What someone independent found. `inconclusive` leaves the verdict unknown."""

    SUCCESS = "success"
    FAILURE = "failure"
    INCONCLUSIVE = "inconclusive"


class Intervention(StrEnum):
    """How a human stepped in. The first four override the agent."""

    CORRECTED = "corrected"
    REJECTED = "rejected"
    TAKEN_OVER = "taken_over"
    INTERRUPTED = "interrupted"
    ESCALATED = "escalated"
    APPROVED = "approved"


class CostCategory(StrEnum):
    """What money was spent on."""

    MODEL = "model"
    TOOL = "tool"
    HUMAN = "human"
    ENGINEERING = "engineering"
    OPERATIONS = "operations"


OutcomeWord = Outcome | Literal["success", "failure", "escalated", "gave_up"]
VerdictWord = Verdict | Literal["success", "failure", "inconclusive"]
InterventionWord = Intervention | Literal["corrected", "rejected", "taken_over", "interrupted", "escalated", "approved"]
CostCategoryWord = CostCategory | Literal["model", "tool", "human", "engineering", "operations"]
StageWord = Stage | Literal["pilot", "production", "control"]
