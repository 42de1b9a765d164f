"""What only the spans of a task together tell: which calls are told twice, and whether the run failed.

Instrumentations overlap: an SDK's own span lies under, or beside, the one of an instrumentation, and a
tool server's span under its client's. A root often ends well although the agent below it failed.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Sequence
from itertools import islice

from schemas.event import Event
from schemas.words import ACTIONS, Kind

NATIVE_SCOPES = frozenset({"com.anthropic.sdk.python"})
"""SDKs that tell their own calls. Beside an instrumentation of the same call, theirs is the repetition."""

UNTOLD_SCOPES = frozenset({"autogen-core"})
"""Instrumentations whose agent runs have no spans of model calls: what they used is unknown, not 0."""

MANY_ROOTS = 3
"""With more root spans than this no root speaks for the run; the agent run that ended last does."""

_CALLS = frozenset({Kind.MODEL_CALL, Kind.TOOL_CALL})
_BOUNDS = ACTIONS | {Kind.AGENT_RUN, Kind.WORKFLOW_RUN}
"""What lies below one of these is its own work: an agent that a tool runs makes its own calls."""

DEPTH = 64
"""How far up a span's ancestors are looked at; deeper than any framework nests."""


def repetitions(spans: Collection[Event]) -> set[int]:
    """The hashes of calls that another span of the task tells already.

    - a call whose nearest action or run above is its like: a model call; of a tool call, one with its call id,
      or, where one of the two has none, of its tool;
    - of calls of different scopes that overlap in time and are the same, by their ids or by what they tell,
      all but the one with the greatest merit.
    """
    by_id = {e.event_id: e for e in spans}
    calls = [e for e in spans if e.kind in _CALLS]
    found = {e.hash for e in calls if _below_its_like(e, by_id)}
    named: dict[tuple[object, ...], list[Event]] = {}
    for e in calls:
        if e.hash not in found:
            for name in _names(e):
                named.setdefault(name, []).append(e)
    for same in named.values():
        if len(same) > 1:
            found |= _told_twice(same)
    return found


def _below_its_like(event: Event, by_id: dict[str, Event]) -> bool:
    above = by_id.get(parent_of(event))
    for _ in range(DEPTH):
        if above is None:
            return False
        if above.kind in _BOUNDS:
            return above.kind == event.kind and (event.kind == Kind.MODEL_CALL or _same_tool(above, event))
        above = by_id.get(parent_of(above))
    return False


def _same_tool(one: Event, other: Event) -> bool:
    if one.response_id and other.response_id:
        return one.response_id == other.response_id
    return _tool(one) == _tool(other)


def _tool(event: Event) -> str:
    """The name of a call's tool without that of its server or agent."""
    return event.name.rsplit(".", 1)[-1]


def _names(event: Event) -> Iterator[tuple[object, ...]]:
    """What a call may be known by in another instrumentation: its id; of a model call its model, tokens and failure.

    Calls that tell neither tokens nor a failure have nothing to be known by.
    """
    is_tool = event.kind == Kind.TOOL_CALL
    if event.response_id:
        yield event.kind, event.response_id, _tool(event) if is_tool else ""
    failed, tokens = event.error_type != "", (event.input_tokens, event.output_tokens)
    if not is_tool and (failed or tokens != (None, None)):
        yield event.model, *tokens, failed


def _told_twice(calls: list[Event]) -> set[int]:
    """Of calls that overlap and differ in scope, but not in id where both have one: the one of less merit."""
    found = set()
    calls.sort(key=lambda e: e.start)
    for following, one in enumerate(calls, 1):
        for other in islice(calls, following, None):
            if other.start > one.at:
                break
            ids = {one.response_id, other.response_id} - {""}
            if one.scope != other.scope and len(ids) < 2:
                found.add(min(one, other, key=_merit).hash)
    return found


def _merit(event: Event) -> tuple[bool, bool, bool, str]:
    """How well a call is told: not by the SDK itself, with its cost, with its id; then the scopes have an order.

    Nothing of this call alone, such as its duration: of calls in parallel, each has to find its own repetition.
    """
    return event.scope not in NATIVE_SCOPES, event.cost is not None, event.response_id != "", event.scope


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
