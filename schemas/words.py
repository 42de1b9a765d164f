"""The words of Trueup, as closed sets. Code, SQL, pages and docs use these and no synonyms."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Where a workflow stands: with the agent on trial, with it in charge, or without it."""

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
    """How a human stepped in."""

    CORRECTED = "corrected"
    REJECTED = "rejected"
    TAKEN_OVER = "taken_over"
    INTERRUPTED = "interrupted"
    ESCALATED = "escalated"
    APPROVED = "approved"


OVERRIDES = frozenset(
    {Intervention.CORRECTED, Intervention.REJECTED, Intervention.TAKEN_OVER, Intervention.INTERRUPTED}
)


class CostCategory(StrEnum):
    """What money was spent on."""

    MODEL = "model"
    TOOL = "tool"
    HUMAN = "human"
    ENGINEERING = "engineering"
    OPERATIONS = "operations"


class Kind(StrEnum):
    """What a canonical event is. The first group are spans, the second is learnt about a task later."""

    MODEL_CALL = "model_call"
    TOOL_CALL = "tool_call"
    RETRIEVAL = "retrieval"
    EMBEDDING = "embedding"
    GUARDRAIL = "guardrail"
    AGENT_RUN = "agent_run"
    WORKFLOW_RUN = "workflow_run"
    STEP = "step"
    SETUP = "setup"
    """Beside the work: making an agent, judging what it did. Neither work of a task nor a part of a run."""
    OTHER = "other"

    CLAIM = "claim"
    VERDICT = "verdict"
    INTERVENTION = "intervention"
    FEEDBACK = "feedback"
    COST = "cost"
    OUTCOME = "outcome"
    SCORE = "score"

    LINK = "link"
    """Says which task a trace belongs to. It travels to the trace's own partition."""


ACTIONS = frozenset({Kind.MODEL_CALL, Kind.TOOL_CALL, Kind.RETRIEVAL, Kind.EMBEDDING, Kind.GUARDRAIL})
"""The spans that count as actions of a task; the others group them."""

SPANS = ACTIONS | {Kind.AGENT_RUN, Kind.WORKFLOW_RUN, Kind.STEP, Kind.SETUP, Kind.OTHER}


class TaskStatus(StrEnum):
    """Where a task stands. `announced`: only something learnt about it has arrived, no work yet."""

    ANNOUNCED = "announced"
    OPEN = "open"
    FINISHED = "finished"
    ABANDONED = "abandoned"
    LINKED = "linked"
    """It was only a trace: its task is known now, and has its events."""


class Reason(StrEnum):
    """Why something became a dead letter: a closed set, because it labels metrics."""

    NOT_OTLP = "not_otlp"
    NO_IDENTITY = "no_identity"
    UNKNOWN_EVENT = "unknown_event"
    INVALID_ATTRIBUTE = "invalid_attribute"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    LIMIT_EXCEEDED = "limit_exceeded"
    NOT_AN_ACTION_MESSAGE = "not_an_action_message"
    TASK_FULL = "task_full"


DIMENSIONS = (
    "tenant",
    "workflow",
    "stage",
    "environment",
    "agent",
    "agent_version",
    "case_type",
    "model",
)
"""What a window is keyed by beside its minute, and what `--by` and `--where` take."""

ACTION_DIMENSIONS = ("action", "tool", "error_type", "action_agent", "action_model")
"""What the actions themselves are told apart by. A report by one of these is about actions, not about tasks."""
