"""What only the spans of a task together tell: which calls are told twice, and whether the run failed.

Instrumentations overlap: an SDK's own span lies under, or beside, the one of an instrumentation, and a
tool server's span under its client's. A root often ends well although the agent below it failed.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence

from schemas.event import Event
from schemas.words import Kind

NATIVE_SCOPES = frozenset({"com.anthropic.sdk.python"})
"""SDKs that tell their own calls. Beside an instrumentation of the same call, theirs is the repetition."""

UNTOLD_SCOPES = frozenset({"autogen-core"})
"""Instrumentations whose agent runs have no spans of model calls: what they used is unknown, not 0."""

MANY_ROOTS = 3
"""With more root spans than this no root speaks for the run; the agent run that ended last does."""

DEPTH = 64
"""How far up a span's ancestors are looked at; deeper than any framework nests."""


def repetitions(spans: Collection[Event]) -> set[int]:
    """The hashes of calls that another span of the task tells already.

    - a model call under a model call;
    - a tool call under a call of the same tool, or with the same call id;
    - of two model calls of different scopes that overlap in time and have the same response id, the
      one of the SDK itself, else the shorter, else the one of the greater hash.
    """
    by_id = {e.event_id: e for e in spans}
    found = {e.hash for e in spans if e.kind in (Kind.MODEL_CALL, Kind.TOOL_CALL) and _under_its_like(e, by_id)}
    answered: dict[str, list[Event]] = {}
    for e in spans:
        if e.kind == Kind.MODEL_CALL and e.response_id and e.hash not in found:
            answered.setdefault(e.response_id, []).append(e)
    for calls in answered.values():
        if len(calls) > 1:
            found |= _told_twice(calls)
    return found


def _under_its_like(event: Event, by_id: dict[str, Event]) -> bool:
    above = by_id.get(parent_of(event))
    for _ in range(DEPTH):
        if above is None:
            return False
        if above.kind == event.kind and (event.kind == Kind.MODEL_CALL or _same_tool(above, event)):
            return True
        above = by_id.get(parent_of(above))
    return False


def _same_tool(one: Event, other: Event) -> bool:
    if one.response_id and one.response_id == other.response_id:
        return True
    return one.name.rsplit(".", 1)[-1] == other.name.rsplit(".", 1)[-1]


def _told_twice(calls: list[Event]) -> set[int]:
    """Of overlapping calls with one response id, all that a better one of another scope tells too."""
    return {
        e.hash
        for e in calls
        for o in calls
        if o.scope != e.scope and o.start <= e.at and e.start <= o.at and _merit(o) > _merit(e)
    }


def _merit(event: Event) -> tuple[bool, int, int]:
    return event.scope not in NATIVE_SCOPES, event.at - event.start, -event.hash


def run_failed(frames: Sequence[Event], spans: Container[str], last_call: Event | None) -> bool:
    """Whether the run failed, by its spans: `frames` are those that are no actions, `spans` the event ids of all.

    From the root that ended last (a root is a frame whose parent is not here) along the child that ended
    last, calls left out, to the end: it failed if any on the way did. With more than MANY_ROOTS roots the
    agent run that ended last decides alone; where there are only calls, the model call that ended last.
    """
    if not frames:
        return last_call is not None and bool(last_call.error_type)
    roots = [e for e in frames if parent_of(e) not in spans]
    runs = [e for e in frames if e.kind == Kind.AGENT_RUN]
    if len(roots) > MANY_ROOTS and runs:
        return bool(max(runs, key=ending).error_type)
    below: dict[str, Event] = {}
    for e in frames:
        held = below.get(parent_of(e))
        if held is None or ending(e) > ending(held):
            below[parent_of(e)] = e
    at: Event | None = max(roots, key=ending, default=None)
    for _ in range(DEPTH):
        if at is None:
            return False
        if at.error_type:
            return True
        at = below.get(at.event_id)
    return False


def parent_of(event: Event) -> str:
    """The event id of a span's parent."""
    return f"{event.trace_id}:{event.parent_id}"


def ending(event: Event) -> tuple[int, int]:
    """The order in which spans ended."""
    return event.at, event.hash
