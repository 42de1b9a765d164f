"""Apache Kafka whose brokers tell the workers to come through proxies; everybody else speaks to them directly.

A client talks to the addresses that brokers advertise, so a proxy in front of the bootstrap address alone would
see next to nothing. Each broker gets a listener more, and advertises the proxy's port for it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from chaos.proxy import HOST, Network, Proxy
from deploy.local.kafka import Kafka
from deploy.local.process import StartError, free_port

REGISTRATION_SECONDS = 20
"""A broker that its controllers do not take back within this time ends, and is started again."""
BACK_SECONDS = 120.0
"""For how long a broker is started again and again."""
BACK_OFF = 1.0
"""Seconds until a broker is started again that has ended by itself."""
_LISTENER = "WORKER"


class Cluster:
    """`with Cluster(3, network) as cluster`: brokers are numbered from 1.

    As an init system would, it starts again each broker that ended though nobody had told it to. Brokers are started
    and ended one at a time: two starts of one broker at once are two processes on one metadata log, of which one ends
    with a `CorruptRecordException` and the other has its port.
    """

    def __init__(self, brokers: int, network: Network) -> None:
        self._kafka = Kafka(brokers, settings={"initial.broker.registration.timeout.ms": REGISTRATION_SECONDS * 1_000})
        self.deaths = 0
        """How often a broker ended by itself, or did not get ready, and was started again."""
        self._ended: set[int] = set()
        """Those that are to stay away until they are restarted."""
        self._starting = threading.Lock()
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="brokers", daemon=True)
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

    @property
    def whole(self) -> bool:
        """Whether every broker runs, and was not told to end."""
        return not self._ended and not self._gone()

    def stop(self, number: int) -> None:
        """Tell a broker to stop; it hands its partitions over."""
        with self._starting:
            self._ended.add(number)
            pid = self._kafka.pid(number)
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGTERM)

    def kill(self, number: int) -> None:
        """End a broker at once (SIGKILL)."""
        with self._starting:
            self._ended.add(number)
            self._kafka.kill(number)

    def restart(self, number: int) -> None:
        """Start a broker again, as often as it takes, and return when it serves. Raises StartError."""
        deadline = time.monotonic() + BACK_SECONDS
        with self._starting:
            while not self._start(number):
                if time.monotonic() > deadline:
                    raise StartError(f"broker {number} does not serve after {BACK_SECONDS:.0f} s of starts")
            self._ended.discard(number)

    def __enter__(self) -> Self:
        self._kafka.start()
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._watcher.join()
        self._kafka.stop()

    def _start(self, number: int) -> bool:
        try:
            self._kafka.restart(number)
        except StartError:
            self.deaths += 1
            return False
        return True

    def _gone(self) -> list[int]:
        return [number for number in self.numbers if number not in self._ended and self._kafka.pid(number) is None]

    def _watch(self) -> None:
        while not self._stopping.wait(BACK_OFF):
            with self._starting:
                for number in self._gone():
                    self.deaths += 1
                    self._start(number)


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
