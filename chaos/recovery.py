"""How long the workers take to catch up after a fault."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from chaos.plan import Planned
from pipeline.config import Settings
from pipeline.kafka import Positions, client_options

POLL_SECONDS = 0.2


class Recovered(NamedTuple):
    """`seconds` from the end of a fault until all that Kafka had by then was committed, so durable."""

    fault: Planned
    seconds: float


@dataclass
class _Waiting:
    fault: Planned
    since: float
    targets: Positions


class Recovery:
    """Watches what the consumer group commits, from a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self._group = settings.kafka.group
        self._options = {**client_options(settings), "request_timeout_ms": 5_000}
        self._waiting: list[_Waiting] = []
        self.recovered: list[Recovered] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recovery", daemon=True)

    def __enter__(self) -> Recovery:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def fault_ended(self, fault: Planned, targets: Positions) -> None:
        """A fault ends now; `targets`: the ends of the partitions."""
        with self._lock:
            self._waiting.append(_Waiting(fault, time.monotonic(), targets))

    @property
    def outstanding(self) -> int:
        """Faults from which nothing has recovered yet."""
        with self._lock:
            return len(self._waiting)

    def _run(self) -> None:
        admin = None
        while not self._stopping.wait(POLL_SECONDS):
            if not self.outstanding:
                continue
            try:
                admin = admin or KafkaAdminClient(**self._options)
                self._look(admin)
            except (KafkaError, OSError):  # the brokers are what may be away
                if admin is not None:
                    admin.close()
                admin = None
        if admin is not None:
            admin.close()

    def _look(self, admin: KafkaAdminClient) -> None:
        held = admin.list_group_offsets(self._group)[self._group]
        committed = {tp: found.offset for tp, found in held.items()}
        now = time.monotonic()
        with self._lock:
            for one in list(self._waiting):
                if all(committed.get(tp, 0) >= end for tp, end in one.targets.items()):
                    self._waiting.remove(one)
                    self.recovered.append(Recovered(one.fault, round(now - one.since, 2)))


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of them do not exceed (nearest rank); None without values."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
