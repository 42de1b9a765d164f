"""Checks of arguments at the call: a bad value is refused here, not days later in the pipeline."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from numbers import Real
from uuid import UUID

LONGEST_NAME = 256
"""Characters of a task id, workflow, case type, verifier and the like."""
SMALLEST_PROBABILITY = 0.0001
"""A verdict may stand for at most 10,000 tasks."""
MOST_USD = 1e9
MOST_MINUTES = 100_000
LARGEST_VALUE = 1e9
"""Of a business outcome, either side of 0."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_NS = 10**17
"""1973. A smaller time was meant as seconds, milliseconds or microseconds."""
_LATEST_NS = 2**63 - 1


class InvalidArgumentError(ValueError):
    """An argument that the telemetry contract does not allow; the text says which and what is allowed."""


def one_of(words: type[StrEnum], value: object, name: str) -> str:
    """`value` as one of the words of an enumeration."""
    try:
        return words(str(value)).value
    except ValueError:
        allowed = ", ".join(words)
        raise InvalidArgumentError(f"{name} is {_shown(value)}; it must be one of: {allowed}") from None


def text(value: object, name: str) -> str:
    """A name or an id of 1 to 256 characters; integers and UUIDs are written out."""
    if isinstance(value, int | UUID) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value or len(value) > LONGEST_NAME:
        raise InvalidArgumentError(f"{name} is {_shown(value)}; it must be a string of 1 to {LONGEST_NAME} characters")
    return value


def texts(values: object, name: str) -> tuple[str, ...]:
    """Several names. A single string is a mistake: its letters would be taken as names."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidArgumentError(f"{name} is {_shown(values)}; it must be a list of names")
    return tuple(text(value, name) for value in values)


def number(value: object, low: float, high: float, name: str) -> float:
    """A finite number of `low` to `high`."""
    if isinstance(value, Real | Decimal) and not isinstance(value, bool):
        result = float(value)
        if math.isfinite(result) and low <= result <= high:
            return result
    raise InvalidArgumentError(f"{name} is {_shown(value)}; it must be a number from {low:g} to {high:g}")


def flag(value: object, name: str) -> bool:
    """True or False, and nothing that merely looks like it."""
    if isinstance(value, bool):
        return value
    raise InvalidArgumentError(f"{name} is {_shown(value)}; it must be True or False")


def nanoseconds(value: object, name: str) -> int:
    """A time as nanoseconds since the epoch: an aware datetime, or those nanoseconds."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidArgumentError(
                f"{name} is {value.isoformat()} without a time zone; add one, such as datetime.UTC"
            )
        return (value - _EPOCH) // timedelta(microseconds=1) * 1000
    if isinstance(value, int) and not isinstance(value, bool) and _EARLIEST_NS <= value <= _LATEST_NS:
        return value
    raise InvalidArgumentError(
        f"{name} is {_shown(value)}; it must be an aware datetime or nanoseconds since the epoch"
    )


def _shown(value: object) -> str:
    """Enough of a value to recognise it by, and not a whole document that was passed by mistake."""
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
