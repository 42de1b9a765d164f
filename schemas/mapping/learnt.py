"""Events that say what was learnt about a task: one filler a model of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from schemas.contract import (
    BusinessOutcome,
    Contract,
    CostIncurred,
    EvaluationResult,
    TaskClaimed,
    TaskFeedback,
    TaskIntervened,
    TaskVerified,
)
from schemas.event import Event, event_hash
from schemas.mapping.table import Annotator
from schemas.mapping.values import Rejected
from schemas.units import MICRO, weight
from schemas.words import Kind, Reason, Verdict

PASSES = frozenset({"pass", "passed", "correct", "true", "success", "yes", "resolved"})
FAILS = frozenset({"fail", "failed", "incorrect", "false", "failure", "no", "unresolved"})


@dataclass(frozen=True)
class Judging:
    """Which judgements are more than scores, by the user's configuration."""

    verdicts: frozenset[str] = frozenset({"task_outcome"})
    """Names that say whether the task was done right, where a human or code says it. A model's say is a score."""
    feedback: Mapping[str, tuple[int, int]] = field(default_factory=lambda: {"satisfaction": (0, MICRO)})
    """Names under which humans say how content they are, with the worst and the best score in millionths."""


def fill(event: Event, said: Contract, human_usd_per_hour: Mapping[str, float]) -> Event:
    """Complete an event with what was said. Raises Rejected."""
    require_task(event, said)
    match said:
        case TaskClaimed():
            event.kind, event.value, event.explicit, event.root = Kind.CLAIM, str(said.outcome), 1, 1
        case TaskVerified():
            event.kind, event.value, event.name = Kind.VERDICT, str(said.verdict), said.verifier
            event.weight = weight(said.inclusion_probability)
        case TaskIntervened():
            _intervention(event, said, human_usd_per_hour)
        case TaskFeedback():
            event.kind, event.number = Kind.FEEDBACK, said.satisfaction
            event.flag = None if said.complaint is None else int(said.complaint)
        case CostIncurred():
            _cost(event, said)
        case BusinessOutcome():
            event.kind, event.name, event.number = Kind.OUTCOME, said.name, said.value
        case _:
            raise AssertionError(f"no filler for {type(said).__name__}")
    return event


def require_task(event: Event, said: Contract) -> None:
    """Raises Rejected where nothing tells which task an event is about, or of which workflow a period's cost is."""
    if isinstance(said, CostIncurred) and said.period_start is not None and not event.workflow:
        raise Rejected(
            Reason.NO_IDENTITY,
            "a cost of a period that names no workflow, so it is nobody's; set trueup.workflow on the record, or "
            "service.name on its resource",
        )
    if not event.task_id and not (isinstance(said, CostIncurred | BusinessOutcome) and event.workflow):
        raise Rejected(Reason.NO_IDENTITY, "neither trueup.task.id nor a trace id says which task this is about")


def _intervention(event: Event, said: TaskIntervened, human_usd_per_hour: Mapping[str, float]) -> None:
    event.kind, event.name, event.value = Kind.INTERVENTION, str(said.intervention), said.role or ""
    if said.minutes is None:
        return
    event.number = said.minutes * 60
    rate = human_usd_per_hour.get(said.role or "", human_usd_per_hour.get("default"))
    if rate is not None:
        event.cost = round(rate * said.minutes / 60 * (1_000_000_000 // MICRO))
        event.cost_source = "priced"


def _cost(event: Event, said: CostIncurred) -> None:
    event.kind, event.name, event.cost, event.cost_source = (
        Kind.COST,
        str(said.category),
        said.cost,
        "reported",
    )
    if said.period_start is not None and said.period_end is not None:
        event.start, event.at = said.period_start // 1_000, said.period_end // 1_000
        event.task_id = event.task_source = ""


def evaluation(event: Event, said: EvaluationResult, judging: Judging, annotator: Annotator | None) -> list[Event]:
    """The score that a result is, or the feedback, and the verdict if it is one too."""
    event.kind, event.name, event.number = Kind.SCORE, said.name, said.score
    event.value = (said.label or "").lower()
    share = _share(said, judging) if annotator == Annotator.HUMAN else None
    if share is not None:
        event.kind, event.value, event.number = Kind.FEEDBACK, "", share
        return [event]
    verdict = verdict_of(said)
    verifier = said.verifier
    if verifier is None and annotator in _VERIFIERS and said.name in judging.verdicts:
        verifier = f"{annotator}:{said.name}"
    if verifier is None or verdict is None:
        return [event]
    twin_id = f"{event.event_id}#verdict"
    twin = msgspec.structs.replace(
        event, event_id=twin_id, hash=event_hash(twin_id), kind=Kind.VERDICT, value=str(verdict),
        name=verifier, number=None, weight=weight(said.inclusion_probability),
    )  # fmt: skip
    return [event, twin]


_VERIFIERS = (Annotator.HUMAN, Annotator.CODE)


def _share(said: EvaluationResult, judging: Judging) -> int | None:
    """A human's score as a share of its scale, in millionths; None where it is no feedback, or off the scale."""
    scale = judging.feedback.get(said.name)
    if scale is None or said.score is None or not scale[0] <= said.score <= scale[1]:
        return None
    return (said.score - scale[0]) * MICRO // (scale[1] - scale[0])


def verdict_of(said: EvaluationResult) -> Verdict | None:
    """The verdict that a label, else a score of exactly 0 or 1, expresses."""
    label = (said.label or "").lower()
    if label in PASSES:
        return Verdict.SUCCESS
    if label in FAILS:
        return Verdict.FAILURE
    if label or said.score not in (0, MICRO):
        return None
    return Verdict.SUCCESS if said.score else Verdict.FAILURE
