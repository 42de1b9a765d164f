"""What a task's spans tell: its actions, each counted once, and the frames around them."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.fold.tree import UNTOLD_SCOPES, parent_of, repetitions, run_failed
from schemas.event import Event
from schemas.rows import TaskRow
from schemas.units import bucket
from schemas.words import Kind

# Bound once: reading a member of an enumeration takes as long as a call.
_MODEL_CALL, _TOOL_CALL = Kind.MODEL_CALL, Kind.TOOL_CALL
_EMBEDDING = Kind.EMBEDDING
_SETUP, _AGENT_RUN = Kind.SETUP, Kind.AGENT_RUN
_FRAME_COSTS = frozenset({Kind.STEP, Kind.OTHER})
"""Frames whose cost is their own; that of a run below the root repeats its steps."""


class Spans:
    """The spans of one task: what they add up to is in its row, and later ones are compared with them."""

    __slots__ = (
        "_calls",
        "_frames",
        "_last_call",
        "_parents",
        "_repeated",
        "_scopes",
        "_spans",
        "_tangled",
        "_tool_scopes",
        "row",
    )

    def __init__(self, row: TaskRow) -> None:
        self.row = row
        self._spans: list[Event] = []
        self._frames: list[Event] = []
        self._scopes: set[str] = set()
        self._tool_scopes: set[str] = set()
        self._calls: set[str] = set()
        """Event ids of model and tool calls; and of the parents of all spans. Where they meet, or calls of
        a kind have several scopes, a call may be told twice: `_tangled`."""
        self._parents: set[str] = set()
        self._tangled = False
        self._repeated: set[int] = set()
        self._last_call: Event | None = None

    def frame(self, event: Event) -> None:
        """Take in a span that groups others."""
        row = self.row
        self._spans.append(event)
        self._parents.add(parent_of(event))
        if not row.start_at or event.start < row.start_at:
            row.start_at = event.start
        if event.kind == _SETUP:
            return
        self._frames.append(event)
        if event.kind == _AGENT_RUN and event.scope in UNTOLD_SCOPES:
            row.untold_runs += 1
            row.untold_successes += not event.error_type
        if event.cost is not None and not event.root and event.kind in _FRAME_COSTS:
            row.costs["tool"] = row.costs.get("tool", 0) + event.cost

    def actions(self, events: Sequence[Event]) -> tuple[int, int]:
        """Take in actions: most events are. Returns when the first and the last of them ended (µs)."""
        row = self.row
        self._count(events, 1)
        self._spans += events
        start = first = last = events[0].at
        trace_id = parent_id = None
        latest = self._last_call
        for event in events:
            at = event.at
            if event.start < start:
                start = event.start
            if at < first:
                first = at
            if at > last:
                last = at
            if event.parent_id != parent_id or event.trace_id != trace_id:
                trace_id, parent_id = event.trace_id, event.parent_id
                self._parents.add(parent_of(event))
            kind = event.kind
            if kind is _TOOL_CALL:
                self._calls.add(event.event_id)
                self._tool_scopes.add(event.scope)
            elif kind is _MODEL_CALL:
                self._calls.add(event.event_id)
                self._scopes.add(event.scope)
                if latest is None or at > latest.at or (at == latest.at and event.hash > latest.hash):
                    latest = event
        self._last_call = latest
        if not row.start_at or start < row.start_at:
            row.start_at = start
        return first, last

    def _count(self, events: Sequence[Event], sign: int) -> None:
        """Count actions, or take them back (`sign` -1) where they turned out to repeat others."""
        row, latency, users = self.row, self.row.latency_us, list[Event]()
        errors = tools = tool_errors = step_cost = 0
        for event in events:
            index = bucket(event.at - event.start)
            latency[index] = latency.get(index, 0) + sign
            failed, kind, cost = event.error_type != "", event.kind, event.cost
            errors += failed
            if kind is _TOOL_CALL:
                tools += 1
                tool_errors += failed
                if cost is not None and not event.root:
                    row.costs["tool"] = row.costs.get("tool", 0) + sign * cost
                continue
            if kind is _MODEL_CALL or kind is _EMBEDDING:
                users.append(event)
            if cost is not None and not event.root:
                step_cost += cost
        row.actions += sign * len(events)
        row.action_errors += sign * errors
        row.tool_calls += sign * tools
        row.tool_errors += sign * tool_errors
        row.step_cost += sign * step_cost
        if users:
            self._count_use(users, sign)
        if sign < 0:
            for index in [index for index, n in latency.items() if not n]:
                del latency[index]

    def _count_use(self, users: Sequence[Event], sign: int) -> None:
        row = self.row
        calls = known = unpriced = told_in = told_out = read = written = reasoning = 0
        for event in users:
            tokens_in, tokens_out = event.input_tokens, event.output_tokens
            told_in += tokens_in or 0
            told_out += tokens_out or 0
            read += event.cache_read_tokens or 0
            written += event.cache_write_tokens or 0
            reasoning += event.reasoning_tokens or 0
            told = tokens_in is not None or tokens_out is not None
            used_nothing = not told and event.error_type != ""
            unpriced += event.cost is None and not used_nothing
            if event.kind is _MODEL_CALL:
                calls += 1
                known += told or used_nothing
        row.model_calls += sign * calls
        row.usage_known += sign * known
        row.unpriced += sign * unpriced
        row.input_tokens += sign * told_in
        row.output_tokens += sign * told_out
        row.cache_read_tokens += sign * read
        row.cache_write_tokens += sign * written
        row.reasoning_tokens += sign * reasoning

    def conclude(self) -> None:
        """Bring up to date what only the spans together tell."""
        if not self._tangled:
            several = len(self._scopes) > 1 or len(self._tool_scopes) > 1
            self._tangled = several or not self._parents.isdisjoint(self._calls)
        if self._tangled:
            repeated = repetitions(self._spans)
            gone, back = repeated - self._repeated, self._repeated - repeated
            self._count([e for e in self._spans if e.hash in gone], -1)
            self._count([e for e in self._spans if e.hash in back], 1)
            self._repeated = repeated

    def run_failed(self) -> bool:
        """Whether the run failed, by its spans."""
        ids = {event.event_id for event in self._spans} if self._frames else ()
        return run_failed(self._frames, ids, self._last_call)
