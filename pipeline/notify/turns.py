"""Which of several alerters tells a receiver that cannot see that it was told the same before, as Slack.

Before it sends, an alerter claims the notification in the store, waits until a claim that was made at the same time
must be there, too, and looks: of several the one of the replica with the first name stands. The others ask again now
and then. They go on once it is delivered, or once the claim has not been renewed for a while. The store cannot
compare and set, so this rests on time: two messages come of one notification only if an alerter stops, or is stalled
for longer than `lease`, between the sending and writing down that it was sent; or if the store is away.

Only durations are compared, each on one replica's own clock: clocks that differ do no harm.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from pipeline.notify.clock import SYSTEM, Clock
from pipeline.notify.notification import Notification
from pipeline.notify.receiver import Deferred, Receiver
from pipeline.section import ConfigError
from sinks.objectives import ClaimRow, NotificationRow, ObjectiveStore
from sinks.port import Refused, Transient

log = structlog.get_logger()
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Pace:
    """In seconds. A claim counts after `settle`, and for `lease` from when it was last written or first seen."""

    settle: float = 2.0
    lease: float = 120.0
    ask_again: float = 5.0


@dataclass(slots=True)
class _Held:
    """Our claim: since when, and when it was written last."""

    since: float
    written: float


class Turns:
    """The turns of one alerter. Each receiver's thread may ask about its own notifications."""

    def __init__(self, store: ObjectiveStore, replica: str, clock: Clock = SYSTEM, pace: Pace = Pace()) -> None:
        self._store, self._replica, self._clock, self._pace = store, replica, clock, pace
        self._held: dict[Key, _Held] = {}
        self._seen: dict[Key, dict[tuple[str, int], float]] = {}

    def mine(self, transition: str, receiver: str) -> bool:
        """Whether to send it now; no: the receiver has it. While the store is away everybody sends: twice, not never.

        Raises Deferred: not yet.
        """
        try:
            return self._mine((transition, receiver))
        except (Transient, Refused, ConfigError) as error:
            log.warning("sent without a claim", receiver=receiver, transition=transition, error=str(error))
            return True

    def told(self, transition: str, receiver: str) -> None:
        """Write down at once that the receiver has it. If that fails the receipt will say so, a little later."""
        self._forget((transition, receiver))
        try:
            self._store.append([NotificationRow(transition, receiver, 1, self._clock.wall())])
        except (Transient, Refused, ConfigError) as error:
            log.warning("storing a delivery failed", receiver=receiver, transition=transition, error=str(error))

    def _mine(self, key: Key) -> bool:
        began, held = self._clock.monotonic(), self._held.get(key)
        transition, receiver = key
        if any(row.receiver == receiver and row.delivered for row in self._store.notifications({transition})):
            self._forget(key)
            return False
        rivals = self._rivals(key, began)
        if held is not None and began - held.written >= self._pace.lease:  # others may think that we are gone
            del self._held[key]
            held = None
        if held is None:
            if rivals:
                raise Deferred(self._pace.ask_again)
            self._claim(key, began)
            raise Deferred(self._pace.settle)
        if began - held.since < self._pace.settle:
            raise Deferred(held.since + self._pace.settle - began)
        if any(name < self._replica for name in rivals):
            del self._held[key]
            raise Deferred(self._pace.ask_again)
        if began - held.written >= self._pace.lease / 4:
            self._claim(key, began)
        return True

    def _claim(self, key: Key, began: float) -> None:
        """Write it. If that took long since we looked, others may have looked in vain meanwhile: it does not count."""
        self._store.append([ClaimRow(*key, self._replica, self._clock.wall())])
        now = self._clock.monotonic()
        if now - began >= self._pace.settle:
            self._held.pop(key, None)
            raise Deferred(self._pace.ask_again)
        held = self._held.setdefault(key, _Held(now, began))
        held.written = began

    def _rivals(self, key: Key, now: float) -> set[str]:
        """The other replicas whose claim may still stand."""
        before = self._seen.get(key, {})
        claims = [(row.replica, row.at) for row in self._store.claims(*key) if row.replica != self._replica]
        self._seen[key] = {claim: before.get(claim, now) for claim in claims}
        return {name for (name, _), first in self._seen[key].items() if now - first < self._pace.lease}

    def _forget(self, key: Key) -> None:
        self._held.pop(key, None)
        self._seen.pop(key, None)


class Once:
    """A receiver that is sent what no other alerter sends it."""

    def __init__(self, receiver: Receiver, turns: Turns, name: str) -> None:
        self._receiver, self._turns, self._name = receiver, turns, name

    def send(self, notification: Notification) -> None:
        """Send it if it is ours to send. Raises Deferred, Retryable or Rejected."""
        if self._turns.mine(notification.transition_id, self._name):
            self._receiver.send(notification)
            self._turns.told(notification.transition_id, self._name)

    def close(self) -> None:
        """Close the receiver."""
        self._receiver.close()
