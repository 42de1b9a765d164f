"""What is done to the system, and when: a pure function of the seed."""

from __future__ import annotations

import random
from enum import StrEnum
from typing import NamedTuple

WARM_UP = 6.0
"""Seconds of load before the first fault."""
QUIET = 25.0
"""Seconds of load after the end of the last fault, so that everything can recover; in short runs a quarter."""
GAP = (8.0, 14.0)
"""Fewest and most seconds from one fault to the next. What takes different things away may overlap."""
SETTLE = 5.0
"""Seconds between two faults of the same thing: brokers come into sync again, workers get partitions."""
LEAST_SECONDS = 30


class Kind(StrEnum):
    """What can happen."""

    WORKER_KILLED = "worker_killed"
    """kill -9; a supervisor starts it again."""
    WORKER_PAUSED = "worker_paused"
    """Stopped past its session timeout, in the middle of a write: it wakes as a stale owner, and writes on."""
    WORKER_ADDED = "worker_added"
    """One more for a while."""
    WORKER_REMOVED = "worker_removed"
    """One fewer for a while, told to stop."""
    BROKER_STOPPED = "broker_stopped"
    """Told to stop, and started again."""
    LEADER_KILLED = "leader_killed"
    """kill -9 of the leader of a partition, and started again. Only with three brokers."""
    CLICKHOUSE_AWAY = "clickhouse_away"
    """Frozen, or killed (-9) and started again."""
    CONNECTIONS_CUT = "connections_cut"
    """Those of the workers to a broker or to ClickHouse: reset, again and again."""
    CONNECTIONS_DELAYED = "connections_delayed"
    """Those of the workers to a broker or to ClickHouse: every byte comes late."""
    POISON = "poison"
    """What is no event, no message and no OTLP, on both topics."""


LASTING: dict[Kind, tuple[float, float]] = {
    Kind.WORKER_KILLED: (0.5, 3),
    Kind.WORKER_PAUSED: (8, 12),
    Kind.WORKER_ADDED: (8, 14),
    Kind.WORKER_REMOVED: (4, 10),
    Kind.BROKER_STOPPED: (2, 6),
    Kind.LEADER_KILLED: (2, 6),
    Kind.CLICKHOUSE_AWAY: (3, 10),
    Kind.CONNECTIONS_CUT: (1, 5),
    Kind.CONNECTIONS_DELAYED: (4, 10),
    Kind.POISON: (0.5, 2),
}
"""Fewest and most seconds of a fault. A pause is longer than SESSION_TIMEOUT."""
SESSION_TIMEOUT = 6.0
"""Seconds after which the group gives a silent worker's partitions to others."""

OF: dict[Kind, str] = {
    **dict.fromkeys((Kind.WORKER_KILLED, Kind.WORKER_PAUSED, Kind.WORKER_ADDED, Kind.WORKER_REMOVED), "workers"),
    **dict.fromkeys((Kind.BROKER_STOPPED, Kind.LEADER_KILLED), "brokers"),
    **dict.fromkeys((Kind.CONNECTIONS_CUT, Kind.CONNECTIONS_DELAYED), "network"),
    Kind.CLICKHOUSE_AWAY: "clickhouse",
    Kind.POISON: "topics",
}
"""What a fault takes away. There is one fault of each of these at a time."""


class Planned(NamedTuple):
    """A fault. Seconds are since the start of the load."""

    at: float
    kind: Kind
    seconds: float
    choice: int
    """Which of those there are then, counted round: a worker, a broker, a partition, a connection."""
    way: float
    """0..1: which of several ways, where there are several."""

    @property
    def end(self) -> float:
        """When it is mended."""
        return self.at + self.seconds


def last_end(seconds: float) -> float:
    """When the last fault of a run has to be mended."""
    return seconds - min(QUIET, seconds / 4)


def plan(seed: int, seconds: float, brokers: int) -> list[Planned]:
    """The faults of a run, by their start. Every kind comes once before any comes again.

    Raises ValueError if there is no time for faults and for recovery.
    """
    if seconds < LEAST_SECONDS:
        raise ValueError(f"{seconds:g} s are too short to harm anything and let it recover; take {LEAST_SECONDS}")
    draw = random.Random(seed)  # noqa: S311 - no secrets here
    kinds = [kind for kind in Kind if brokers > 1 or kind is not Kind.LEADER_KILLED]
    last = last_end(seconds)
    free = dict.fromkeys(OF.values(), 0.0)
    planned: list[Planned] = []
    to_come: list[Kind] = []
    at = WARM_UP
    while at < last:
        to_come = to_come or draw.sample(kinds, len(kinds))
        kind = to_come.pop()
        lasting, choice, way = draw.uniform(*LASTING[kind]), draw.randrange(2**16), draw.random()
        fault = Planned(max(at, free[OF[kind]]), kind, lasting, choice, way)
        if fault.end <= last:
            planned.append(fault)
            free[OF[kind]] = fault.end + SETTLE
        at += draw.uniform(*GAP)
    return sorted(planned)
