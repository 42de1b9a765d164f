"""The two times of this package: one to wait by, one to tell others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

MICRO = 1_000_000


def micros() -> int:
    """Microseconds since the Unix epoch."""
    return time.time_ns() // 1_000


@dataclass(frozen=True, slots=True)
class Clock:
    """`monotonic` gives seconds that never go back, `wall` microseconds since the Unix epoch."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], int] = micros


SYSTEM = Clock()
"""The clock of this machine."""
