"""What the input of a task looked like (`trueup.input.*` of a root span): names, numbers, never content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PREFIX = "trueup.input."
MOST = 64
"""Attributes of a profile, names of a list, and characters of a name."""
_NAME = re.compile(rf"[\w.:/+;=#\[\]-]{{1,{MOST}}}")


def profile(attributes: Mapping[str, Any]) -> tuple[dict[str, str], bool]:
    """What is kept of a span's attributes, and whether that is all that they tell of the input.

    Numbers, booleans, names, and lists of names with commas between them. What has a space or is long is no name.
    """
    told = [name for name in attributes if name.startswith(PREFIX)]
    kept = {
        name: text for name in told[:MOST] if _NAME.fullmatch(name) and (text := _text(attributes[name])) is not None
    }
    return kept, len(kept) == len(told)


def _text(value: Any) -> str | None:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case str() if _NAME.fullmatch(value):
            return value
        case list() if len(value) <= MOST and all(isinstance(v, str) and _NAME.fullmatch(v) for v in value):
            return ",".join(value)
    return None
