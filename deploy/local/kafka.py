"""Apache Kafka on loopback, without a container: one broker, or three that can be killed one at a time.

`python -m deploy.local.kafka` starts it, prints the bootstrap address and runs until Ctrl-C.
"""

import argparse
import base64
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.kafka import credentials as kafka_credentials
from deploy.kafka.distribution import Distribution, fetch, locate
from deploy.kafka.properties import HOST, Node, broker_properties
from deploy.local.process import ChildProcess, free_port, require_free_port

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


class Kafka:
    """A cluster of one or three brokers, each of them controller too (KRaft), numbered from 1.

    `data` keeps the log across runs; without it everything is removed by `stop`. `port` is the first
    broker's, the next ones follow; 0 takes free ports. `secure` puts clients behind TLS and SCRAM.
    `settings` are broker settings by Kafka's names. Raises KafkaUnavailableError, with the fix, where
    Java or the jars are missing.
    """

    def __init__(
        self,
        brokers: int = 1,
        data: Path | None = None,
        *,
        port: int = 0,
        secure: bool = False,
        message_max_bytes: int = 8 * 1024 * 1024,
        heap_mb: int = 192,
        settings: Mapping[str, str | int] | None = None,
        jvm: Sequence[str] = (),
    ) -> None:
        if brokers not in (1, 3):
            raise ValueError(f"a cluster has 1 or 3 brokers, not {brokers}: two controllers have no majority")
        if secure and data is not None:
            raise ValueError("a secure cluster makes its user and certificate anew: leave `data` out")
        self._distribution = locate()
        self._cleanup = ExitStack()
        self.directory = data or Path(self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="kafka-")))
        self._kept = data is not None
        self.credentials = kafka_credentials.create(self.directory, self._distribution.java) if secure else None
        nodes = _nodes(brokers, port, self.directory)
        limits = {"message.max.bytes": message_max_bytes, "replica.fetch.max.bytes": message_max_bytes}
        flags = (f"-Xmx{heap_mb}m", *jvm)
        self._brokers: dict[int, _Broker] = {}
        for node in nodes:
            properties = broker_properties(node, nodes, {**limits, **(settings or {})}, self.credentials)
            self._brokers[node.id] = _Broker(node, properties, self._distribution, flags)

    @property
    def bootstrap(self) -> str:
        """host:port of every broker, comma between them."""
        return ",".join(broker.node.bootstrap for broker in self._brokers.values())

    @property
    def client_settings(self) -> dict[str, str]:
        """Keyword arguments for the clients of kafka-python: where, and how to log in."""
        security = {} if self.credentials is None else self.credentials.client_settings()
        return {"bootstrap_servers": self.bootstrap, **security}

    def start(self) -> Self:
        """Format what is new, start every broker, return when all of them serve."""
        try:
            self._format()
            for broker in self._brokers.values():
                broker.launch()
            for broker in self._brokers.values():
                broker.wait_until_serving()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop every broker; gracefully where the data is kept, at once where it is thrown away."""
        for broker in self._brokers.values():
            broker.signal(signal.SIGTERM if self._kept else signal.SIGKILL)
            broker.signal(signal.SIGCONT)
        for broker in self._brokers.values():
            broker.wait_until_gone()
        self._cleanup.close()

    def kill(self, broker: int) -> None:
        """End one broker the way a power cut does (SIGKILL)."""
        self._brokers[broker].signal(signal.SIGKILL)
        self._brokers[broker].wait_until_gone()

    def pause(self, broker: int) -> None:
        """Stop one broker from running on; its connections stay open (SIGSTOP)."""
        self._brokers[broker].signal(signal.SIGSTOP)

    def resume(self, broker: int) -> None:
        """Let a paused broker run on."""
        self._brokers[broker].signal(signal.SIGCONT)

    def restart(self, broker: int) -> None:
        """Start one broker again on its port and its data, after stopping it gracefully if it runs."""
        self._brokers[broker].signal(signal.SIGTERM)
        self._brokers[broker].signal(signal.SIGCONT)
        self._brokers[broker].wait_until_gone()
        self._brokers[broker].launch()
        self._brokers[broker].wait_until_serving()

    def pid(self, broker: int = 1) -> int | None:
        """The process group of one broker, None when it is not running."""
        return self._brokers[broker].pid

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _format(self) -> None:
        new = [broker for broker in self._brokers.values() if not broker.is_formatted]
        cluster_id = base64.urlsafe_b64encode(b"\x00" + secrets.token_bytes(15)).decode().rstrip("=")
        user = () if self.credentials is None else ("--add-scram", self.credentials.scram_argument())
        running = [(broker, broker.format(cluster_id, user)) for broker in new]
        for broker, process in running:
            output, _ = process.communicate(timeout=_START_SECONDS)
            if process.returncode != 0:
                raise RuntimeError(f"kafka-storage could not format {broker.node.directory}: {output}")


class _Broker:
    """One broker: its folder, and its process while it runs."""

    def __init__(self, node: Node, properties: str, distribution: Distribution, jvm: Sequence[str]) -> None:
        self.node = node
        self._distribution = distribution
        self._jvm = tuple(jvm)
        self._process: ChildProcess | None = None
        self._properties = node.directory / "server.properties"
        node.directory.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(properties)

    @property
    def is_formatted(self) -> bool:
        return (self.node.directory / "data" / "meta.properties").exists()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.running else None

    def format(self, cluster_id: str, user: Sequence[str]) -> subprocess.Popen[str]:
        arguments = ("format", "--cluster-id", cluster_id, "--config", str(self._properties), *user)
        command = self._distribution.command("kafka.tools.StorageTool", *arguments)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603

    def launch(self) -> None:
        name, port = f"Kafka broker {self.node.id}", self.node.client_port
        require_free_port(name, HOST, port, "choose another with --port, or end that process")
        command = self._distribution.command("kafka.Kafka", str(self._properties), jvm=self._jvm)
        self._process = ChildProcess(name, command)

    def wait_until_serving(self) -> None:
        if self._process:
            self._process.wait_for_line("Kafka Server started", _START_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """To the JVM and the keeper that watches over it alike, which are one process group."""
        if self.pid is not None:
            os.killpg(self.pid, number)

    def wait_until_gone(self) -> None:
        if self._process:
            self._process.stop(_STOP_SECONDS)


def prepare() -> Distribution:
    """Download Apache Kafka if need be, and let the JVM keep its classes ready: a start then takes half as long."""
    distribution = fetch()
    archive = distribution.class_archive
    if not archive.exists():
        with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
            written = Path(scratch) / archive.name
            # The JVM writes the archive when it ends by itself, which a cluster that keeps its data does.
            Kafka(data=Path(scratch) / "data", jvm=[f"-XX:ArchiveClassesAtExit={written}"]).start().stop()
            shutil.move(written, archive)
    return distribution


def _nodes(brokers: int, port: int, directory: Path) -> list[Node]:
    return [
        Node(
            id=index + 1,
            client_port=port + index if port else free_port(HOST),
            broker_port=free_port(HOST),
            controller_port=free_port(HOST),
            directory=directory / f"broker-{index + 1}",
        )
        for index in range(brokers)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 when stopped by a signal, 3 when Kafka cannot run here."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.kafka", description=__doc__)
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--port", type=int, default=9092, help="of the first broker; the next ones follow")
    parser.add_argument("--data", type=Path, help="keep the log in this folder; without it, it is removed")
    parser.add_argument("--fetch-only", action="store_true", help="download Apache Kafka, prepare it, and stop")
    options = parser.parse_args(arguments)
    try:
        prepare()
        if not options.fetch_only:
            _run_until_signalled(Kafka(options.brokers, options.data, port=options.port))
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


def _run_until_signalled(kafka: Kafka) -> None:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with kafka:
        sys.stdout.write(f"{kafka.bootstrap}\n")
        sys.stdout.flush()
        stopped.wait()


if __name__ == "__main__":
    sys.exit(main())
