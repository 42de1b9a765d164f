"""The circuit breaker: when most of a partition is bad, its producer or our configuration is wrong, not its records.

A worker that went on would turn a whole topic into dead letters. It stops instead, and its partition goes
back to where the window began, so that what came since is read again once the cause is mended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple


class Tripped(Exception):
    """Too much of a partition is bad. The text says what was seen and what to do."""

    def __init__(self, topic: str, partition: int, first_offset: int, records: int, bad: int) -> None:
        super().__init__(
            f"{bad} of the last {records} records of {topic} partition {partition}, from offset {first_offset} on, "
            "cannot be used. `trueup deadletter list` says why: look for a wrong encoding, a wrong topic, or a limit "
            "in the configuration. Mend that and start the worker, or set limits.dead_share to 1 to have them all as "
            "dead letters"
        )
        self.topic, self.partition, self.first_offset = topic, partition, first_offset


class _Message(NamedTuple):
    offset: int
    records: int
    bad: int


@dataclass
class _Window:
    messages: deque[_Message] = field(default_factory=deque)
    records: int = 0
    bad: int = 0


class Breaker:
    """Counts the records of each partition over its last `window` records, or a message more."""

    def __init__(self, share: float, window: int) -> None:
        """`share`: more than this part of the window may not be bad; 1 never trips."""
        self._share, self._least = share, window
        self._windows: dict[tuple[str, int], _Window] = {}

    def count(self, topic: str, partition: int, offset: int, records: int, bad: int) -> None:
        """A message held so many records, of which so many are bad. Raises Tripped."""
        if not records:
            return
        window = self._windows.setdefault((topic, partition), _Window())
        window.messages.append(_Message(offset, records, bad))
        window.records += records
        window.bad += bad
        while window.records - window.messages[0].records >= self._least:
            gone = window.messages.popleft()
            window.records -= gone.records
            window.bad -= gone.bad
        if window.records >= self._least and window.bad > self._share * window.records:
            raise Tripped(topic, partition, window.messages[0].offset, window.records, window.bad)

    def keep_only(self, partitions: Collection[tuple[str, int]]) -> None:
        """Forget partitions that another worker owns now."""
        for key in self._windows.keys() - set(partitions):
            self._windows.pop(key, None)
