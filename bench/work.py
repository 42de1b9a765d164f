"""The work that is measured: events of many agents' tasks, interleaved as they happen.

A task is about twenty events: model calls and tool calls in turns, now and then a retrieval, the root span last,
and for a part of the tasks a verdict, an intervention or an answer after it.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from copy import copy
from itertools import count

from schemas.event import EVENTS_PER_MESSAGE, Event, event_hash, link, partition_of
from schemas.message import Parted, encode_messages, parted
from schemas.units import MICRO
from schemas.words import Intervention, Kind, Outcome, Verdict

MODELS = ("large-2026-05", "medium-2026-08", "small-2026-09")
TOOLS = ("search", "read_file", "run_tests", "query_orders", "send_mail", "refund", "lookup_policy", "edit")
WORKFLOWS = tuple(f"workflow-{i}" for i in range(8))
CASE_TYPES = tuple(f"case-{i}" for i in range(6))
TURNS = (5, 12)
"""Fewest and most turns of a task; a turn is a model call and, mostly, a tool call."""
EVENTS_PER_TASK = 20
"""About: for estimates only."""
UNLIMITED = 2**63
"""Bytes of a message: it is bounded by its events."""
EVENTS_PER_SECOND = 20_000
"""Of the events' own time."""


class Work:
    """Events in the order of their time, for ever; the same for the same arguments.

    `open_tasks`: how many tasks are under way at a time, on average. `start`: microseconds since the epoch.
    """

    def __init__(self, seed: int, start: int, open_tasks: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - no secrets here
        self._start = start
        self._gap = MICRO * EVENTS_PER_TASK // EVENTS_PER_SECOND
        self._lasting = open_tasks * self._gap
        self._numbers = count(1)

    def events(self) -> Iterator[Event]:
        """The events of all tasks, merged."""
        due: list[tuple[int, int, Event, Iterator[Event]]] = []
        for number in count():
            begins = self._start + number * self._gap
            while due and due[0][0] <= begins:
                _, order, event, rest = due[0]
                yield event
                after = next(rest, None)
                if after is None:
                    heapq.heappop(due)
                else:
                    heapq.heapreplace(due, (after.at, order, after, rest))
            steps = self.task(begins, self._lasting)
            first = next(steps)
            heapq.heappush(due, (first.at, number, first, steps))

    def task(self, begins: int, lasting: int) -> Iterator[Event]:
        """The events of one task that lasts about `lasting` microseconds."""
        draw = self._random
        workflow = draw.randrange(len(WORKFLOWS))
        turns = draw.randint(*TURNS)
        head = _head(workflow, draw.choice(CASE_TYPES), draw.getrandbits(127) + 1)
        head.model = draw.choice(MODELS)
        root = f"{draw.getrandbits(63) + 1:016x}"
        step = max(1, 2 * lasting // (sum(TURNS) * 2))
        at = begins
        yield link(head.trace_id, head.task_id, begins)
        for turn in range(turns):
            at += draw.randint(step // 2, step + step // 2)
            yield self._model_call(head, root, at, step)
            if turn + 1 < turns or draw.random() < 0.5:
                at += draw.randint(step // 2, step + step // 2)
                yield self._tool_call(head, root, at, step)
            if draw.random() < 0.1:
                yield self._span(head, Kind.RETRIEVAL, root, at, step // 4)
        at += 1
        failed = draw.random() < 0.12
        event = self._span(head, Kind.AGENT_RUN, "", at, at - begins, span_id=root)
        event.case_type, event.root, event.explicit = head.case_type, 1, 1
        event.value = Outcome.FAILURE.value if failed else Outcome.SUCCESS.value
        yield event
        yield from self._learnt(head, at, failed)

    def _model_call(self, head: Event, root: str, at: int, lasted: int) -> Event:
        draw = self._random
        event = self._span(head, Kind.MODEL_CALL, root, at, draw.randint(lasted // 2, lasted))
        event.model = event.name = head.model
        event.input_tokens, event.output_tokens = draw.randint(500, 20_000), draw.randint(20, 2_000)
        event.cache_read_tokens = event.input_tokens // 2
        event.cost, event.cost_source = event.input_tokens * 3_000 + event.output_tokens * 15_000, "priced"
        return event

    def _tool_call(self, head: Event, root: str, at: int, lasted: int) -> Event:
        draw = self._random
        event = self._span(head, Kind.TOOL_CALL, root, at, draw.randint(lasted // 8, lasted))
        event.name = draw.choice(TOOLS)
        if draw.random() < 0.05:
            event.error_type = "timeout"
        return event

    def _learnt(self, head: Event, at: int, failed: bool) -> Iterator[Event]:
        draw = self._random
        if draw.random() < 0.3:
            event = self._record(head, Kind.VERDICT, at + draw.randint(1, MICRO))
            wrong = failed != (draw.random() < 0.1)
            event.value, event.name = (Verdict.FAILURE if wrong else Verdict.SUCCESS).value, "reviewer"
            event.weight = MICRO * 10 // 3
            at = event.at
            yield event
        if draw.random() < 0.08:
            event = self._record(head, Kind.INTERVENTION, at + 1)
            event.name, event.number = draw.choice(list(Intervention)).value, 3 * 60 * MICRO
            yield event
        if draw.random() < 0.05:
            event = self._record(head, Kind.FEEDBACK, at + 2)
            event.number, event.flag = draw.randint(0, MICRO), int(draw.random() < 0.2)
            yield event

    def _span(self, head: Event, kind: Kind, parent: str, at: int, lasted: int, span_id: str = "") -> Event:
        event = _copy(head, kind, at)
        event.start, event.parent_id = at - lasted, parent
        event.span_id = span_id or f"{self._random.getrandbits(63) + 1:016x}"
        event.event_id = f"{event.trace_id}:{event.span_id}"
        event.hash = event_hash(event.event_id)
        return event

    def _record(self, head: Event, kind: Kind, at: int) -> Event:
        event = _copy(head, kind, at)
        event.event_id = f"learnt-{next(self._numbers)}"
        event.hash = event_hash(event.event_id)
        return event


def _head(workflow: int, case_type: str, trace: int) -> Event:
    """What the events of a task have in common."""
    name = WORKFLOWS[workflow]
    return Event(
        hash=0, kind=Kind.OTHER, task_id=f"{name}/{trace % 2**48:012x}", task_source="trueup.task.id", event_id="",
        at=0, start=0, tenant="", workflow=name, stage="pilot" if workflow == 0 else "production",
        environment="prod", agent=f"agent-{workflow}", agent_version=f"1.{workflow % 3}.0", case_type=case_type,
        model="", trace_id=f"{trace:032x}", span_id="", parent_id="", root=0, name="", error_type="",
        input_tokens=None, output_tokens=None, cache_read_tokens=None, cache_write_tokens=None,
        reasoning_tokens=None, cost=None, cost_source="", value="", explicit=0, number=None, weight=0, flag=None,
        attributes={},
        scope="",
        response_id="",
    )  # fmt: skip


def _copy(head: Event, kind: Kind, at: int) -> Event:
    event = copy(head)
    event.kind, event.at, event.start = kind, at, at
    event.case_type = event.model = ""
    return event


def messages(
    events: Iterator[Event], number: int, partitions: int, per_message: int
) -> Iterator[tuple[int, int, bytes]]:
    """(partition, events, payload) of the first `number` events, packed as the normaliser packs them at load."""
    per_message = min(per_message, EVENTS_PER_MESSAGE)
    filling: dict[int, list[Parted]] = {p: [] for p in range(partitions)}
    for _, event in zip(range(number), events, strict=False):
        partition = partition_of(event.task_id, partitions)
        parts = filling[partition]
        parts.append(parted(event))
        if len(parts) == per_message:
            yield partition, per_message, _packed(parts)
            filling[partition] = []
    for partition, parts in filling.items():
        if parts:
            yield partition, len(parts), _packed(parts)


def _packed(parts: list[Parted]) -> bytes:
    (payload,) = encode_messages(parts, UNLIMITED)
    return payload
