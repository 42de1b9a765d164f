"""What can be done to the lab, a class a kind: `begin` harms and says what, `end` mends. Each may block."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from chaos.lab import Lab, NotReady, until
from chaos.load import Load
from chaos.plan import Kind, Planned
from chaos.proxy import Proxy
from chaos.workers import Worker

CUT_EVERY = 0.5
DELAYS = (0.05, 0.8)
"""Fewest and most seconds by which connections are delayed."""
POISON_MESSAGES = (3, 12)
"""Fewest and most to each topic at a time; so few that no circuit breaker takes the topic for broken."""
A_WRITE_SECONDS = 3.0
"""How long a pause waits for its worker to be in the middle of a write."""
STALE_SECONDS = 2.0
"""How long after it woke a worker is watched for what it writes before it knows that it owns nothing any more."""


class Fault(Protocol):
    """One fault of the plan."""

    def begin(self) -> str:
        """Harm, and say what was harmed."""

    def end(self) -> None:
        """Mend, and return when what was taken away is there again."""


@dataclass
class WorkerKilled:
    lab: Lab
    planned: Planned
    load: Load

    def begin(self) -> str:
        self.worker = self.lab.supervisor.choose(self.planned.choice)
        self.worker.kill()
        return self.worker.name

    def end(self) -> None:
        self.worker.start()


@dataclass
class WorkerPaused:
    lab: Lab
    planned: Planned
    load: Load
    woke_as_stale_writer: bool = False
    """Whether it wrote to ClickHouse after it woke, before it knew of the assignment without it."""

    def begin(self) -> str:
        self.worker = self.lab.supervisor.choose(self.planned.choice)
        sent = self.worker.clickhouse.sent
        with suppress(NotReady):
            until(lambda: self.worker.clickhouse.sent > sent, A_WRITE_SECONDS, "the worker writes")
        self._before = _assignments(self.worker)
        self.worker.signal(signal.SIGSTOP)
        self._sent = self.worker.clickhouse.sent
        return self.worker.name

    def end(self) -> None:
        self.worker.signal(signal.SIGCONT)
        with suppress(NotReady):
            until(lambda: self.worker.clickhouse.sent > self._sent, STALE_SECONDS, "the stale owner writes")
            self.woke_as_stale_writer = self._before is not None and _assignments(self.worker) == self._before


def _assignments(worker: Worker) -> float | None:
    try:
        return worker.metric("trueup_rebalances_total")
    except OSError:
        return None


@dataclass
class WorkerAdded:
    lab: Lab
    planned: Planned
    load: Load

    def begin(self) -> str:
        self.worker = self.lab.new_worker()
        self.lab.supervisor.add(self.worker)
        return self.worker.name

    def end(self) -> None:
        self.lab.supervisor.remove(self.worker)


@dataclass
class WorkerRemoved:
    lab: Lab
    planned: Planned
    load: Load

    def begin(self) -> str:
        self.worker = self.lab.supervisor.choose(self.planned.choice)
        self.worker.stop()
        return self.worker.name

    def end(self) -> None:
        self.worker.start()


@dataclass
class BrokerStopped:
    lab: Lab
    planned: Planned
    load: Load

    def begin(self) -> str:
        numbers = self.lab.cluster.numbers
        self.number = numbers[self.planned.choice % len(numbers)]
        self.lab.cluster.stop(self.number)
        return f"broker {self.number}"

    def end(self) -> None:
        self.lab.cluster.restart(self.number)


@dataclass
class LeaderKilled:
    lab: Lab
    planned: Planned
    load: Load

    def begin(self) -> str:
        partition = self.planned.choice % self.lab.settings.kafka.partitions
        self.number = self.lab.leader(partition)
        self.lab.cluster.kill(self.number)
        return f"broker {self.number}, of partition {partition}"

    def end(self) -> None:
        self.lab.cluster.restart(self.number)


@dataclass
class ClickHouseAway:
    """Frozen, so that connections hang; or killed, so that they are refused and what it had not written is gone."""

    lab: Lab
    planned: Planned
    load: Load

    def begin(self) -> str:
        self.lab.signal_clickhouse(signal.SIGSTOP if self._frozen else signal.SIGKILL)
        return "frozen" if self._frozen else "killed"

    def end(self) -> None:
        if self._frozen:
            self.lab.signal_clickhouse(signal.SIGCONT)
        else:
            self.lab.restart_clickhouse()

    @property
    def _frozen(self) -> bool:
        return self.planned.way < 0.5


@dataclass
class ConnectionsCut:
    lab: Lab
    planned: Planned
    load: Load
    _mended: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> str:
        name, self.proxy = _connection(self.lab, self.planned)
        self._cutting = threading.Thread(target=self._cut, name="cut", daemon=True)
        self._cutting.start()
        return name

    def end(self) -> None:
        self._mended.set()
        self._cutting.join()

    def _cut(self) -> None:
        self.proxy.cut()
        while not self._mended.wait(CUT_EVERY):
            self.proxy.cut()


@dataclass
class ConnectionsDelayed:
    lab: Lab
    planned: Planned
    load: Load

    def begin(self) -> str:
        name, self.proxy = _connection(self.lab, self.planned)
        least, most = DELAYS
        delay = least + (most - least) * self.planned.way
        self.proxy.delay(delay)
        return f"{name}, by {delay * 1_000:.0f} ms"

    def end(self) -> None:
        self.proxy.delay(0)


def _connection(lab: Lab, planned: Planned) -> tuple[str, Proxy]:
    proxies = lab.proxies
    return list(proxies.items())[planned.choice % len(proxies)]


@dataclass
class Poisoned:
    lab: Lab
    planned: Planned
    load: Load

    def begin(self) -> str:
        least, most = POISON_MESSAGES
        messages = least + self.planned.choice % (most - least + 1)
        self.load.poison(messages)
        return f"{messages} messages on each of two topics"

    def end(self) -> None:
        """It stays where it is: the workers must go on."""


FAULTS: dict[Kind, Callable[[Lab, Planned, Load], Fault]] = {
    Kind.WORKER_KILLED: WorkerKilled,
    Kind.WORKER_PAUSED: WorkerPaused,
    Kind.WORKER_ADDED: WorkerAdded,
    Kind.WORKER_REMOVED: WorkerRemoved,
    Kind.BROKER_STOPPED: BrokerStopped,
    Kind.LEADER_KILLED: LeaderKilled,
    Kind.CLICKHOUSE_AWAY: ClickHouseAway,
    Kind.CONNECTIONS_CUT: ConnectionsCut,
    Kind.CONNECTIONS_DELAYED: ConnectionsDelayed,
    Kind.POISON: Poisoned,
}
