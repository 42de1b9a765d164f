"""A message of `agent.actions`: events, or the time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import count, repeat
from operator import attrgetter
from typing import NamedTuple

import msgspec

from schemas.event import EVENTS_PER_MESSAGE, Event

Arrived = tuple[int, int, Event]
"""An event that came: seq, Kafka timestamp in microseconds, event. Plain, since one is made for each event."""

_task_id = attrgetter("task_id")


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

    def sort_into(self, waiting: defaultdict[str, list[Arrived]]) -> None:
        """Add the events to those of their tasks."""
        for arrived in zip(count(self.first), repeat(self.received), self.events, strict=False):
            waiting[arrived[2].task_id].append(arrived)

    @property
    def first(self) -> int:
        """The seq of its first event."""
        return self.offset * EVENTS_PER_MESSAGE

    @property
    def last(self) -> int:
        """The greatest seq that one of its events could have."""
        return self.first + EVENTS_PER_MESSAGE - 1


def task_ids(messages: Iterable[Message]) -> dict[str, None]:
    """The tasks of which these messages tell, in the order in which they come."""
    ids: dict[str, None] = {}
    for message in messages:
        ids.update(dict.fromkeys(map(_task_id, message.events)))
    ids.pop("", None)
    return ids
