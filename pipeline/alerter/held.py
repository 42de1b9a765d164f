"""What is stored of an alert beside its state: a restart, or another alerter, goes on as if nothing had been."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel

from pipeline.slo.alert_state import STORED, AlertState, Change, Transition
from pipeline.slo.objective import Objective
from pipeline.slo.windows import Severity
from sinks.objectives import StateRow


class Addressed(BaseModel):
    """By what receivers choose, as it was when the alert began: whoever was told of that is told of the rest.

    `targets`: the receivers of a severity; of a severity that is missing, all.
    """

    model_config = STORED

    labels: dict[str, str] = {}
    targets: dict[Severity, tuple[str, ...]] = {}

    @classmethod
    def of(cls, objective: Objective) -> Addressed:
        """As the objective says now."""
        targets: dict[Severity, tuple[str, ...]] = {}
        for severity, name in objective.alerting.targets:
            targets[severity] = (*targets.get(severity, ()), name)
        return cls(labels=dict(objective.labels), targets=targets)


class Held(BaseModel):
    """An alert's state. `taken`: the ids of people's actions that are in it.

    For those who are told: `lag` is after how many minutes verdicts counted, `remaining` how much of the budget was
    left at the last transition.
    """

    model_config = STORED

    alert: AlertState
    taken: tuple[str, ...] = ()
    lag: int | None = None
    remaining: float | None = None
    addressed: Addressed = Addressed()
    revision: int = 0

    def row(self) -> StateRow:
        """The row of this state. It must have been evaluated."""
        progress = 2 * self.alert.episode - (self.alert.level is not None)
        return StateRow(self.alert.key, progress, self.alert.evaluated or 0, self.revision, self.model_dump_json())


def held(row: StateRow) -> Held:
    """The state of a row."""
    return Held.model_validate_json(row.state)


def identity(transition: Transition, revision: int, action: str | None = None) -> str:
    """A name for a transition that every replica, and every repetition, gives it.

    An episode begins once and ends once, in whatever minute an alerter sees it. Everything else may happen again in the
    same minute, which is evaluated several times: the revision of the state tells it apart.
    """
    told = [transition.key, str(transition.episode), transition.change.value]
    if action is not None:
        told = [transition.key, action]
    elif transition.change not in (Change.FIRED, Change.RESOLVED):
        told += [str(transition.at), str(revision)]
    return hashlib.sha256("\x1f".join(told).encode()).hexdigest()[:24]
