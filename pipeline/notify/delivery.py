"""Delivery to one receiver: what it wants, once and in order, tried again until it is taken."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from pipeline.notify.audience import Wanted
from pipeline.notify.backoff import Backoff
from pipeline.notify.clock import SYSTEM, Clock
from pipeline.notify.notification import Notification
from pipeline.notify.outbox import Letter, Outbox
from pipeline.notify.receipt import Receipt, Tally
from pipeline.notify.receiver import Deferred, Receiver, Rejected, Retryable
from pipeline.notify.repeats import Repeats

log = structlog.get_logger()
OnReceipt = Callable[[Receipt], None]


@dataclass(frozen=True, slots=True)
class Policy:
    """How one receiver is served. `give_up_after` and `repeat_every` are in seconds."""

    wanted: Wanted = field(default_factory=Wanted)
    backoff: Backoff = field(default_factory=Backoff)
    give_up_after: float = 86_400.0
    queue: int = 1_000
    repeat_every: float | None = None


@dataclass
class Delivery:
    """The stages between the notifier and one receiver. Not a thread: `work` does the next thing that is due."""

    name: str
    receiver: Receiver
    on_receipt: OnReceipt
    policy: Policy = field(default_factory=Policy)
    clock: Clock = SYSTEM
    chance: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._outbox = Outbox(self.policy.queue)
        self._repeats = Repeats(self.policy.repeat_every)
        self._tally = Tally(self.name)
        self._quiet_until = self.clock.monotonic()

    def offer(self, notification: Notification, *, delivered: bool = False) -> bool:
        """Take in a notification; whether there will be a receipt for it. Does not block.

        `delivered`: this receiver has it from an earlier life of the process, so that it is only to be repeated.
        """
        view = self.policy.wanted.view(notification, self.clock.wall())
        if view is None:
            return False
        now = self.clock.monotonic()
        with self._lock:
            if self._outbox.waits(view.transition_id):
                return True
            if self._outbox.delivered(view.transition_id):
                return False
            if delivered:
                self._repeats.remember(view, now, at_once=True)
                return False
            if self._outbox.full:
                self._tally = replace(self._tally, dropped=self._tally.dropped + 1)
                return False
            self._outbox.put(Letter(view, give_up_at=now + self.policy.give_up_after, due_at=now))
            return True

    @property
    def waiting(self) -> int:
        """How many notifications have not been delivered yet."""
        with self._lock:
            return len(self._outbox)

    def tally(self) -> Tally:
        """What has come of the deliveries."""
        with self._lock:
            return replace(self._tally, waiting=len(self._outbox))

    def work(self) -> float | None:
        """Make at most one attempt. Seconds until the next is due (0: now), None: nothing is left to do."""
        now = self.clock.monotonic()
        with self._lock:
            quiet = now < self._quiet_until
            letter = None if quiet else self._outbox.ready(now)
            repeat = None if quiet or letter else self._repeats.take(now)
        if letter is not None:
            self._deliver(letter)
        elif repeat is not None:
            self._repeat(repeat)
        return self._pause()

    def _pause(self) -> float | None:
        with self._lock:
            due = [at for at in (self._outbox.due_at(), self._repeats.due_at()) if at is not None]
            if not due:
                return None
            return max(0.0, min(due) - self.clock.monotonic(), self._quiet_until - self.clock.monotonic())

    def _deliver(self, letter: Letter) -> None:
        try:
            error = self._attempt(letter.notification)
        except Deferred as later:
            with self._lock:
                letter.due_at = self.clock.monotonic() + later.after
            return
        now = self.clock.monotonic()
        letter.attempts += 1
        if isinstance(error, Retryable) and now < letter.give_up_at:
            with self._lock:
                self._tally = replace(self._tally, retried=self._tally.retried + 1)
                pause = self.policy.backoff.pause(letter.attempts, self.chance)
                letter.due_at = min(now + pause, letter.give_up_at)
            return
        with self._lock:
            self._outbox.remove(letter, delivered=error is None)
            if error is None:
                self._repeats.remember(letter.notification, now)
                self._tally = replace(self._tally, sent=self._tally.sent + 1)
            else:
                self._tally = replace(self._tally, failed=self._tally.failed + 1)
        told = "" if error is None else str(error)
        if isinstance(error, Retryable):
            told = f"given up after {self.policy.give_up_after:.0f} s: {told}"
        if error is not None:
            log.error("notification_lost", receiver=self.name, transition=letter.notification.transition_id, why=told)
        self._tell(Receipt(letter.notification.transition_id, self.name, error is None, told, letter.attempts))

    def _repeat(self, notification: Notification) -> None:
        if self._attempt(notification) is None:
            with self._lock:
                self._tally = replace(self._tally, repeated=self._tally.repeated + 1)

    def _attempt(self, notification: Notification) -> Retryable | Rejected | None:
        """Send once. What went wrong, None: nothing. Keeps the state of the receiver, and tells when it changes.

        Raises Deferred.
        """
        error: Retryable | Rejected | None = None
        try:
            self.receiver.send(notification)
        except (Retryable, Rejected) as decided:
            error = decided
        except Deferred:
            raise
        except Exception as unknown:
            log.exception("receiver_failed_unexpectedly", receiver=self.name)
            error = Retryable(f"unexpected {type(unknown).__name__}")
        with self._lock:
            before, told = self._tally.error, "" if error is None else str(error)
            last_sent_at = self.clock.wall() if error is None else self._tally.last_sent_at
            self._tally = replace(self._tally, error=told, last_sent_at=last_sent_at)
            if isinstance(error, Retryable):
                asked = self.policy.backoff.asked(error.after)
                self._quiet_until = max(self._quiet_until, self.clock.monotonic() + asked)
        if told and not before:
            log.warning("receiver_is_failing", receiver=self.name, why=told)
        if before and not told:
            log.info("receiver_is_back", receiver=self.name)
        return error

    def _tell(self, receipt: Receipt) -> None:
        try:
            self.on_receipt(receipt)
        except Exception:
            log.exception("receipt_was_not_taken", receiver=self.name, transition=receipt.transition_id)
