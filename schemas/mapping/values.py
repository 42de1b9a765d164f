"""Values as they come, brought to the type a field needs."""

from __future__ import annotations

from typing import Any

from schemas.described import HEXADECIMAL
from schemas.units import UINT64_MAX, OutOfRange, nano_dollars
from schemas.words import Reason

COUNT_MAX = 2**53


class Rejected(Exception):
    """Why a record is a dead letter: a reason of the closed set, and what exactly is wrong."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def text_of(value: Any, attribute: str, limit: int) -> str:
    """A string, or an integer written as one; None is empty. Raises Rejected."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= UINT64_MAX:
        return str(value)
    if not isinstance(value, str):
        raise Rejected(Reason.INVALID_ATTRIBUTE, f"{attribute} is a {type(value).__name__}; it must be a string")
    if 4 * len(value) > limit and (len(value) > limit or len(value.encode("utf-8", "replace")) > limit):
        raise Rejected(
            Reason.LIMIT_EXCEEDED,
            f"{attribute} has {len(value)} characters; limits.text_bytes allows {limit} bytes",
        )
    return value


def is_id(value: str, digits: int) -> bool:
    """Whether this is an OpenTelemetry id: lower-case hexadecimal, and not all zeros."""
    return len(value) == digits and not value.strip(HEXADECIMAL) and bool(value.strip("0"))


def count_of(value: Any) -> int | None:
    """A non-negative whole number in any spelling a framework may use; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 17 else None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    return value if isinstance(value, int) and 0 <= value <= COUNT_MAX else None


class Ignored:
    """Reads fields of foreign conventions: an unusable value is not told, and its field is noted."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def text(self, fields: dict[str, Any], field: str, limit: int) -> str:
        value = fields.get(field)
        if value is None:
            return ""
        try:
            return text_of(value, field, limit)
        except Rejected:
            self.names.add(field)
            return ""

    def count(self, fields: dict[str, Any], field: str, most: int) -> int | None:
        """A number of things, `most` at most."""
        value = fields.get(field)
        if value is None:
            return None
        number = count_of(value)
        if number is None or number > most:
            self.names.add(field)
            return None
        return number

    def cost(self, fields: dict[str, Any], field: str, most: int) -> int | None:
        """Nano-dollars, `most` at most."""
        value = fields.get(field)
        if value is None:
            return None
        try:
            nano = nano_dollars(value)
        except OutOfRange:
            nano = most + 1
        if nano > most:
            self.names.add(field)
            return None
        return nano
