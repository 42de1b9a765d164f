"""Verdicts come late: how long to wait until most of them are there, as measured."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.slo.durations import spell_minutes


class Verdicts(NamedTuple):
    """How many tasks that finished in one minute got their verdict in another."""

    finished: int
    arrived: int
    tasks: int


@dataclass(frozen=True, slots=True)
class Maturity:
    """How long to wait: a fixed number of minutes, or until `percent` of the verdicts have come, as measured."""

    minutes: int | None = None
    percent: int = 95

    def __str__(self) -> str:
        return f"p{self.percent}" if self.minutes is None else spell_minutes(self.minutes)

    def lag(self, verdicts: Iterable[Verdicts], now: int, horizon: int) -> int | None:
        """Minutes to wait; None if nothing has been measured yet.

        Only tasks that finished at least `horizon` minutes ago are measured: of younger ones the quick
        verdicts have come and the slow ones have not. Verdicts slower than `horizon` are cut off there.
        """
        if self.minutes is not None:
            return self.minutes
        counts: dict[int, int] = defaultdict(int)
        for finished, arrived, tasks in verdicts:
            if finished <= now - horizon:
                counts[min(arrived - finished, horizon)] += tasks
        needed, seen = sum(counts.values()) * self.percent, 0
        for lag in sorted(counts):
            seen += counts[lag]
            if seen * 100 >= needed:
                return lag
        return None
