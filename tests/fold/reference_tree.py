"""What the spans of a task together tell, in the plainest way: calls told twice, and whether the run failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from schemas.event import Event

NATIVE = {"com.anthropic.sdk.python"}


def repeated(spans: Sequence[Event]) -> set[int]:
    """The hashes of calls that are told by another span too, and better."""
    nested = {
        e.hash
        for e in spans
        if e.kind in ("model_call", "tool_call") and any(_alike(a, e) for a in _ancestors(e, spans))
    }
    calls = [e for e in spans if e.kind == "model_call" and e.response_id and e.hash not in nested]
    return nested | {e.hash for e in calls if any(_tells_better(other, e) for other in calls)}


def _ancestors(e: Event, spans: Sequence[Event]) -> Iterator[Event]:
    for _ in range(64):
        above = [s for s in spans if s.event_id == f"{e.trace_id}:{e.parent_id}"]
        if not above:
            return
        (e,) = above
        yield e


def _alike(above: Event, e: Event) -> bool:
    if above.kind != e.kind or e.kind == "model_call":
        return above.kind == e.kind
    same_call = e.response_id != "" and above.response_id == e.response_id
    return same_call or above.name.split(".")[-1] == e.name.split(".")[-1]


def _tells_better(other: Event, e: Event) -> bool:
    """Another scope's span of the same answer at the same time: not the SDK's own, then the longer one."""
    if other.response_id != e.response_id or other.scope == e.scope:
        return False
    if max(other.start, e.start) > min(other.at, e.at):
        return False
    if (other.scope in NATIVE) != (e.scope in NATIVE):
        return e.scope in NATIVE
    lengths = other.at - other.start, e.at - e.start
    return lengths[0] > lengths[1] or (lengths[0] == lengths[1] and other.hash < e.hash)


def failed(spans: Sequence[Event]) -> bool:
    """Whether the run that these spans tell of went wrong."""
    frames = [e for e in spans if e.kind in ("agent_run", "workflow_run", "step", "other")]
    if not frames:
        return any(e.error_type for e in _last([e for e in spans if e.kind == "model_call"]))
    known = {e.event_id for e in spans}
    roots = [e for e in frames if f"{e.trace_id}:{e.parent_id}" not in known]
    runs = [e for e in frames if e.kind == "agent_run"]
    if len(roots) > 3 and runs:
        return any(e.error_type for e in _last(runs))
    at = _last(roots)
    for _ in range(64):
        if not at or at[0].error_type:
            return bool(at)
        at = _last([e for e in frames if f"{e.trace_id}:{e.parent_id}" == at[0].event_id])
    return False


def _last(spans: Sequence[Event]) -> list[Event]:
    """The span that ended last, if there is any."""
    return sorted(spans, key=lambda e: (e.at, e.hash))[-1:]
