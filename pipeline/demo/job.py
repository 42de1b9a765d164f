"""A simulated task: what its agent will do, and what will be learnt about it later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.demo.figures import Claim, OverrideKind

VerdictWord = Literal["success", "failure", "inconclusive"]
InterventionKind = OverrideKind | Literal["escalated", "approved"]

NANO = 1_000_000_000
"""Nano-dollars in a US dollar."""


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool that takes `seconds` and ends with `error`, or well when that is empty."""

    name: str
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class ModelCall:
    """A call of the model, and the tool calls that it asks for."""

    model: str
    seconds: float
    input_tokens: int
    output_tokens: int
    cost_nano: int
    tools: tuple[ToolCall, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What a verifier finds `after` so many seconds; delivered `times` times."""

    after: float
    word: VerdictWord
    probability: float
    times: int
    cost_nano: int


@dataclass(frozen=True)
class Intervention:
    """A human steps in."""

    after: float
    kind: InterventionKind
    minutes: float
    role: str


@dataclass(frozen=True)
class Feedback:
    """The person served answers."""

    after: float
    satisfaction: float
    complaint: bool


Later = Verdict | Intervention | Feedback


@dataclass(frozen=True)
class Job:
    """One task from its start to the last that is learnt about it. `at`: seconds after the demo's start."""

    number: int
    at: float
    task_id: str
    workflow: str
    agent: str
    version: str
    stage: Literal["pilot", "production"]
    case_type: str
    calls: tuple[ModelCall, ...]
    claim: Claim | None
    """None: the agent is lost on the way, and nothing more is heard."""
    later: tuple[Later, ...]
    """By time."""
