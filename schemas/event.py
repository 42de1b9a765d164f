"""The canonical event: one thing that happened in, or was learnt about, one task.

It is what travels on `agent.actions`: a Kafka message holds up to 4096 events of one partition, a
JSON array a line. The order of the fields here is the order of the columns of `raw_events`, so a
line goes into ClickHouse (JSONCompactEachRow) as it came. Add fields at the end, with a default.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import xxhash

EVENTS_PER_MESSAGE = 4096
"""`seq` = offset * 4096 + index: the position of an event in its partition's log."""

SCHEMA_VERSION = 1


class Event(msgspec.Struct, array_like=True, gc=False):
    """Times are microseconds since the epoch, money nano-dollars; "" and None mean: not told."""

    hash: int
    """64-bit xxHash of `event_id`: what an event is recognised by when it comes again."""
    kind: str
    """One of `words.Kind`."""
    task_id: str
    """The task; empty for a cost or an outcome of a whole workflow."""
    task_source: str
    """Where the task id was found: `attribute`, an alias's name, or `trace`."""
    event_id: str
    """`trace_id:span_id` of a span; of a log record `trueup.event.id`, else a hash of the record."""
    at: int
    """End of a span, time of a log record."""
    start: int
    """Start of a span; of a log record the same as `at`; of a workflow's cost the start of its period."""
    tenant: str
    workflow: str
    stage: str
    environment: str
    agent: str
    agent_version: str
    case_type: str
    model: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty: a root span."""
    root: int
    """1: the span speaks for the whole task (no parent, or it carries the claim)."""
    name: str
    """Tool, model, verifier, evaluator, cost category, intervention or outcome: what the kind is about."""
    error_type: str
    input_tokens: int | None
    """Cached tokens included (OpenTelemetry's meaning)."""
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    cost: int | None
    """Nano-dollars."""
    cost_source: str
    """`reported` by the agent, `priced` from tokens, or empty."""
    value: str
    """A claim's outcome, a verdict."""
    explicit: int
    """1: the claim was stated; 0: it was read off the status of a root span."""
    number: int | None
    """Millionths: satisfaction, score, outcome value; of an intervention the human's microseconds."""
    weight: int
    """Millionths: how many tasks a verdict stands for (1 / inclusion probability)."""
    flag: int | None
    """1 complaint, 0 none."""
    attributes: dict[str, str]
    """What else was allowed through by configuration."""


FIELDS: tuple[str, ...] = Event.__struct_fields__

_decoder = msgspec.json.Decoder(Event)
_encoder = msgspec.json.Encoder()

decode_line = _decoder.decode


def event_hash(event_id: str) -> int:
    """The 64-bit identity of an event id."""
    return xxhash.xxh3_64_intdigest(event_id.encode("utf-8", "surrogatepass"))


def encode_line(event: Event) -> bytes:
    """One event as a line of a message, without the line break."""
    return _encoder.encode(event)


def decode_message(payload: bytes) -> list[tuple[Event, bytes]]:
    """The events of a message with the lines they came from. Raises msgspec.DecodeError or ValidationError."""
    lines = payload.split(b"\n")
    if len(lines) > EVENTS_PER_MESSAGE:
        raise msgspec.ValidationError(f"{len(lines)} events in a message; at most {EVENTS_PER_MESSAGE} fit")
    return [(decode_line(line), line) for line in lines]


def encode_message(lines: Iterable[bytes]) -> bytes:
    """The payload of a message of encoded lines."""
    return b"\n".join(lines)


def partition_of(task_key: str, partitions: int) -> int:
    """The partition of `agent.actions` that a task (or a workflow, for what has no task) belongs to."""
    return xxhash.xxh3_64_intdigest(task_key.encode("utf-8", "surrogatepass")) % partitions
