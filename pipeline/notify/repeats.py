"""Alerts that a receiver forgets unless it is told again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.notify.notification import Notification, Status


@dataclass(slots=True)
class _Told:
    notification: Notification
    due_at: float
    until: float | None


class Repeats:
    """The last that was said of each alert, to be said again every `every` seconds.

    Of an alert that has ended it is said for `keep_ended` seconds more, in case the receiver has lost it since. With
    `every` None nothing is repeated. Times are the monotonic clock's seconds. Not thread-safe: its delivery locks.
    """

    def __init__(self, every: float | None = None, keep_ended: float = 900.0) -> None:
        self._every = every
        self._keep_ended = keep_ended
        self._told: dict[str, _Told] = {}

    def remember(self, notification: Notification, now: float, *, at_once: bool = False) -> None:
        """It has been said; say it again after the interval, or at once where nobody knows how long ago that was."""
        known = self._told.get(notification.key)
        if self._every is None or (
            at_once and known and known.notification.transition_id == notification.transition_id
        ):
            return
        ended = notification.status is Status.RESOLVED
        until = now + self._keep_ended if ended else None
        due_at = now if at_once else now + self._every
        # What it replaced has been told, too; only what it is now has to be kept alive.
        self._told[notification.key] = _Told(replace(notification, replaced=None), due_at, until)

    def take(self, now: float) -> Notification | None:
        """The notification to repeat now, which is then due an interval later."""
        told = min(self._told.values(), key=lambda told: told.due_at, default=None)
        if told is None or self._every is None or told.due_at > now:
            return None
        told.due_at = now + self._every
        if told.until is not None and told.due_at > told.until:
            del self._told[told.notification.key]
        return told.notification

    def due_at(self) -> float | None:
        """When the next repetition is due; None: there is none."""
        return min((told.due_at for told in self._told.values()), default=None)
