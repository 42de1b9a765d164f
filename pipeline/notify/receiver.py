"""The contract of a receiver, and what its errors decide.

Exception
├── Retryable   try again later: it is away, slow, or asks to wait
├── Deferred    ask again later: another alerter may be sending it
└── Rejected    never try this notification again: it will not be taken
"""

from __future__ import annotations

from typing import Protocol

from pipeline.notify.notification import Notification


class Retryable(Exception):
    """Not taken, or not known to be taken. `after` is for how many seconds the receiver asks to be left alone."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Deferred(Exception):
    """Not sent, and nothing is wrong: another alerter may be sending it. Worth asking again `after` seconds."""

    def __init__(self, after: float) -> None:
        super().__init__(f"ask again in {after:g} s")
        self.after = after


class Rejected(Exception):
    """Not taken, and it will not be taken however often it is sent."""


class Receiver(Protocol):
    """Where notifications go. Its methods are called by one thread."""

    def send(self, notification: Notification) -> None:
        """Hand over one notification, within the receiver's timeout.

        Returns when the receiver has taken it. Sending it again must be harmless there, as far as the receiver's
        protocol allows. Messages of errors hold no secrets. Raises Retryable, Deferred or Rejected.
        """

    def close(self) -> None:
        """Let go of connections."""
