"""What people are told of an alert, before it is put into the words of a receiver."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from pipeline.slo.windows import Severity


class Status(StrEnum):
    """Whether the alert began, or changed, or has ended."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Audience(StrEnum):
    """Whose alert it is: of those who own the workflow, or of those who run Trueup."""

    WORKFLOW = "workflow"
    PLATFORM = "platform"


class Link(NamedTuple):
    """A name, and where it can be opened (an HTTP URL; empty: nowhere)."""

    text: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One transition of an alert that people should hear of. All text is plain: receivers escape it.

    `key` never changes during the life of the alert. `transition_id` is the same in every replica and after a
    restart. `severity` is how loud it is, of a resolved alert how loud it was; `replaced` is how loud it was before,
    if that has changed, and `ended_at` may then say when. Times are microseconds since the Unix epoch; `started_at`,
    `labels` and `targets` stay the same during an episode of the alert. `targets` names the receivers that it is meant
    for, by severity; of a severity that is missing, it is meant for all. Raises ValueError for a resolved one without
    `ended_at`.
    """

    key: str
    transition_id: str
    status: Status
    severity: Severity | None
    title: str
    started_at: int
    replaced: Severity | None = None
    audience: Audience = Audience.WORKFLOW
    text: tuple[str, ...] = ()
    ended_at: int | None = None
    workflow: str = ""
    slo: str = ""
    objective: str = ""
    owner: str = ""
    contact: str = ""
    escalation: str = ""
    link: str = ""
    runbook: str = ""
    failed_tasks: tuple[Link, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    targets: Mapping[Severity, Collection[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.status is Status.RESOLVED and self.ended_at is None:
            raise ValueError(f"{self.transition_id} is resolved and does not say when: give ended_at")
