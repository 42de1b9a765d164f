"""What the spans of a task together tell, in the plainest way: calls told twice, and whether the run failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from schemas.event import Event

NATIVE = {"com.anthropic.sdk.python"}


def repeated(spans: Sequence[Event]) -> set[int]:
    """The hashes of calls that are told by another span too, and better."""
    calls = [e for e in spans if e.kind in ("model_call", "tool_call")]
    nested = {e.hash for e in calls if any(_alike(above, e) for above in _work_above(e, spans)[:1])}
    calls = [e for e in calls if e.hash not in nested]
    return nested | {e.hash for e in calls if any(_tells_better(other, e) for other in calls)}


def _work_above(e: Event, spans: Sequence[Event]) -> list[Event]:
    """Actions and runs among the ancestors, the nearest first."""
    return [a for a in _ancestors(e, spans) if a.kind not in ("step", "setup", "other")]


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
    if "" not in (above.response_id, e.response_id):
        return above.response_id == e.response_id
    return _tool(above) == _tool(e)


def _tool(e: Event) -> str:
    return e.name.split(".")[-1]


def _tells_better(other: Event, e: Event) -> bool:
    """Another scope's span of the same call at the same time, which is not the SDK's own, or tells more."""
    if other.kind != e.kind or other.scope == e.scope or max(other.start, e.start) > min(other.at, e.at):
        return False
    if not _same_call(other, e):
        return False
    if (other.scope in NATIVE) != (e.scope in NATIVE):
        return e.scope in NATIVE
    if (other.cost is None) != (e.cost is None):
        return e.cost is None
    if bool(other.response_id) != bool(e.response_id):
        return bool(other.response_id)
    return other.scope > e.scope


def _same_call(one: Event, other: Event) -> bool:
    ids = [e.response_id for e in (one, other) if e.response_id]
    if len(ids) == 2:
        return ids[0] == ids[1] and (one.kind == "model_call" or _tool(one) == _tool(other))
    if one.kind == "tool_call" or bool(one.error_type) != bool(other.error_type) or one.model != other.model:
        return False
    tokens = [(e.input_tokens, e.output_tokens) for e in (one, other)]
    return tokens[0] == tokens[1] and (tokens[0] != (None, None) or bool(one.error_type))


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
