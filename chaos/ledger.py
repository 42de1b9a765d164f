"""What was sent, and what Kafka has acknowledged of it."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from kafka import TopicPartition

from pipeline.kafka import Positions
from schemas.event import Event, link


class Outgoing(NamedTuple):
    """A message on its way. `poison`: the indexes of the dead letters that it must become."""

    topic: str
    partition: int
    payload: bytes
    poison: tuple[int, ...] = ()


class Place(NamedTuple):
    """Where a dead letter is; `record` -1 is the whole message."""

    topic: str
    partition: int
    offset: int
    record: int


class Ledger:
    """Thread-safe. Events are known by their 64-bit hash, one entry for each time that one was sent."""

    def __init__(self) -> None:
        self.events = array("Q")
        self.links: set[int] = set()
        """The links from traces to tasks that the normaliser makes of what it was sent."""
        self.poison = 0
        """Records that must become dead letters."""
        self.dead: set[Place] = set()
        """Where they are."""
        self.refused = 0
        """Messages that the producer gave up, and that were sent again."""
        self._reached: Positions = {}
        self._lock = threading.Lock()

    def note(self, events: Iterable[Event], *, over_otlp: bool = False) -> None:
        """These events are about to be sent."""
        for event in events:
            self.events.append(event.hash)
            if over_otlp and event.task_id not in ("", event.trace_id):
                self.links.add(link(event.trace_id, event.task_id, event.at).hash)

    def acknowledged(self, message: Outgoing, answer: Any) -> None:
        """Kafka has a message; `answer` says where."""
        tp = TopicPartition(answer.topic, answer.partition)
        with self._lock:
            self._reached[tp] = max(self._reached.get(tp, 0), answer.offset + 1)
            self.dead.update(Place(answer.topic, answer.partition, answer.offset, record) for record in message.poison)

    def reached(self, topics: Sequence[str]) -> Positions:
        """The end of each partition of some topics, as far as it is acknowledged."""
        with self._lock:
            return {tp: end for tp, end in self._reached.items() if tp.topic in topics}

    @property
    def sent(self) -> int:
        """Events, those sent twice twice, and records of poison."""
        return len(self.events) + self.poison
