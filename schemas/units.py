"""Units: money is integer nano-dollars, time integer microseconds, weights and scores integer millionths.

Conversions refuse what has no exact meaning (NaN, infinity, a negative cost) instead of guessing.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from schemas.described import described

NANO = 1_000_000_000
MICRO = 1_000_000
MINUTE_US = 60 * MICRO
UINT64_MAX = 2**64 - 1

_HALF_BITS = 6
_LINEAR_BITS = _HALF_BITS + 1


class OutOfRange(ValueError):
    """A number that its unit cannot hold; the text says which and why."""


def nano_dollars(usd: float | str | int) -> int:
    """US dollars as nano-dollars, rounded half to even. Raises OutOfRange for NaN, infinity, below 0, over 10^9."""
    return _scaled(usd, NANO, 0, 10**9, "USD")


def millionths(value: float | str | int, low: float, high: float) -> int:
    """A number of `low`..`high` in millionths. Raises OutOfRange."""
    return _scaled(value, MICRO, low, high, "")


def _scaled(value: float | str | int, scale: int, low: float, high: float, unit: str) -> int:
    if isinstance(value, bool) or not isinstance(value, float | str | int):
        raise OutOfRange(f"a {type(value).__name__} is not a number")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise OutOfRange(f"{value!r} is not a finite number")
        if not low <= value <= high:
            raise OutOfRange(f"{value!r} is outside {low}..{high} {unit}".rstrip())
        return round(value * scale)  # the same rounding as the agent's own float arithmetic would give
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise OutOfRange(f"{described(value)} is not a number") from None
    if not number.is_finite():
        raise OutOfRange(f"{described(value)} is not a finite number")
    if not low <= number <= high:
        raise OutOfRange(f"{described(value)} is outside {low}..{high} {unit}".rstrip())
    return int((number * scale).to_integral_value(ROUND_HALF_EVEN))


def weight(inclusion_probability: int) -> int:
    """How many tasks a sampled verdict stands for, in millionths, from its probability in millionths."""
    return (MICRO * MICRO + inclusion_probability // 2) // inclusion_probability


def bucket(value: int) -> int:
    """Index of the fixed log-linear bucket of a non-negative integer.

    Values below 128 have a bucket each; above, every power of two is split into 64 equal buckets,
    so a bucket is at most 1/64 of its lower bound wide. Integer arithmetic only: the same everywhere.
    """
    shift = value.bit_length() - _LINEAR_BITS
    return value if shift <= 0 else (shift << _HALF_BITS) + (value >> shift)


def bucket_bounds(index: int) -> tuple[int, int]:
    """The smallest and the largest integer of a bucket."""
    if index < 1 << _LINEAR_BITS:
        return index, index
    shift = (index >> _HALF_BITS) - 1
    low = (index - (shift << _HALF_BITS)) << shift
    return low, low + (1 << shift) - 1


def quantile(histogram: dict[int, int], q: float) -> int | None:
    """The q-quantile (0..1) of a bucket histogram, as the middle of its bucket; None when it is empty."""
    total = sum(histogram.values())
    if total == 0:
        return None
    rank, seen = max(1, math.ceil(q * total)), 0
    for index in sorted(histogram):
        seen += histogram[index]
        if seen >= rank:
            low, high = bucket_bounds(index)
            return (low + high) // 2
    raise AssertionError("a histogram's counts are positive")
