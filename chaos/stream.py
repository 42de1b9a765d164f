"""The load's events, as the world sends them: some twice, some late, verdicts and claims much later. Pure."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Iterator
from itertools import count
from typing import NamedTuple

import msgspec

from bench.work import EVENTS_PER_SECOND
from schemas.event import BY_TRACE, Event
from schemas.words import SPANS, Kind

LEARNT = frozenset({Kind.VERDICT, Kind.INTERVENTION, Kind.FEEDBACK})


class Disorder(NamedTuple):
    """How often what happens (0..1), and by how many events at most something comes late."""

    twice: float = 0.03
    late: float = 0.05
    late_by: int = 10_000
    learnt_late: float = 0.8
    """Of verdicts, interventions and answers."""
    claim_late: float = 0.01
    """Of root spans: the task is given up before it finishes after all."""
    much_later: int = 200_000
    nameless: float = 0.02
    """Spans that name no task, only their trace."""


def disordered(events: Iterable[Event], seed: int, disorder: Disorder) -> Iterator[Event]:
    """The same events, and some again, in another order; what is held back comes at the end at the latest."""
    draw = random.Random(seed)  # noqa: S311 - no secrets here
    waiting: list[tuple[int, int, Event]] = []
    order = count()
    for number, given in enumerate(events):
        while waiting and waiting[0][0] <= number:
            yield heapq.heappop(waiting)[2]
        event = _nameless(given) if given.kind in SPANS and draw.random() < disorder.nameless else given
        if draw.random() < disorder.twice:
            heapq.heappush(waiting, (number + draw.randint(1, disorder.late_by), next(order), event))
        held = _held(event, draw, disorder)
        if held:
            heapq.heappush(waiting, (number + held, next(order), event))
        else:
            yield event
    while waiting:
        yield heapq.heappop(waiting)[2]


def _held(event: Event, draw: random.Random, disorder: Disorder) -> int:
    """For how many events an event is held back."""
    much = disorder.learnt_late if event.kind in LEARNT else disorder.claim_late if event.root else 0.0
    if draw.random() < much:
        return draw.randint(1, disorder.much_later)
    return draw.randint(1, disorder.late_by) if draw.random() < disorder.late else 0


def _nameless(event: Event) -> Event:
    if event.root:
        return event
    return msgspec.structs.replace(event, task_id=event.trace_id, task_source=BY_TRACE)


def at_pace(events: Iterable[Event], start: int, rate: float) -> Iterator[Event]:
    """The events of `bench.work`, with times that pass as they are sent: `rate` a second. `start`: its start."""
    stretch = EVENTS_PER_SECOND / rate
    for event in events:
        event.start = start + round((event.start - start) * stretch)
        event.at = start + round((event.at - start) * stretch)
        yield event
