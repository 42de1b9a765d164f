"""The command as its user meets it in a terminal: what it writes, Ctrl-C, and what it leaves behind."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 180.0
"""Seconds after which something that should have happened has not."""


def environment(folder: Path) -> dict[str, str]:
    """The user's, without settings of Trueup or of OpenTelemetry, but with one that must not matter."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRUEUP_", "OTEL_"))}
    return kept | {"TMPDIR": str(folder / "temporary"), "OTEL_SDK_DISABLED": "true", "TERM": "xterm-256color"}


def leftovers(folder: Path) -> list[str]:
    """Temporary files, beside the empty folders that Faust makes for all workers of the machine."""
    return [path.name for path in (folder / "temporary").iterdir() if path.name != "trueup-faust"]


class Terminal:
    """`trueup` in a terminal of 100 columns and 30 lines; `folder` has one for temporary files."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", *arguments],
            cwd=folder,
            env=environment(folder) | variables,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        os.set_blocking(self._master, False)
        self.written = ""

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Read what is written until the condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.written[-4_000:]
            try:
                self.written += os.read(self._master, 65_536).decode(errors="replace")
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:  # the last one who had it open has closed it
                return

    def wait(self) -> int:
        """Read to the end; the exit code."""
        self.wait_for(lambda: False)
        return self.process.wait(PATIENCE)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def children(self) -> set[int]:
        """The processes below it."""
        found, new = set[int](), {self.process.pid}
        while new:
            new = {child for pid in new for child in _children_of(pid)} - found
            found |= new
        return found

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


def _children_of(pid: int) -> list[int]:
    try:
        return [
            int(child)
            for thread in Path(f"/proc/{pid}/task").iterdir()
            for child in (thread / "children").read_text().split()
        ]
    except FileNotFoundError:
        return []


def exists(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z"
    except FileNotFoundError:
        return False
