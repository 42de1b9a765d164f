"""What became of a notification at one receiver, and how a receiver is doing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Receipt(NamedTuple):
    """The end of one delivery: taken by the receiver, or given up and why."""

    transition_id: str
    receiver: str
    ok: bool
    error: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What one receiver's deliveries have come to since the process began.

    Notifications that were `sent`, that `failed` for good, and that were `dropped` because too many waited;
    attempts that were `retried`; firing alerts `repeated` to keep them alive; notifications `waiting` now. `error` is
    of the last attempt, empty if it went well; `last_sent_at` is in microseconds since the Unix epoch.
    """

    receiver: str
    sent: int = 0
    failed: int = 0
    retried: int = 0
    dropped: int = 0
    repeated: int = 0
    waiting: int = 0
    error: str = ""
    last_sent_at: int | None = None
