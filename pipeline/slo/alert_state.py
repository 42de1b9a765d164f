"""What is stored of an alert: its state, and the transitions that led there. Both are plain JSON."""

import hashlib
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from pipeline.slo.windows import Severity


class Phase(StrEnum):
    """Pending: burning, but the guard or the pair's duration withholds it. Frozen: the data cannot say."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    FROZEN = "frozen"
    RESOLVED = "resolved"


class Change(StrEnum):
    """Why a transition was recorded."""

    PENDING = "pending"
    CLEARED = "cleared"  # no longer pending, never fired
    FIRED = "fired"
    ESCALATED = "escalated"  # the ticket became a page
    EASED = "eased"  # the page became a ticket
    FROZEN = "frozen"
    THAWED = "thawed"
    RESOLVED = "resolved"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    UNSILENCED = "unsilenced"


class Why(StrEnum):
    """The kind of a reason."""

    BURNING = "burning"
    WAITING = "waiting"
    NO_EVENTS = "no_events"
    LOW_COVERAGE = "low_coverage"
    BEHIND = "behind"
    PERSON = "person"
    WITHDRAWN = "withdrawn"
    OTHER = "other"

    @classmethod
    def _missing_(cls, value: object) -> "Why":
        """A kind of a later version: its text tells people enough."""
        return cls.OTHER


NOTIFIED = frozenset({Change.FIRED, Change.ESCALATED, Change.EASED, Change.RESOLVED})


STORED = ConfigDict(frozen=True, extra="ignore")
"""During a rolling update, and after one was taken back, what is stored has fields of a later version."""


class _Record(BaseModel):
    model_config = STORED


class Reason(_Record):
    """Why, as a kind for machines and a text for people."""

    why: Why
    text: str


class Acknowledgement(_Record):
    """Who has taken the alert, and when (minutes since the Unix epoch)."""

    by: str
    at: int
    comment: str = ""


class Silence(_Record):
    """Nobody is told anything new from minute `since` until minute `until`."""

    by: str
    why: str
    since: int
    until: int


class AlertState(_Record):
    """The alert of one objective. `key` never changes; all minutes are minutes since the Unix epoch.

    `level` is what fires, also while frozen; `told` is what people were told last that fires. `active` names what makes
    it fire, as `observation/severity`, so that an observation that cannot say holds only its own. `fired_at` is when
    this episode began, at whatever level. `waiting` holds since when pairs with a duration have been burning.
    """

    key: str
    phase: Phase = Phase.INACTIVE
    level: Severity | None = None
    told: Severity | None = None
    since: int | None = None
    reasons: tuple[Reason, ...] = ()
    active: tuple[str, ...] = ()
    episode: int = 0
    fired_at: int | None = None
    evaluated: int | None = None
    waiting: tuple[tuple[str, int], ...] = ()
    acknowledged: Acknowledgement | None = None
    silence: Silence | None = None


class Transition(_Record):
    """One line of an alert's history. `episode` counts the alert's episodes; `notifies`: people should hear of it.

    `told` is what people had been told before that fires.
    """

    key: str
    at: int
    change: Change
    from_phase: Phase
    phase: Phase
    from_level: Severity | None
    level: Severity | None
    episode: int
    notifies: bool
    reasons: tuple[Reason, ...]
    told: Severity | None = None

    @classmethod
    def between(cls, before: AlertState, after: AlertState, change: Change, at: int, notifies: bool) -> "Transition":
        """The line that records a change from one state to the next at minute `at`."""
        return cls(
            key=after.key,
            at=at,
            change=change,
            from_phase=before.phase,
            phase=after.phase,
            from_level=before.level,
            level=after.level,
            episode=after.episode,
            notifies=notifies,
            reasons=after.reasons,
            told=before.told,
        )


def alert_key(workflow: str, slo: str, objective: str) -> str:
    """A short stable name for an objective's alert, the same in every process and version."""
    return hashlib.sha256("\x1f".join((workflow, slo, objective)).encode()).hexdigest()[:16]
