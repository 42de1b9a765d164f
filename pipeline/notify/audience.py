"""Which notifications a receiver wants, and what it has to hear of those that were once meant for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.notify.notification import Audience, Notification, Status
from pipeline.slo.windows import Severity


@dataclass(frozen=True, slots=True)
class Wanted:
    """Notifications for one of the audiences, at one of the severities; those without a severity go to all."""

    audiences: frozenset[Audience] = frozenset(Audience)
    severities: frozenset[Severity] = frozenset(Severity)

    def view(self, notification: Notification, now: int) -> Notification | None:
        """The notification as this receiver is to be told of it, None: not at all. `now` is in microseconds.

        Where only pages are wanted, a page that eases to a ticket has ended: else it would stay open there for ever.
        """
        if notification.audience not in self.audiences:
            return None
        if notification.severity is None or notification.severity in self.severities:
            return notification
        if notification.replaced in self.severities:
            ended_at = now if notification.ended_at is None else notification.ended_at
            return replace(
                notification,
                status=Status.RESOLVED,
                severity=notification.replaced,
                replaced=None,
                ended_at=ended_at,
            )
        return None
