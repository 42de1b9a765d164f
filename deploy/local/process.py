"""Child processes of the local stack, which end with their parent, however it ends."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from random import SystemRandom
from typing import NoReturn

_KEEPER = Path(__file__).with_name("keeper.py")
_TAIL_LINES = 40
PORTS = range(10_000, 32_000)
"""Where a server may listen: below the ports that systems give to outgoing connections, by default from 32768 on.

Of those, any connection may take the one that a server is about to have, or has when it is back.
"""
_turn = count(SystemRandom().randrange(len(PORTS)))


class StartError(RuntimeError):
    """A server of the local stack did not start. The text says what, why and the fix."""


class PortTaken(StartError):
    """Nothing can listen there: another process does, or the host has no such address."""


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nothing has now, and that this function gives once; another process may still take it first.

    It is one of PORTS. StartError if none of them is free.
    """
    for port in (PORTS[next(_turn) % len(PORTS)] for _ in PORTS):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((host, port))
            return port
    raise StartError(f"no port of {host} is free from {PORTS[0]} to {PORTS[-1]}. Fix: end what has them.")


def require_free_port(server: str, host: str, port: int, fix: str) -> None:
    """Raise PortTaken if `server` could not listen on `host` and `port` now; port 0 is always free.

    `fix` says what to do about it, for example "choose another with --port".
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT does not count
        try:
            probe.bind((host, port))
        except OSError as error:
            why = "another process has that port" if error.errno == errno.EADDRINUSE else error.strerror
            raise PortTaken(f"{server} cannot listen on {host}:{port}: {why}. Fix: {fix}.") from error


class ChildProcess:
    """A program in a process group of its own, run by a keeper that ends it when this process ends.

    Its output (stdout and stderr together) is drained as it comes; the last lines are kept for errors.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._lines: deque[str] = deque(maxlen=_TAIL_LINES)
        self._output = threading.Condition()
        self._output_ended = False
        # The keeper's stdin is a pipe from this process: it closes when this process ends.
        self._process = subprocess.Popen(  # noqa: S603  (no shell, and the callers' own programs)
            [sys.executable, "-I", "-S", str(_KEEPER), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            text=True,
            errors="replace",
        )
        self._drain = threading.Thread(target=self._read_output, name=f"{name}-output", daemon=True)
        self._drain.start()

    @property
    def pid(self) -> int:
        """Process id of the keeper, which leads the process group."""
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def tail(self) -> str:
        """The last lines that the program wrote."""
        with self._output:
            return "\n".join(self._lines)

    def wait_for_line(self, pattern: str, seconds: float) -> re.Match[str]:
        """The match of `pattern` in the first line that has one; StartError if it does not come in time."""
        regex = re.compile(pattern)

        def found() -> re.Match[str] | None:
            return next((match for line in self._lines if (match := regex.search(line))), None)

        with self._output:
            self._output.wait_for(lambda: found() or self._output_ended, seconds)
            match = found()
        if match is None:
            self._fail_to_start(seconds)
        return match

    def wait_until(self, ready: Callable[[], bool], seconds: float, interval: float = 0.02) -> None:
        """Poll `ready` until it is true; StartError if the program ends or `seconds` pass first."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running or time.monotonic() > deadline:
                self._fail_to_start(seconds)
            time.sleep(interval)

    def stop(self, seconds: float = 20.0) -> None:
        """End the program with SIGTERM, and with SIGKILL after `seconds`. Harmless if it has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        self._drain.join()

    def _fail_to_start(self, seconds: float) -> NoReturn:
        if self._output_ended:  # by its end, which may not be noticed yet
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        why = f"did not get ready in {seconds:g} s" if self.running else f"ended (exit code {self._process.returncode})"
        self.stop(5)
        raise StartError(f"{self.name} {why}. Its last output:\n{self.tail() or '(none)'}")

    def _read_output(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  (opened with PIPE above)
        with self._process.stdout as stdout:
            for line in stdout:
                with self._output:
                    self._lines.append(line.rstrip("\n"))
                    self._output.notify_all()
        with self._output:
            self._output_ended = True
            self._output.notify_all()
