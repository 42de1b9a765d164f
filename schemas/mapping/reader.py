"""Reads the table: picks an attribute's value for each field of a record, own names and aliases first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from schemas.mapping.table import KINDS, OWN, ROWS
from schemas.words import Kind

Fields = dict[str, Any]
"""What was found: field of the table -> value as it came."""


class _Target(NamedTuple):
    field: str
    rank: int
    path: tuple[str, ...]
    """Keys to follow within the attribute when it holds JSON; empty: the attribute itself."""


class Reader:
    """Finds fields in attributes. `aliases` maps an attribute of the contract to other names for it."""

    def __init__(self, aliases: Mapping[str, Sequence[str]] | None = None) -> None:
        self._targets: dict[str, list[_Target]] = {}
        self._names: dict[tuple[str, int], str] = {}
        by_attribute = {row.attribute: row.field for row in ROWS if row.convention == OWN}
        self._aliased = {by_attribute[name]: name for name in aliases or () if name in by_attribute}
        for rank, row in enumerate(ROWS):
            # the contract's own names, then the user's aliases, then the conventions
            self._add(row.attribute, row.field, rank if row.convention == OWN else rank + 10_000, ())
        for attribute, names in (aliases or {}).items():
            if attribute not in by_attribute:
                raise ValueError(f"{attribute} is not an attribute of the contract: {', '.join(by_attribute)}")
            for rank, name in enumerate(names):
                self._add(name, by_attribute[attribute], 1_000 + rank, ())
                parts = name.split(".")
                for cut in range(1, len(parts)):
                    self._add(".".join(parts[:cut]), by_attribute[attribute], 1_000 + rank, tuple(parts[cut:]), name)

    def _add(self, attribute: str, field: str, rank: int, path: tuple[str, ...], name: str | None = None) -> None:
        self._targets.setdefault(attribute, []).append(_Target(field, rank, path))
        self._names[field, rank] = name or attribute

    def read(self, attributes: Mapping[str, Any]) -> tuple[Fields, dict[str, str]]:
        """The fields found, and under which attribute name each was found."""
        fields: Fields = {}
        ranks: dict[str, int] = {}
        targets = self._targets
        for attribute, value in attributes.items():
            for field, rank, path in targets.get(attribute, ()):
                found = value if not path else _within(value, path)
                if found is not None and found != "" and (field not in ranks or rank < ranks[field]):
                    fields[field], ranks[field] = found, rank
        return fields, {field: self._names[field, rank] for field, rank in ranks.items()}

    def renamed(self, fields: Fields) -> Fields:
        """What was found of the attributes that have aliases, under their names of the contract."""
        return {name: fields[field] for field, name in self._aliased.items() if field in fields}


def _within(value: Any, path: tuple[str, ...]) -> Any:
    """Follow keys into an attribute that is a map, or a string that holds JSON."""
    if isinstance(value, str):
        if not value.lstrip().startswith("{"):
            return None
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return None
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value if isinstance(value, str | int | float | bool) else None


def classify(fields: Fields) -> Kind:
    """What a span is, by the first row of KINDS that fits."""
    best = _NO_KIND
    for field in _KIND_FIELDS:
        value = fields.get(field)
        if isinstance(value, str):
            best = min(best, _KINDS.get((field, value), best))
    return best[1]


_KINDS = {(row.field, row.value): (rank, row.kind) for rank, row in reversed(list(enumerate(KINDS)))}
_NO_KIND = (len(KINDS), Kind.OTHER)
_KIND_FIELDS = tuple(dict.fromkeys(row.field for row in KINDS))
