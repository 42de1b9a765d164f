"""A message of `agent.actions`: events, the time, or a repair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import count
from operator import attrgetter
from typing import Annotated, NamedTuple

import msgspec

from schemas.event import EVENTS_PER_MESSAGE, Event
from schemas.rows import TaskRow, WindowKey

Arrived = tuple[int, int, Event, bytes]
"""An event that came: seq, Kafka timestamp in microseconds, event, tail. Plain, since one is made for each event."""

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

    def deadline(self, row: TaskRow) -> int:
        """When a task is given up unless more of it arrives."""
        return row.last_seen + self.by_workflow.get(row.workflow, self.abandon_after)


NAMES_PER_REPAIR = 1_000
"""Tasks, and windows, that one repair names at most: it bounds what a worker recomputes at once."""
_REPAIR = b'{"type":"repair"'


class Repair(msgspec.Struct, tag_field="type", tag="repair"):
    """A message that asks for tasks and windows to be recomputed from the raw events before it."""

    tasks: Annotated[list[str], msgspec.Meta(max_length=NAMES_PER_REPAIR)] = []
    windows: Annotated[list[WindowKey], msgspec.Meta(max_length=NAMES_PER_REPAIR)] = []


def decode_control(payload: bytes) -> Clock | Repair:
    """A message that is no events. Raises msgspec.DecodeError or ValidationError."""
    if not payload.startswith(_REPAIR):
        return msgspec.json.decode(payload, type=Clock)
    repair = msgspec.json.decode(payload, type=Repair)
    if any(key.minute % 60 or not 0 <= key.minute < 2**32 for key in repair.windows):
        raise msgspec.ValidationError("a window to repair begins with a minute, between 1970 and 2106")
    return repair


class Message(NamedTuple):
    """A message, decoded. `received` is its Kafka timestamp in microseconds; `tails`: see `decode_message`."""

    offset: int
    received: int
    events: Sequence[Event] = ()
    tails: Sequence[bytes] = ()
    clock: Clock | None = None
    dead: int = 0
    repair: Repair | None = None

    def sort_into(self, waiting: defaultdict[str, list[Arrived]]) -> None:
        """Add the events to those of their tasks."""
        received = self.received
        for seq, event, tail in zip(count(self.first), self.events, self.tails, strict=False):
            waiting[event.task_id].append((seq, received, event, tail))

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
        if message.repair is not None:
            ids.update(dict.fromkeys(message.repair.tasks))
    ids.pop("", None)
    return ids
