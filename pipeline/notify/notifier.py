"""Notifications to every receiver, each served by a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
from typing import Self

from pipeline.notify.delivery import Delivery
from pipeline.notify.notification import Notification
from pipeline.notify.receipt import Tally


class Notifier:
    """Gives notifications to its deliveries; one that hangs delays no other, and never the caller.

    Works from the moment it is made until `close`; as a context manager it closes itself.
    """

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        names = [delivery.name for delivery in deliveries]
        if len(set(names)) != len(names):
            raise ValueError(f"receivers need different names, not {names}")
        self._workers = [_Worker(delivery) for delivery in deliveries]

    def offer(self, notification: Notification, delivered_to: Collection[str] = frozenset()) -> frozenset[str]:
        """Hand over a notification; the names of the receivers that have yet to give a receipt for it.

        The others do not want it, have it already, or have too many waiting. `delivered_to` names the receivers that
        have it from an earlier life of the process. Never blocks; offering the same again is harmless.
        """
        return frozenset(
            worker.delivery.name
            for worker in self._workers
            if worker.offer(notification, delivered=worker.delivery.name in delivered_to)
        )

    def tallies(self) -> list[Tally]:
        """How each receiver is doing, in the order of the configuration."""
        return [worker.delivery.tally() for worker in self._workers]

    def close(self, timeout: float = 5.0) -> int:
        """Deliver what waits, for at most `timeout` seconds; how many notifications remain undelivered."""
        until = time.monotonic() + timeout
        for worker in self._workers:
            worker.finish()
        for worker in self._workers:
            worker.join(max(0.0, until - time.monotonic()))
        return sum(worker.delivery.waiting for worker in self._workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Worker:
    """The thread of one delivery."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self._wake = threading.Event()
        self._finishing = self._stopped = False
        self._thread = threading.Thread(target=self._run, name=f"notify-{delivery.name}", daemon=True)
        self._thread.start()

    def offer(self, notification: Notification, *, delivered: bool) -> bool:
        awaited = not self._finishing and self.delivery.offer(notification, delivered=delivered)
        self._wake.set()
        return awaited

    def finish(self) -> None:
        """End once nothing waits."""
        self._finishing = True
        self._wake.set()

    def join(self, timeout: float) -> None:
        """Wait for the end, then end after the attempt that is being made."""
        self._thread.join(timeout)
        self._stopped = True
        self._wake.set()

    def _run(self) -> None:
        try:
            while not self._done():
                pause = self.delivery.work()
                if not self._done():
                    self._wake.wait(pause)
                    self._wake.clear()
        finally:
            self.delivery.receiver.close()

    def _done(self) -> bool:
        return self._stopped or (self._finishing and not self.delivery.waiting)
