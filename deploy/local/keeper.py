"""Runs one program and ends it when the process that started this one ends.

`python keeper.py PROGRAM ARGUMENT...`: standard input must be a pipe from the parent. The kernel closes
that pipe however the parent ends, SIGKILL included, on every operating system. Standard library only:
it is run without the virtual environment, so that it starts in a few milliseconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from types import FrameType

GRACE_SECONDS = 20.0
"""How long the program has to end after SIGTERM, before SIGKILL."""


def main(command: list[str]) -> int:
    """Run `command` until it ends; return its exit code."""
    keeper = _Keeper(command)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, keeper.on_signal)
    return keeper.run()


class _Keeper:
    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> int:
        self._child = child = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)  # noqa: S603
        if self._stopping:  # the signal came before there was a child to end
            child.terminate()
        threading.Thread(target=self._end_with_parent, args=(child,), daemon=True).start()
        return child.wait()

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        if self._child is not None:
            self._child.terminate()

    def _end_with_parent(self, child: subprocess.Popen[bytes]) -> None:
        while os.read(0, 1024):  # not sys.stdin: a thread that blocks in it delays the exit
            pass
        child.terminate()
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
