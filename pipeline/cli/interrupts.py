"""Ctrl-C and SIGTERM of a command that goes on until it is told to stop."""

from __future__ import annotations

import signal
import threading

INTERRUPTED = 130
"""Exit code of a command that was interrupted before it was at work."""


class Interrupts:
    """The first signal sets `stop` once `begun` is set. Before that, and the second time, it is KeyboardInterrupt."""

    def __init__(self) -> None:
        self.stop, self.begun = threading.Event(), threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._interrupted)

    def _interrupted(self, *_: object) -> None:
        if self.stop.is_set() or not self.begun.is_set():
            raise KeyboardInterrupt
        self.stop.set()
