"""A message of `agent.actions`: events, or the time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import count, repeat
from typing import NamedTuple

import msgspec

from schemas.event import EVENTS_PER_MESSAGE, Event

Arrived = tuple[int, int, Event]
"""An event that came: seq, Kafka timestamp in microseconds, event. Plain, since one is made for each event."""


class Clock(msgspec.Struct):
    """A message that lets time pass: tasks of which nothing has arrived for long are abandoned.

    It carries the policy of its moment, so that a replay abandons the same tasks.
    """

    at: int
    """Microseconds since the epoch."""
    abandon_after: int
    """Microseconds, for workflows that `by_workflow` does not name."""
    by_workflow: dict[str, int] = {}

    def silent_since(self, workflow: str) -> int:
        """An open task of a workflow is given up if the last that was seen of it is no later than this."""
        return self.at - self.by_workflow.get(workflow, self.abandon_after)


class Message(NamedTuple):
    """A message, decoded. `received` is its Kafka timestamp in microseconds; `payload` holds the events."""

    offset: int
    received: int
    events: Sequence[Event] = ()
    payload: bytes = b""
    clock: Clock | None = None
    dead: int = 0

    @property
    def first(self) -> int:
        """The seq of its first event."""
        return self.offset * EVENTS_PER_MESSAGE

    @property
    def last(self) -> int:
        """The greatest seq that one of its events could have."""
        return self.first + EVENTS_PER_MESSAGE - 1

    def arrivals(self) -> Iterator[Arrived]:
        """Its events in their order."""
        return zip(count(self.first), repeat(self.received), self.events, strict=False)


class Batch:
    """Messages of one partition, in the order of their offsets.

    Events are sorted by task when their message is added: that is right after it was decoded, while the
    processor still has them at hand.
    """

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self.messages: list[Message] = []
        self.runs: list[tuple[dict[str, list[Arrived]], Message | None]] = []
        """Events by task, and the clock message that follows them."""
        self._run = self._begin()
        for message in messages:
            self.add(message)

    def _begin(self) -> defaultdict[str, list[Arrived]]:
        run: defaultdict[str, list[Arrived]] = defaultdict(list)
        self.runs.append((run, None))
        return run

    def add(self, message: Message) -> None:
        """One more message."""
        self.messages.append(message)
        run = self._run
        for arrived in message.arrivals():
            run[arrived[2].task_id].append(arrived)
        if message.clock is not None:
            self.runs[-1] = run, message
            self._run = self._begin()

    @cached_property
    def task_ids(self) -> list[str]:
        """The tasks that it tells of, in the order in which they come. Read it when all messages are added."""
        ids: dict[str, None] = {}
        for run, _ in self.runs:
            ids.update(dict.fromkeys(run))
        ids.pop("", None)
        return list(ids)
