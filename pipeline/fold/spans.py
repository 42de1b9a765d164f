"""What a task's spans tell: its actions, each counted once, and the frames around them."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.fold.tree import UNTOLD_SCOPES, ending, parent_of, repetitions, run_failed
from schemas.event import Event
from schemas.rows import TaskRow
from schemas.units import bucket
from schemas.words import Kind

# Bound once: reading a member of an enumeration takes as long as a call.
_MODEL_CALL, _TOOL_CALL = Kind.MODEL_CALL, Kind.TOOL_CALL
_MODEL_USE = frozenset({Kind.MODEL_CALL, Kind.EMBEDDING})
_SETUP, _AGENT_RUN = Kind.SETUP, Kind.AGENT_RUN
_FRAME_COSTS = frozenset({Kind.STEP, Kind.OTHER})
"""Frames whose cost is their own; that of a run below the root repeats its steps."""


class Spans:
    """The spans of one task: what they add up to is in its row, and later ones are compared with them."""

    __slots__ = ("_calls", "_frames", "_last_call", "_parents", "_repeated", "_scopes", "_spans", "_tangled", "row")

    def __init__(self, row: TaskRow) -> None:
        self.row = row
        self._spans: list[Event] = []
        self._frames: list[Event] = []
        self._scopes: set[str] = set()
        self._calls: set[str] = set()
        """Event ids of model and tool calls; and of the parents of all spans. Where they meet, or model calls
        have several scopes, a call may be told twice: `_tangled`."""
        self._parents: set[str] = set()
        self._tangled = False
        self._repeated: set[int] = set()
        self._last_call: Event | None = None

    def frame(self, event: Event) -> None:
        """Take in a span that groups others."""
        row = self.row
        self._spans.append(event)
        self._parents.add(parent_of(event))
        if parent_of(event) in self._calls:
            self._tangled = True
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

    def actions(self, events: Sequence[Event]) -> None:
        """Take in actions. Most events are actions, so this is where the time goes."""
        row, parents, calls = self.row, self._parents, self._calls
        start_at = row.start_at
        for event in events:
            start, kind = event.start, event.kind
            if start < start_at or not start_at:
                start_at = start
            if kind == _MODEL_CALL:
                calls.add(event.event_id)
                self._scopes.add(event.scope)
                if self._last_call is None or ending(event) > ending(self._last_call):
                    self._last_call = event
            elif kind == _TOOL_CALL:
                calls.add(event.event_id)
            parents.add(parent_of(event))
            self._count(event, 1)
            self._spans.append(event)
        row.start_at = start_at
        if not self._tangled:
            self._tangled = len(self._scopes) > 1 or not parents.isdisjoint(calls)

    def _count(self, event: Event, sign: int) -> None:
        """Count an action, or take it back (`sign` -1) where it turned out to repeat another."""
        row, kind = self.row, event.kind
        row.actions += sign
        if event.error_type:
            row.action_errors += sign
        index, latency = bucket(event.at - event.start), row.latency_us
        count = latency.get(index, 0) + sign
        if count:
            latency[index] = count
        else:
            del latency[index]
        if kind == _TOOL_CALL:
            row.tool_calls += sign
            if event.error_type:
                row.tool_errors += sign
        elif kind in _MODEL_USE:
            self._count_use(event, sign)
        if event.cost is not None and not event.root:
            if kind == _TOOL_CALL:
                row.costs["tool"] = row.costs.get("tool", 0) + sign * event.cost
            else:
                row.step_cost += sign * event.cost

    def _count_use(self, event: Event, sign: int) -> None:
        row = self.row
        told = event.input_tokens is not None or event.output_tokens is not None
        used_nothing = bool(event.error_type) and not told
        if event.kind == _MODEL_CALL:
            row.model_calls += sign
            row.usage_known += sign * (told or used_nothing)
            row.unpriced += sign * (event.cost is None and not used_nothing)
        if event.input_tokens:
            row.input_tokens += sign * event.input_tokens
        if event.output_tokens:
            row.output_tokens += sign * event.output_tokens
        if event.cache_read_tokens:
            row.cache_read_tokens += sign * event.cache_read_tokens
        if event.cache_write_tokens:
            row.cache_write_tokens += sign * event.cache_write_tokens
        if event.reasoning_tokens:
            row.reasoning_tokens += sign * event.reasoning_tokens

    def conclude(self) -> None:
        """Bring up to date what only the spans together tell."""
        if self._tangled:
            repeated = repetitions(self._spans)
            for event in self._spans:
                if (event.hash in repeated) != (event.hash in self._repeated):
                    self._count(event, -1 if event.hash in repeated else 1)
            self._repeated = repeated

    def run_failed(self) -> bool:
        """Whether the run failed, by its spans."""
        ids = {event.event_id for event in self._spans} if self._frames else ()
        return run_failed(self._frames, ids, self._last_call)
