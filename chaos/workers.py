"""The workers, each a process, and their supervisor, which starts again what dies by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import yaml

from chaos.proxy import Proxy
from deploy.local import keeper
from deploy.local.process import free_port
from pipeline.config import Settings

STOP_SECONDS = 30.0
BACK_OFF = 1.0
"""Seconds until the supervisor starts again what has died by itself."""


class Worker:
    """`trueup worker` with its own way to ClickHouse: a process while it runs, and one log of all its lives."""

    def __init__(self, name: str, settings: Settings, clickhouse: Proxy, folder: Path) -> None:
        self.name, self.clickhouse = name, clickhouse
        self._port = free_port()
        self._config, self.log = folder / f"{name}.yaml", folder / f"{name}.log"
        document = settings.model_dump(mode="json", exclude_none=True)
        document["clickhouse"]["url"] = f"http://127.0.0.1:{clickhouse.port}"
        document["http"]["port"] = self._port
        self._config.write_text(yaml.safe_dump(document))
        self.wanted = False
        """Whether it should run."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def exit_code(self) -> int | None:
        """Of its last life; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; it gets its partitions some seconds later."""
        command = [sys.executable, "-P", "-m", "pipeline.cli", "worker", "--config", str(self._config)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-I", "-S", keeper.__file__, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wanted = True

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self.wanted = False
        self.signal(signal.SIGKILL)
        self._gone()

    def stop(self) -> None:
        """Tell it to stop, and return when it has."""
        self.wanted = False
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        self._gone()

    def signal(self, number: signal.Signals) -> None:
        """To it and its keeper alike."""
        if self._process is not None and self.running:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def get(self, path: str) -> str:
        """What it answers. Raises OSError when it does not."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status != 200:
                raise OSError(text)
            return text
        finally:
            connection.close()

    @property
    def ready(self) -> bool:
        """Whether it has partitions, and ClickHouse takes its rows."""
        try:
            return bool(self.get("/readyz"))
        except OSError:
            return False

    def metric(self, name: str) -> float:
        """A metric without labels. Raises OSError when it does not answer."""
        return next(float(line.split()[1]) for line in self.get("/metrics").splitlines() if line.startswith(f"{name} "))

    def _gone(self) -> None:
        process = self._process
        if process is None:
            return
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            process.wait()
        if process.stdin is not None:
            process.stdin.close()


class Supervisor:
    """Starts again, as an orchestrator would, each wanted worker that has ended by itself, and counts why."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.deaths: Counter[int] = Counter()
        """Exit code -> how often a worker ended by itself with it."""
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def __enter__(self) -> Supervisor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop watching, then every worker."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for worker in self.present():
            worker.stop()

    def add(self, worker: Worker) -> None:
        """Start a worker and look after it."""
        worker.start()
        with self._lock:
            self.workers.append(worker)

    def remove(self, worker: Worker) -> None:
        """Stop a worker for good."""
        worker.stop()
        with self._lock:
            self.workers.remove(worker)

    def present(self) -> list[Worker]:
        """All of them, at this moment."""
        with self._lock:
            return list(self.workers)

    def choose(self, choice: int) -> Worker:
        """One of those that run, if any does."""
        workers = [worker for worker in self.present() if worker.running] or self.present()
        return workers[choice % len(workers)]

    def _watch(self) -> None:
        while not self._stopping.wait(BACK_OFF):
            for worker in self.present():
                if worker.wanted and not worker.running:
                    self.deaths[_code(worker.exit_code)] += 1
                    worker.start()


def _code(code: Any) -> int:
    return code if isinstance(code, int) else -1
