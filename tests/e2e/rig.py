"""A worker process of one's own: on a broker and a ClickHouse that a test may harm, with its log and its health."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import yaml

from chaos.proxy import proxied
from deploy.kafka import distribution
from deploy.local import keeper
from deploy.local.broker import Broker
from deploy.local.clickhouse import ClickHouse
from deploy.local.kafka import Kafka
from deploy.local.parts import Parts
from deploy.local.process import free_port
from pipeline import stack
from pipeline.config import Settings
from pipeline.connections import address_of
from pipeline.kafka import ensure_topics
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import migrate

Changes = Mapping[str, Mapping[str, Any]]


def eventually(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """What a condition gives once it is true. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not in {seconds:g} s: {what}"
        time.sleep(0.05)
    return found


BROKERS = ("local", "apache")
"""The broker of the local stack, and Apache Kafka. A test that asks for the fixture `broker` runs on each."""
LARGEST_MESSAGE = 64 * 1024 * 1024


def start_broker(name: str, port: int = 0) -> Broker | Kafka:
    """A broker of BROKERS, for `with`. Skips the test where the machine has no Apache Kafka.

    It takes messages of any size, as the local one does: what is too large is for the worker to say.
    """
    if name == "local":
        return Broker(port)
    if reason := distribution.missing():
        pytest.skip(reason)
    return Kafka(port=port, message_max_bytes=LARGEST_MESSAGE, heap_mb=512)


@contextmanager
def stacks_on(broker: str) -> Iterator[None]:
    """A `pipeline.stack.Stack` that starts in here has a broker of BROKERS."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "Broker", partial(start_broker, broker))
        yield


class WorkerProcess:
    """`trueup worker` with some settings. It ends with this process, however this ends."""

    def __init__(self, settings: Mapping[str, Any], folder: Path, environment: Mapping[str, str]) -> None:
        self.port = free_port()
        config = folder / f"worker-{self.port}.yaml"
        config.write_text(yaml.safe_dump({**settings, "http": {"port": self.port}}))
        self._log = folder / f"worker-{self.port}.log"
        command = [sys.executable, "-P", "-m", "pipeline.cli", "worker", "--config", str(config)]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", keeper.__file__, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the worker itself."""
        keeper = self._process.pid
        return int(Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()[0])

    @property
    def memory(self) -> int:
        """Bytes that it holds in memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def text(self) -> str:
        """Everything it has written."""
        return self._log.read_text()

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log that begin so."""
        lines = [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"].startswith(event)]

    def ready(self) -> dict[str, Any]:
        """What /readyz says; nothing while it does not listen."""
        try:
            return dict(json.loads(self.get("/readyz")))
        except OSError:
            return {}

    def metric(self, name: str) -> float:
        """A metric without labels."""
        lines = self.get("/metrics").decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def get(self, path: str) -> bytes:
        """What it answers."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def until_ready(self) -> None:
        """Return when it has partitions and ClickHouse takes its rows."""
        eventually(lambda: self.ready().get("ready") or not self.running, f"the worker is ready\n{self.text[-2000:]}")
        assert self.running, self.text[-2000:]

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = 60) -> int:
        """Its exit code, once it has ended."""
        return self._process.wait(seconds)

    def stop(self) -> None:
        """End it at once."""
        if self.running:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()


class Rig(Parts):
    """A broker, a ClickHouse behind a proxy, and the workers that a test starts.

    What `settings`, `client` and `alive` say is for the test itself: it is connected directly.
    """

    def __init__(
        self,
        folder: Path,
        changes: Changes | None = None,
        *,
        broker: str = "local",
        clickhouse: ClickHouse | None = None,
    ) -> None:
        """`changes`: settings by section. `broker`: one of BROKERS. `clickhouse`: one that is not started yet."""
        self._folder, self._changes, self._broker = folder, changes or {}, broker
        super().__init__()
        self.clickhouse = clickhouse or ClickHouse()
        self.workers: list[WorkerProcess] = []

    def _start(self) -> None:
        server = start_broker(self._broker)
        self._exit.enter_context(server)
        kafka = {"bootstrap": server.bootstrap}
        self._exit.enter_context(self.clickhouse)
        self.proxy = self._exit.enter_context(proxied(self.clickhouse.port))
        sections: dict[str, dict[str, Any]] = {
            "kafka": {"partitions": 2, "session_timeout": 6, **kafka},
            "clickhouse": {"url": self.clickhouse.url},
            "worker": {"commit": 0.25, "clock": 1},
        }
        for name, values in self._changes.items():
            sections[name] = {**sections.get(name, {}), **values}
        self._sections = sections
        self.settings = Settings(**sections)  # type: ignore[arg-type]
        migrate(address_of(self.settings), retention_days=0)
        ensure_topics(self.settings)
        self.client = connect(address_of(self.settings))
        self._exit.callback(self.stop_workers)

    @property
    def alive(self) -> bool:
        """Whether the newest worker runs."""
        return bool(self.workers) and self.workers[-1].running

    def last_words(self) -> str:
        """What the newest worker wrote."""
        return self.workers[-1].text if self.workers else ""

    def start_worker(
        self, changes: Changes | None = None, environment: Mapping[str, str] | None = None
    ) -> WorkerProcess:
        """A worker that reaches ClickHouse through the proxy."""
        sections = dict(self._sections)
        sections["clickhouse"] = {**sections["clickhouse"], "url": f"http://127.0.0.1:{self.proxy.port}"}
        for name, values in (changes or {}).items():
            sections[name] = {**sections.get(name, {}), **values}
        worker = WorkerProcess(sections, self._folder, environment or {})
        self.workers.append(worker)
        return worker

    def stop_workers(self) -> None:
        """End every worker."""
        while self.workers:
            self.workers.pop().stop()
