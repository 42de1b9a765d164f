"""The figures behind the simulation: each is from published runs of real agents, or says that it is invented."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

import msgspec

INVENTED = "invented"

Claim = Literal["success", "failure", "escalated", "gave_up"]
OverrideKind = Literal["corrected", "rejected", "taken_over", "interrupted"]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where figures come from."""

    name: str
    where: str = ""
    licence: str = ""


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number, where it is from, and how it was derived there."""

    value: float
    source: str
    how: str


class Outcomes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Case type -> runs: claimed and true, claimed and not true, not claimed but true, neither."""

    source: str
    runs: dict[str, tuple[int, int, int, int]]


class Unclaimed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was claimed instead of success, of how many runs, by how they really ended."""

    source: str
    success: dict[Claim, int]
    failure: dict[Claim, int]


class Shares(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often each of several things occurred."""

    source: str
    runs: dict[str, int]


class OverrideShares(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often humans stepped in in each way."""

    source: str
    runs: dict[OverrideKind, int]


class WorkflowFigures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers of one workflow. Tokens and cost are of one model call, calls of one task."""

    model_calls: Figure
    tool_calls: Figure
    tool_error_rate: Figure
    input_tokens: Figure
    output_tokens: Figure
    call_cost_usd: Figure
    cycle_p50: Figure
    cycle_p95: Figure
    cycle_compression: Figure
    override_rate: Figure
    human_minutes: Figure
    answer_rate: Figure
    new_in_pilot: Figure
    share: Figure


class Workflow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A business process and its agent. `versions`: the one in charge, and the new one."""

    agent: str
    versions: tuple[str, str]
    role: str
    verifier: str
    outcomes: Outcomes
    unclaimed: Unclaimed
    models: Shares
    tools: Shares
    overrides: OverrideShares
    figures: WorkflowFigures


class Common(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all workflows have in common."""

    verdict_lag_p50: Figure
    verdict_lag_p95: Figure
    verdict_lag_compression: Figure
    checked_in_pilot: Figure
    checked_in_production: Figure
    corrected_verdicts: Figure
    inconclusive_verdicts: Figure
    resent_verdicts: Figure
    check_cost_usd: Figure
    approval_rate: Figure
    lost_tasks: Figure
    new_version_share: Figure


class Incident(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool fails for one version of one workflow, and its agent claims success all the same."""

    workflow: str
    version: str
    tool: str
    error: str
    affected: Figure
    timeout: Figure
    attempts: Figure
    override_rate: Figure


class Figures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """figures.yaml."""

    sources: dict[str, Source]
    workflows: dict[str, Workflow]
    common: Common
    incident: Incident
    human_usd_per_hour: dict[str, float]
    """Invented."""


@cache
def figures() -> Figures:
    """The figures of the demo."""
    import yaml

    text = (files("pipeline.demo") / "figures.yaml").read_text()
    return msgspec.convert(yaml.safe_load(text), Figures)


class Line(NamedTuple):
    """One line of the table that tells what is real."""

    about: str
    what: str
    value: str
    how: str
    source: str


def table() -> Iterator[Line]:
    """Every figure with its source."""
    known = figures()
    for name, workflow in known.workflows.items():
        runs = sum(map(sum, workflow.outcomes.runs.values()))
        told = f"of {len(workflow.outcomes.runs)} case types"
        yield Line(name, "claims and verdicts", f"{runs} runs", told, workflow.outcomes.source)
        for what, shares in (("models", workflow.models), ("tools", workflow.tools), ("overrides", workflow.overrides)):
            yield Line(name, f"shares of {what}", f"{len(shares.runs)} kinds", ", ".join(shares.runs), shares.source)
        yield from _lines(name, workflow.figures)
    yield from _lines("all workflows", known.common)
    yield from _lines("the incident", known.incident)
    prices = ", ".join(f"{role} {usd:g}" for role, usd in known.human_usd_per_hour.items())
    yield Line("all workflows", "human_usd_per_hour", prices, "price of human time", INVENTED)


def _lines(about: str, group: WorkflowFigures | Common | Incident) -> Iterator[Line]:
    for name in group.__struct_fields__:
        figure = getattr(group, name)
        if isinstance(figure, Figure):
            yield Line(about, name, f"{figure.value:g}", figure.how, figure.source)
