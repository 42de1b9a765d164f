"""The port between objectives and what keeps them: promises, adjustments, alerts and notifications.

Every row has a stable identity, so that writing it again changes nothing: several alerters may repeat each other,
and one that was stopped may do its work again. Methods may block, and raise `sinks.port.Transient` or `Refused`.

Minutes are since the Unix epoch, as are microseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol, TypeVar

import msgspec


class Version(msgspec.Struct, frozen=True, array_like=True):
    """What an owner committed to, from one moment on: all OpenSLO documents of a workflow. Version 1 is the first."""

    workflow: str
    version: int
    id: str
    text: str
    applied_at: int
    """Microseconds."""
    by: str
    why: str


class AdjustmentRow(msgspec.Struct, frozen=True, array_like=True):
    """Leave the minutes start <= minute < end out of budgets. Empty `slo` or `objective`: all of them.

    Nothing is removed: a row that `withdraws` another, by its id, takes that one back.
    """

    id: str
    workflow: str
    slo: str
    objective: str
    start: int
    end: int
    by: str
    why: str
    at: int
    """Microseconds: when it was made."""
    withdraws: str = ""


class ActionRow(msgspec.Struct, frozen=True, array_like=True):
    """What a person did about an alert. `kind`: ACKNOWLEDGE, or SILENCE before the minute `until`."""

    id: str
    key: str
    kind: str
    by: str
    why: str
    at: int
    """Microseconds."""
    until: int = 0


ACKNOWLEDGE, SILENCE = "acknowledge", "silence"

OVERTAKEN = 2_880
"""Minutes. The state after a transition is stored by the same tick, or by the next. So much later, by the newest state,
the transition's own is not looked for any more."""


class StateRow(msgspec.Struct, frozen=True, array_like=True):
    """The state of an alert (JSON) once minute `evaluated` was evaluated; of one minute the last revision counts."""

    key: str
    progress: int
    """Beginnings and ends of the alert so far: what people were told of counts, although another alerter missed it."""
    evaluated: int
    revision: int
    state: str

    @property
    def rank(self) -> tuple[int, int, int, str]:
        return self.progress, self.evaluated, self.revision, self.state


class TransitionRow(msgspec.Struct, frozen=True, array_like=True):
    """A line of an alert's history (JSON) at minute `at`, and the state after it."""

    id: str
    key: str
    workflow: str
    slo: str
    objective: str
    at: int
    change: str
    notifies: int
    started: int
    """The minute in which the episode began; 0 outside of one."""
    transition: str
    progress: int
    evaluated: int
    revision: int
    state: str

    @property
    def after(self) -> StateRow:
        return StateRow(self.key, self.progress, self.evaluated, self.revision, self.state)


class NotificationRow(msgspec.Struct, frozen=True, array_like=True):
    """That a transition was delivered to a receiver, or that the last attempt failed (`delivered` 0), and why."""

    transition: str
    receiver: str
    delivered: int
    at: int
    """Microseconds."""
    detail: str = ""


class ClaimRow(msgspec.Struct, frozen=True, array_like=True):
    """That a replica of the alerter is about to tell a receiver of a transition; written again, that it still is."""

    transition: str
    receiver: str
    replica: str
    at: int
    """Microseconds."""


Row = Version | AdjustmentRow | ActionRow | StateRow | TransitionRow | NotificationRow | ClaimRow
RowType = TypeVar("RowType", Version, AdjustmentRow, ActionRow, StateRow, TransitionRow, NotificationRow, ClaimRow)


class ObjectiveStore(Protocol):
    """Keeps rows for ever. What a call wrote is there for every later call, of whomever."""

    def append(self, rows: Sequence[RowType]) -> None:
        """Write rows of one kind, in their order; after a crash in the middle the first of them may be there."""

    def versions(self) -> list[Version]:
        """Every version of every workflow, by workflow and version."""

    def mark(self) -> tuple[int, int]:
        """Changes whenever a version is added: how many there are, and when the newest was applied."""

    def adjustments(self) -> list[AdjustmentRow]:
        """Every adjustment and every withdrawal of one, the oldest first."""

    def actions(self) -> list[ActionRow]:
        """Everything that people did about alerts, the oldest first."""

    def states(self) -> dict[str, StateRow]:
        """By key, the newest state, wherever it was written: transitions are written before states.

        Of the history only what is not OVERTAKEN is looked at.
        """

    def transitions(
        self,
        *,
        key: str | None = None,
        workflow: str | None = None,
        since: int = 0,
        told: bool = False,
        limit: int | None = None,
    ) -> list[TransitionRow]:
        """The history from minute `since` on, the newest first. `told`: only what people should hear of."""

    def last_told(self) -> list[TransitionRow]:
        """Of each alert the newest transition that people should hear of, the newest first."""

    def subjects(self) -> dict[str, tuple[str, str, str]]:
        """By key, the workflow, SLO and objective of every alert that has a history."""

    def notifications(self, transitions: Collection[str]) -> list[NotificationRow]:
        """What became of the notifications of these transitions."""

    def claims(self, transition: str, receiver: str) -> list[ClaimRow]:
        """The newest claim of each replica."""


class MemoryObjectives:
    """Rows in dictionaries: for tests, and the shortest statement of what a store does."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, int, str], Version] = {}
        self._adjustments: dict[str, AdjustmentRow] = {}
        self._actions: dict[str, ActionRow] = {}
        self._states: dict[str, StateRow] = {}
        self._transitions: dict[str, TransitionRow] = {}
        self._notifications: dict[tuple[str, str, int], NotificationRow] = {}
        self._claims: dict[tuple[str, str, str], ClaimRow] = {}

    def append(self, rows: Sequence[RowType]) -> None:
        for row in rows:
            self._keep(row)

    def _keep(self, row: Row) -> None:
        match row:
            case Version():
                self._versions[row.workflow, row.version, row.id] = row
            case AdjustmentRow():
                self._adjustments[row.id] = row
            case ActionRow():
                self._actions[row.id] = row
            case StateRow():
                held = self._states.get(row.key)
                if held is None or row.rank >= held.rank:
                    self._states[row.key] = row
            case TransitionRow():
                self._transitions[row.id] = row
            case NotificationRow():
                self._notifications[row.transition, row.receiver, row.delivered] = row
            case ClaimRow():
                self._claims[row.transition, row.receiver, row.replica] = row

    def versions(self) -> list[Version]:
        return sorted(self._versions.values(), key=lambda row: (row.workflow, row.version, row.applied_at, row.id))

    def mark(self) -> tuple[int, int]:
        return len(self._versions), max((row.applied_at for row in self._versions.values()), default=0)

    def adjustments(self) -> list[AdjustmentRow]:
        return sorted(self._adjustments.values(), key=lambda row: (row.at, row.id))

    def actions(self) -> list[ActionRow]:
        return sorted(self._actions.values(), key=lambda row: (row.at, row.id))

    def states(self) -> dict[str, StateRow]:
        newest: dict[str, StateRow] = {}
        since = max((row.evaluated for row in self._states.values()), default=0) - OVERTAKEN
        recent = (each.after for each in self._transitions.values() if each.evaluated >= since)
        for row in (*self._states.values(), *recent):
            held = newest.get(row.key)
            if held is None or row.rank > held.rank:
                newest[row.key] = row
        return newest

    def transitions(
        self,
        *,
        key: str | None = None,
        workflow: str | None = None,
        since: int = 0,
        told: bool = False,
        limit: int | None = None,
    ) -> list[TransitionRow]:
        wanted = (
            row
            for row in self._transitions.values()
            if row.at >= since
            and key in (None, row.key)
            and workflow in (None, row.workflow)
            and (row.notifies or not told)
        )
        return sorted(wanted, key=_newest_first)[:limit]

    def last_told(self) -> list[TransitionRow]:
        newest = {row.key: row for row in reversed(self.transitions(told=True))}
        return sorted(newest.values(), key=_newest_first)

    def subjects(self) -> dict[str, tuple[str, str, str]]:
        return {row.key: (row.workflow, row.slo, row.objective) for row in self._transitions.values()}

    def notifications(self, transitions: Collection[str]) -> list[NotificationRow]:
        wanted = (row for row in self._notifications.values() if row.transition in transitions)
        return sorted(wanted, key=lambda row: (row.transition, row.receiver, row.delivered))

    def claims(self, transition: str, receiver: str) -> list[ClaimRow]:
        wanted = [row for row in self._claims.values() if (row.transition, row.receiver) == (transition, receiver)]
        return sorted(wanted, key=lambda row: row.replica)


def _newest_first(row: TransitionRow) -> tuple[int, int, str]:
    return -row.evaluated, -row.revision, row.id
