"""Which notifications a receiver wants, and what it has to hear of those that were once meant for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pipeline.notify.notification import Audience, Notification, Status
from pipeline.slo.windows import Severity


@dataclass(frozen=True, slots=True)
class Wanted:
    """Notifications for one of the audiences, at one of the severities; those without a severity go to all.

    Where `labels` are given, only those that carry them all; and none that is meant for receivers of other names.
    """

    audiences: frozenset[Audience] = frozenset(Audience)
    severities: frozenset[Severity] = frozenset(Severity)
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    name: str = ""

    def view(self, notification: Notification, now: int) -> Notification | None:
        """The notification as this receiver is to be told of it, None: not at all. `now` is in microseconds.

        Where only pages are wanted, a page that eases to a ticket has ended: else it would stay open there for ever.
        """
        if notification.audience not in self.audiences or not self.labels.items() <= notification.labels.items():
            return None
        wanted = {each for each in self.severities if self.name in notification.targets.get(each, (self.name,))}
        if notification.severity is None or notification.severity in wanted:
            return notification
        if notification.replaced in wanted:
            ended_at = now if notification.ended_at is None else notification.ended_at
            return replace(
                notification,
                status=Status.RESOLVED,
                severity=notification.replaced,
                replaced=None,
                ended_at=ended_at,
            )
        return None
