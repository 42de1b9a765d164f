"""Apache Kafka whose brokers tell the workers to come through proxies; everybody else speaks to them directly.

A client talks to the addresses that brokers advertise, so a proxy in front of the bootstrap address alone would
see next to nothing. Each broker gets a listener more, and advertises the proxy's port for it.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Self

from chaos.proxy import HOST, Network, Proxy
from deploy.local.kafka import Kafka
from deploy.local.process import StartError, free_port

REGISTRATION_SECONDS = 10
"""A broker that was killed and comes back just when its session ends may wait for its controller for ever (seen with
Kafka 4.3.1). It gives up after this time, and is started again."""
STARTS = 3
_LISTENER = "WORKER"


class Cluster:
    """`with Cluster(3, network) as cluster`: brokers are numbered from 1."""

    def __init__(self, brokers: int, network: Network) -> None:
        self._kafka = Kafka(brokers, settings={"initial.broker.registration.timeout.ms": REGISTRATION_SECONDS * 1_000})
        self.numbers = range(1, brokers + 1)
        self.proxies: dict[int, Proxy] = {}
        for number in self.numbers:
            port = free_port()
            self.proxies[number] = network.proxy(port)
            properties = self._kafka.directory / f"broker-{number}" / "server.properties"
            _listen(properties, port, self.proxies[number].port)

    @property
    def bootstrap(self) -> str:
        """For everybody but the workers."""
        return self._kafka.bootstrap

    @property
    def proxied(self) -> str:
        """The bootstrap addresses of the workers."""
        return ",".join(f"{HOST}:{proxy.port}" for proxy in self.proxies.values())

    def stop(self, number: int) -> None:
        """Tell a broker to stop; it hands its partitions over."""
        pid = self._kafka.pid(number)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGTERM)

    def kill(self, number: int) -> None:
        """End a broker at once (SIGKILL)."""
        self._kafka.kill(number)

    def restart(self, number: int) -> None:
        """Start a broker again, and return when it serves. Raises StartError."""
        for _ in range(STARTS - 1):
            with suppress(StartError):
                self._kafka.restart(number)
                return
        self._kafka.restart(number)

    def __enter__(self) -> Self:
        self._kafka.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._kafka.stop()


def _listen(properties: Path, port: int, advertised: int) -> None:
    """Add a listener on `port` that is advertised as another port."""
    text = properties.read_text()
    held = dict(line.split("=", 1) for line in text.splitlines())
    more = {
        "listeners": f"{_LISTENER}://{HOST}:{port}",
        "advertised.listeners": f"{_LISTENER}://{HOST}:{advertised}",
        "listener.security.protocol.map": f"{_LISTENER}:PLAINTEXT",
    }
    properties.write_text(text + "".join(f"{name}={held[name]},{value}\n" for name, value in more.items()))
