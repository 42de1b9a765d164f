"""A message of `agent.actions`: events, the time, or a repair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Annotated, NamedTuple

import msgspec

from schemas.event import EVENTS_PER_MESSAGE, Event
from schemas.message import Piece
from schemas.rows import WindowKey


class Arrived(NamedTuple):
    """Events of one task that came together: their heads are the same."""

    first: int
    """The seq of the first; those of the others follow."""
    received: int
    """Kafka timestamp in microseconds."""
    events: Sequence[Event]


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
    """A message, decoded. `received` is its Kafka timestamp in microseconds; `text`: see `decode_message`."""

    offset: int
    received: int
    pieces: Sequence[Piece] = ()
    text: bytes = b""
    events: int = 0
    clock: Clock | None = None
    dead: int = 0
    repair: Repair | None = None

    @property
    def first(self) -> int:
        """The seq of its first event."""
        return self.offset * EVENTS_PER_MESSAGE

    @property
    def last(self) -> int:
        """The greatest seq that one of its events could have."""
        return self.first + EVENTS_PER_MESSAGE - 1

    def arrivals(self) -> Iterator[tuple[str, Arrived]]:
        """Task and events of its pieces, in their order."""
        seq = self.first
        for piece in self.pieces:
            yield piece.task_id, Arrived(seq, self.received, piece.events)
            seq += len(piece.events)


class Batch:
    """Messages of one partition, in the order of their offsets.

    Events are sorted by task when their message is added: that is right after it was decoded, while the
    processor still has them at hand.
    """

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self.messages: list[Message] = []
        self.runs: list[tuple[dict[str, list[Arrived]], Message | None]] = []
        """Events by task, and the clock or repair that follows them."""
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
        for task_id, arrived in message.arrivals():
            run[task_id].append(arrived)
        if message.clock is not None or message.repair is not None:
            self.runs[-1] = run, message
            self._run = self._begin()

    @cached_property
    def task_ids(self) -> list[str]:
        """The tasks that it tells of, in the order in which they come. Read it when all messages are added."""
        ids: dict[str, None] = {}
        for run, control in self.runs:
            ids.update(dict.fromkeys(run))
            if control is not None and control.repair is not None:
                ids.update(dict.fromkeys(control.repair.tasks))
        ids.pop("", None)
        return list(ids)
