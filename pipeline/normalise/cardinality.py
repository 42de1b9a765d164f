"""Keeps dimensions small: in an hour, the first so many values of each are kept, later new ones become `other`.

Each worker counts what it sees itself, so that the limit needs no agreement: with several workers a dimension
has at most as many times more values. Hours are those of the events, as windows are.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from schemas.event import Event
from schemas.words import Kind

OTHER: Final = "other"
"""What a value beyond the limit becomes."""
NOTED: Final = "trueup.limited"
"""The attribute of an event that names the dimensions whose value it lost."""
HOURS_HELD: Final = 24
COMBINATIONS_HELD: Final = 10_000
_HOUR_US: Final = 3_600_000_000


class _Limited(NamedTuple):
    dimension: str
    field: str
    kinds: frozenset[str] | None
    """Of which kinds of event; None: of all."""


LIMITED: Final = (
    *(_Limited(name, name, None) for name in ("tenant", "workflow", "environment", "agent", "agent_version")),
    *(_Limited(name, name, None) for name in ("case_type", "model", "error_type")),
    _Limited("tool", "name", frozenset({Kind.TOOL_CALL})),
    _Limited("evaluator", "name", frozenset({Kind.SCORE, Kind.VERDICT, Kind.FEEDBACK})),
)
_MODELS_NAMED = frozenset({Kind.MODEL_CALL, Kind.EMBEDDING})
_named = frozenset[str]().union(*(limited.kinds for limited in LIMITED if limited.kinds))
_combination = attrgetter("kind", *(limited.field for limited in LIMITED if limited.kinds is None))


class Cardinality:
    """Counts values and replaces those beyond `most` in an hour. Its memory is bounded: see HOURS_HELD."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._hours: dict[int, list[set[str]]] = {}
        self._fine: set[tuple[int, str, tuple[str, ...]]] = set()
        """Combinations of values that lost nothing: most events have one that was seen."""

    def limit(self, event: Event) -> Sequence[str]:
        """Replace what is too much in an event; the names of the dimensions that it lost."""
        hour = event.at // _HOUR_US
        seen = (hour, event.name if event.kind in _named else "", _combination(event))
        if seen in self._fine:
            return ()
        lost = self._lost(event, hour)
        if lost:
            if "model" in lost and event.kind in _MODELS_NAMED:
                event.name = OTHER
            event.attributes[NOTED] = ",".join(lost)
            return lost
        if len(self._fine) >= COMBINATIONS_HELD:
            self._fine.clear()
        self._fine.add(seen)
        return ()

    def _lost(self, event: Event, hour: int) -> list[str]:
        lost: list[str] = []
        for (dimension, field, kinds), values in zip(LIMITED, self._seen(hour), strict=True):
            value = getattr(event, field)
            if not value or value in values or (kinds is not None and event.kind not in kinds):
                continue
            if len(values) < self._most:
                values.add(value)
                continue
            setattr(event, field, OTHER)
            lost.append(dimension)
        return lost

    def _seen(self, hour: int) -> list[set[str]]:
        """The values of each dimension in an hour. Of the hours, those seen first are forgotten first."""
        seen = self._hours.get(hour)
        if seen is None:
            if len(self._hours) >= HOURS_HELD:
                del self._hours[next(iter(self._hours))]
            seen = self._hours[hour] = [set() for _ in LIMITED]
        return seen
