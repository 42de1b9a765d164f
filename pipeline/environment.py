"""Environment variables that are nearly ours: a setting that somebody thinks is set, and is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import NamedTuple

from pipeline.config import Section, Settings, variable

NOT_SETTINGS = ("TRUEUP_CONFIG", "TRUEUP_DEBUG")
SDK = "TRUEUP_KAFKA_"
ALIKE = 0.9
"""How alike two names are, from 0 to 1, where one is taken for the other."""


class Nearly(NamedTuple):
    """A variable that nothing here reads, and the one that was probably meant."""

    name: str
    meant: str

    def __str__(self) -> str:
        sdk = ", except for an agent's SDK" if self.name.startswith(SDK) and "__" not in self.name else ""
        return f"{self.name} is set, and nothing reads it{sdk}; the setting is {self.meant}"


def nearly_ours(environment: Mapping[str, str]) -> list[Nearly]:
    """Those that nearly have a name of ours, unless what was meant is set as well. Their case does not matter."""
    ours = set(_variables())
    given = {name.upper() for name in environment}
    found = []
    for name in sorted(given - ours):
        if name.startswith("TRUEUP_") and not any(name.startswith(f"{each}__") for each in ours):
            meant = get_close_matches(name, ours, 1, ALIKE)
            if meant and meant[0] not in given:
                found.append(Nearly(name, meant[0]))
    return found


def _variables() -> Iterator[str]:
    """Every variable that is read; a section may also be given whole, and maps have names of their own below."""
    yield from NOT_SETTINGS
    for name, field in Settings.model_fields.items():
        yield variable(name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from (variable(f"{name}.{inner}") for inner in field.annotation.model_fields)
