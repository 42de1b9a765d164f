"""From the stored history to notifications: what is told comes from what is stored, never from memory alone.

A transition is written before anybody is told. To whom it was offered and who has it is written, too; so after a stop
at any moment what nobody acknowledged is offered again, and what somebody has is not.
"""

from __future__ import annotations

import queue
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.notify.notification import Notification
from pipeline.notify.receipt import Receipt, Tally
from pipeline.slo.alert_state import Change
from schemas.units import MINUTE_US
from sinks.objectives import NotificationRow, ObjectiveStore, TransitionRow

OFFERED = "offered"
"""Detail of a notification that has not been heard of yet."""


class Offers(Protocol):
    """What takes notifications: see `pipeline.notify.notifier.Notifier`."""

    def offer(self, notification: Notification, delivered_to: Collection[str] = frozenset()) -> frozenset[str]:
        """The receivers that have yet to give a receipt. Never blocks."""

    def tallies(self) -> Sequence[Tally]:
        """How each receiver is doing."""


@dataclass(frozen=True, slots=True)
class Patience:
    """In minutes: how old what is told may be, and the pause before what a receiver refused is offered again."""

    repeat_for: int = 1_440
    retry_after: int = 10


class Delivery:
    """Offers transitions until each receiver has them. One thread calls `run`; any thread may call `receipt`."""

    def __init__(
        self,
        store: ObjectiveStore,
        offers: Offers,
        compose: Callable[[TransitionRow], Notification],
        patience: Patience = Patience(),
    ) -> None:
        self._store, self._offers, self._compose, self._patience = store, offers, compose, patience
        self._receipts: queue.SimpleQueue[Receipt] = queue.SimpleQueue()
        self._settled: set[str] = set()
        self._awaited: dict[str, set[str]] = {}
        self._again: dict[str, int] = {}
        self._resumed = False

    def receipt(self, receipt: Receipt) -> None:
        """What became of a notification. Returns at once."""
        self._receipts.put(receipt)

    def run(self, now: int) -> int:
        """Store the receipts, offer what nobody has; how many transitions still wait. Raises Transient: call again."""
        self.store_receipts(now)
        history = self._history(now)
        newest = {line.key: line.id for line in history}
        lines = [line for line in history if line.id not in self._settled and line.id not in self._awaited]
        told = _told(self._store.notifications({line.id for line in lines}))
        for line in lines:
            if self._wanted(line, told.get(line.id, {}), now, newest=newest[line.key] == line.id):
                self._offer(line, told.get(line.id, {}), now)
        self._resumed = True
        return len(self._awaited) + len(self._again)

    def _history(self, now: int) -> list[TransitionRow]:
        """What may have to be told, the oldest first. After a start also of old alerts that still fire."""
        since = now - self._patience.repeat_for
        lines = self._store.transitions(since=since, told=True)
        last = [] if self._resumed else self._store.last_told()
        old = [line for line in last if line.at < since and line.change != Change.RESOLVED]
        return [*reversed(old), *reversed(lines)]

    def _wanted(self, line: TransitionRow, told: dict[str, bool], now: int, *, newest: bool) -> bool:
        """Whether to offer a transition. `told`: receiver -> whether it has it."""
        again = self._again.get(line.id)
        if again is not None:
            if not newest:  # it is no longer so, and people know better
                self._settle(line.id)
            return newest and now >= again
        if not told or not all(told.values()):
            return True
        if newest and not self._resumed and line.change != Change.RESOLVED:
            return True  # some receivers let go of what is not repeated
        self._settle(line.id)
        return False

    def _offer(self, line: TransitionRow, told: dict[str, bool], now: int) -> None:
        have = frozenset(receiver for receiver, delivered in told.items() if delivered)
        dropped = self._dropped
        awaited = self._offers.offer(self._compose(line), have)
        self._again.pop(line.id, None)
        if self._dropped > dropped:  # too many wait for some receiver
            self._again[line.id] = now + self._patience.retry_after
        if awaited:
            self._awaited[line.id] = set(awaited)
            fresh = [receiver for receiver in sorted(awaited) if receiver not in told]
            self._store.append([NotificationRow(line.id, receiver, 0, now * MINUTE_US, OFFERED) for receiver in fresh])
        elif line.id not in self._again:
            self._settle(line.id)

    def _settle(self, transition: str) -> None:
        self._settled.add(transition)
        self._again.pop(transition, None)

    @property
    def _dropped(self) -> int:
        return sum(tally.dropped for tally in self._offers.tallies())

    def store_receipts(self, now: int) -> None:
        """Write down what receivers said. What cannot be written is kept, and written by the next call."""
        receipts = []
        while not self._receipts.empty():
            receipts.append(self._receipts.get())
        rows = [
            NotificationRow(each.transition_id, each.receiver, int(each.ok), now * MINUTE_US, each.error)
            for each in receipts
        ]
        try:
            self._store.append(rows)
        except Exception:
            for each in receipts:
                self._receipts.put(each)
            raise
        for each in receipts:
            self._heard(each, now)

    def _heard(self, receipt: Receipt, now: int) -> None:
        waiting = self._awaited.get(receipt.transition_id)
        if waiting is None:
            return
        waiting.discard(receipt.receiver)
        if not receipt.ok:
            self._again[receipt.transition_id] = now + self._patience.retry_after
        if not waiting:
            del self._awaited[receipt.transition_id]
            if receipt.transition_id not in self._again:
                self._settle(receipt.transition_id)


def _told(rows: Iterable[NotificationRow]) -> dict[str, dict[str, bool]]:
    """By transition, receiver -> whether it has it."""
    told: dict[str, dict[str, bool]] = defaultdict(dict)
    for row in rows:
        told[row.transition][row.receiver] = bool(row.delivered) or told[row.transition].get(row.receiver, False)
    return told
