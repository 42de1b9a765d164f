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
_CALLS = frozenset({Kind.MODEL_CALL, Kind.TOOL_CALL})
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
        row = self.row
        earliest = min([e.start for e in events])
        if earliest < row.start_at or not row.start_at:
            row.start_at = earliest
        self._count(events, 1)
        self._spans += events
        self._parents.update(map(parent_of, events))
        self._calls.update([e.event_id for e in events if e.kind in _CALLS])
        for event in [e for e in events if e.kind == _MODEL_CALL]:
            self._scopes.add(event.scope)
            if self._last_call is None or ending(event) > ending(self._last_call):
                self._last_call = event

    def _count(self, events: Sequence[Event], sign: int) -> None:
        """Count actions, or take them back (`sign` -1) where they turned out to repeat others."""
        row, latency = self.row, self.row.latency_us
        row.actions += sign * len(events)
        row.action_errors += sign * len([e for e in events if e.error_type])
        for event in events:
            index = bucket(event.at - event.start)
            latency[index] = latency.get(index, 0) + sign
            if not latency[index]:
                del latency[index]
        if tools := [e for e in events if e.kind == _TOOL_CALL]:
            row.tool_calls += sign * len(tools)
            row.tool_errors += sign * len([e for e in tools if e.error_type])
        if users := [e for e in events if e.kind in _MODEL_USE]:
            self._count_use(users, sign)
        for event in [e for e in events if e.cost is not None and not e.root]:
            cost = sign * (event.cost or 0)
            if event.kind == _TOOL_CALL:
                row.costs["tool"] = row.costs.get("tool", 0) + cost
            else:
                row.step_cost += cost

    def _count_use(self, users: Sequence[Event], sign: int) -> None:
        row, calls = self.row, [e for e in users if e.kind == _MODEL_CALL]
        silent = [e for e in calls if e.input_tokens is None and e.output_tokens is None]
        used_nothing = [e for e in silent if e.error_type]
        free = [e for e in used_nothing if e.cost is None]
        row.model_calls += sign * len(calls)
        row.usage_known += sign * (len(calls) - len(silent) + len(used_nothing))
        row.unpriced += sign * (len([e for e in calls if e.cost is None]) - len(free))
        row.input_tokens += sign * sum([e.input_tokens or 0 for e in users])
        row.output_tokens += sign * sum([e.output_tokens or 0 for e in users])
        row.cache_read_tokens += sign * sum([e.cache_read_tokens or 0 for e in users])
        row.cache_write_tokens += sign * sum([e.cache_write_tokens or 0 for e in users])
        row.reasoning_tokens += sign * sum([e.reasoning_tokens or 0 for e in users])

    def conclude(self) -> None:
        """Bring up to date what only the spans together tell."""
        if not self._tangled:
            self._tangled = len(self._scopes) > 1 or not self._parents.isdisjoint(self._calls)
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
