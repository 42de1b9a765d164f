"""What waits for one receiver: each transition once, those of one alert in order."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

from pipeline.notify.notification import Notification
from pipeline.slo.windows import Severity

_REMEMBERED = 10_000


@dataclass(slots=True, eq=False)
class Letter:
    """A notification that waits. Times are the monotonic clock's seconds."""

    notification: Notification
    give_up_at: float
    due_at: float
    attempts: int = 0


class Outbox:
    """At most `capacity` letters. Not thread-safe: its delivery locks.

    Only the oldest letter of an alert can be ready, so that nobody hears of the end before the beginning. A letter
    that fails holds up those of its own alert alone.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._letters: dict[str, deque[Letter]] = {}
        self._waiting: set[str] = set()
        self._delivered: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        return len(self) >= self._capacity

    def waits(self, transition_id: str) -> bool:
        """Whether it is in here."""
        return transition_id in self._waiting

    def delivered(self, transition_id: str) -> bool:
        """Whether it was here and was delivered; the last few thousand are remembered."""
        return transition_id in self._delivered

    def put(self, letter: Letter) -> None:
        """Add a letter whose transition is not in here; the caller has asked whether there is room."""
        self._letters.setdefault(letter.notification.key, deque()).append(letter)
        self._waiting.add(letter.notification.transition_id)

    def ready(self, now: float) -> Letter | None:
        """The letter to try now: a page first, then the one that was tried least, then the one that is due longest."""
        heads = [letters[0] for letters in self._letters.values() if letters[0].due_at <= now]
        return min(heads, key=_urgency, default=None)

    def due_at(self) -> float | None:
        """When the next letter is ready; None: there is none."""
        return min((letters[0].due_at for letters in self._letters.values()), default=None)

    def remove(self, letter: Letter, *, delivered: bool) -> None:
        """Take out the letter that was tried."""
        letters = self._letters[letter.notification.key]
        letters.remove(letter)
        if not letters:
            del self._letters[letter.notification.key]
        self._waiting.discard(letter.notification.transition_id)
        if delivered:
            self._delivered[letter.notification.transition_id] = None
            if len(self._delivered) > _REMEMBERED:
                self._delivered.popitem(last=False)


def _urgency(letter: Letter) -> tuple[bool, int, float]:
    return letter.notification.severity is not Severity.PAGE, letter.attempts, letter.due_at
