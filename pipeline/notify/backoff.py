"""How long to wait before the next attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_DOUBLINGS = 32
"""Enough to reach any longest pause; keeps the power small."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses in seconds that double from `first` to `longest`, each shortened by chance by up to a half.

    The chance keeps replicas that failed together from coming back together. A receiver that asks for more is given
    it, up to `longest_asked`: what it says by mistake must not silence it for a year.
    """

    first: float = 0.5
    longest: float = 30.0
    longest_asked: float = 300.0

    def pause(self, attempts: int, chance: Callable[[], float]) -> float:
        """Seconds to wait after so many failed attempts (1 or more); `chance` gives a number from 0 to 1."""
        whole: float = min(self.longest, self.first * 2.0 ** min(attempts - 1, _DOUBLINGS))
        return whole * (1 - chance() / 2)

    def asked(self, after: float | None) -> float:
        """Seconds for which a receiver that asks for `after` is left alone; 0 if it asks for nothing."""
        return min(max(after or 0.0, 0.0), self.longest_asked)
