"""The canonical event: one thing that happened in, or was learnt about, one task.

It is what travels on `agent.actions` (`schemas/message.py`) and becomes a row of `raw_events` (`sinks/raw.py`). Its
last fields, HEAD, are what the events of a task have in common. Add a field before them and without a default, since no
store takes an event that lacks one, and let `schemas/message.py` fill it in for messages that are in the log already.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import xxhash

from schemas.words import ACTIONS, Kind

EVENTS_PER_MESSAGE = 4096
"""`seq` = offset * 4096 + index: the position of an event in its partition's log."""

BY_TRACE = "trace"
"""The `task_source` of an event that names no task: its trace stands for one until the task is known."""

TIME_END = 2**32 * 1_000_000
"""The first microsecond that is too late for an event: in 2106."""

# Ranges that the columns of ClickHouse hold; anybody may write to a topic.
Micros = Annotated[int, msgspec.Meta(ge=0, lt=TIME_END)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Nano = Annotated[int, msgspec.Meta(ge=0, le=10**18)]
Bit = Annotated[int, msgspec.Meta(ge=0, le=1)]


UNTOLD = "(untold)"
"""The task of an event of which only the fields before HEAD were read. Told by identity: no text that is read is it."""


class Event(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    """Times are microseconds since the epoch, money nano-dollars; "" and None mean: not told."""

    hash: Annotated[int, msgspec.Meta(ge=0)]
    """64-bit xxHash of `event_id`: what an event is recognised by when it comes again."""
    kind: Kind
    event_id: str
    """`trace_id:span_id` of a span; of a log record `trueup.event.id`, else a hash of the record."""
    at: Micros
    """End of a span, time of a log record."""
    start: Micros
    """Start of a span; of a log record the same as `at`; of a workflow's cost the start of its period."""
    case_type: str
    model: str
    span_id: str
    parent_id: str
    """Empty: a root span."""
    root: Bit
    """1: the span speaks for the whole task (no parent, or it carries the claim)."""
    name: str
    """Tool, model, verifier, evaluator, cost category, intervention or outcome: what the kind is about."""
    error_type: str
    input_tokens: Count | None
    """Cached tokens included (OpenTelemetry's meaning)."""
    output_tokens: Count | None
    cache_read_tokens: Count | None
    cache_write_tokens: Count | None
    reasoning_tokens: Count | None
    cost: Nano | None
    """Nano-dollars."""
    cost_source: Literal["", "reported", "priced"]
    """`reported` by the agent, `priced` from tokens, or empty."""
    value: str
    """A claim's outcome, a verdict."""
    explicit: Bit
    """1: the claim was stated; 0: it was read off the status of a root span."""
    number: Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)] | None
    """Millionths: satisfaction, score, outcome value; of an intervention the human's microseconds."""
    weight: Annotated[int, msgspec.Meta(ge=0, le=10**12)]
    """Millionths: how many tasks a verdict stands for (1 / inclusion probability)."""
    flag: Bit | None
    """1 complaint, 0 none."""
    attributes: dict[str, str]
    """What else was allowed through by configuration; of a root span the profile of the task's input."""
    scope: str
    """Instrumentation scope of a span: two of them may describe the same call."""
    response_id: str
    """Of a model call, the provider's id of the answer; of a tool call the id of the call."""
    task_id: str = UNTOLD
    """The task; empty for a cost or an outcome of a whole workflow."""
    task_source: str = ""
    """Where the task id was found: `attribute`, an alias's name, or `trace`."""
    tenant: str = ""
    workflow: str = ""
    stage: str = ""
    environment: str = ""
    agent: str = ""
    agent_version: str = ""
    trace_id: str = ""


FIELDS: tuple[str, ...] = Event.__struct_fields__
HEAD = FIELDS[FIELDS.index("task_id") :]
"""What events of a task have in common: told once for many of them."""


FORWARDED = "trueup.linked_from"
"""The attribute of an event that was sent on: the trace it came from. It is sent on once, so that two traces
that name each other as their task cannot send it round for ever."""


def event_hash(event_id: str) -> int:
    """The 64-bit identity of an event id."""
    return xxhash.xxh3_64_intdigest(event_id.encode("utf-8", "surrogatepass"))


def partition_of(task_key: str, partitions: int) -> int:
    """The partition of `agent.actions` that a task (or a workflow, for what has no task) belongs to."""
    return xxhash.xxh3_64_intdigest(task_key.encode("utf-8", "surrogatepass")) % partitions


def link(trace_id: str, task_id: str, at: int) -> Event:
    """The event that tells a trace's partition which task the trace belongs to."""
    event_id = f"link:{trace_id}:{task_id}"
    return Event(
        hash=event_hash(event_id), kind=Kind.LINK, task_id=trace_id, task_source=BY_TRACE, event_id=event_id, at=at,
        start=at, tenant="", workflow="", stage="", environment="", agent="", agent_version="", case_type="", model="",
        trace_id=trace_id, span_id="", parent_id="", root=0, name="", error_type="", input_tokens=None,
        output_tokens=None, cache_read_tokens=None, cache_write_tokens=None, reasoning_tokens=None, cost=None,
        cost_source="", value=task_id, explicit=0, number=None, weight=0, flag=None, attributes={},
        scope="", response_id="",
    )  # fmt: skip


def may_be_a_trace(task_id: str) -> bool:
    """Whether a task's id could be that of a trace, so that a link may say whose trace it is."""
    return len(task_id) == 32 and not task_id.strip("0123456789abcdef")


def forwarded(event: Event, task_id: str) -> Event:
    """An event of a trace, for the task that the trace belongs to. A call alone does not speak for that task."""
    root = 0 if event.kind in ACTIONS and not event.explicit else event.root
    attributes = {**event.attributes, FORWARDED: event.task_id}
    return msgspec.structs.replace(event, task_id=task_id, root=root, attributes=attributes)
