"""Which burn-rate windows apply: the cited rows of `windows.yaml`, fitted to a period and a target."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

from pipeline.slo.durations import parse_duration, spell_minutes

SHORT_DIVISOR = 12
_SHARE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(?:/([0-9]{1,9}))?\s*(%)?", re.ASCII)


class Severity(StrEnum):
    """How loud: a page wakes someone, a ticket waits for the morning."""

    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class Pair:
    """Fires while the burn rate of both windows (in minutes) is above `threshold`, or at it if `inclusive`.

    `after` is how many minutes that must have lasted.
    """

    severity: Severity
    long: int
    short: int
    threshold: Fraction
    inclusive: bool = False
    after: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.short <= self.long:
            raise ValueError(f"a short window of {self.short}m does not fit in a long window of {self.long}m")
        if self.threshold <= 0:
            raise ValueError(f"a burn-rate threshold of {self.threshold} is always exceeded: choose more than 0")

    def reachable(self, target: Fraction) -> bool:
        """Whether any bad share up to 100% can fire at this target."""
        limit = self.threshold * (1 - target)
        return limit <= 1 if self.inclusive else limit < 1

    def __str__(self) -> str:
        return f"{self.severity} {spell_minutes(self.long)}/{spell_minutes(self.short)} x{float(self.threshold):.4g}"


@dataclass(frozen=True, slots=True)
class Guard:
    """The low-traffic guard; `GUARD_OFF` leaves the workbook's plain rule.

    A pair begins to fire only with at least `min_bad` bad events in its long window; more, if `false_alerts`
    is given (expected at most per 30 days, of an agent at `reference_burn`). The short window is stretched
    back until it holds `recent` events, both to fire and to resolve.
    """

    min_bad: int
    recent: int
    reference_burn: Fraction
    false_alerts: tuple[tuple[Severity, Fraction], ...]


GUARD_OFF = Guard(min_bad=0, recent=0, reference_burn=Fraction(1, 2), false_alerts=())


@dataclass(frozen=True, slots=True)
class CitedRow:
    """One line of `windows.yaml`."""

    name: str
    severity: Severity
    budget: Fraction
    long: int
    room: Fraction
    source: str

    def pair(self, period: int, target: Fraction | None) -> Pair | None:
        """Fit the row to a period (minutes) and, if given, a target; None if they leave no room for it."""
        longest = int(self.budget * period)
        long = min(self.long, longest)
        if target is not None:
            allowed_bad = 1 - target
            limit = allowed_bad + self.room * target
            spent_at_limit = self.budget * period * allowed_bad / limit
            long = min(max(long, _round_up(spent_at_limit)), longest)
        long = long // SHORT_DIVISOR * SHORT_DIVISOR
        if not long:
            return None
        pair = Pair(self.severity, long, long // SHORT_DIVISOR, self.budget * period / long)
        return pair if target is None or pair.reachable(target) else None


@lru_cache(maxsize=1)
def cited_rows() -> tuple[CitedRow, ...]:
    """The rows of `windows.yaml`, in order."""
    return tuple(
        CitedRow(
            name=row["name"],
            severity=Severity(row["severity"]),
            budget=parse_share(row["budget"]),
            long=parse_duration(row["long"]).minutes,
            room=parse_share(row["room"]),
            source=row["source"],
        )
        for row in _data()["rows"]
    )


@lru_cache(maxsize=1)
def default_guard() -> Guard:
    """The low-traffic guard of `windows.yaml`."""
    guard = _data()["guard"]
    return Guard(
        min_bad=guard["min_bad_events"],
        recent=guard["recent_events"],
        reference_burn=parse_share(guard["reference_burn"]),
        false_alerts=tuple((Severity(name), parse_share(share)) for name, share in guard["false_alerts"].items()),
    )


def workbook_pairs(period: int) -> tuple[Pair, ...]:
    """The SRE Workbook's rows, thresholds scaled to a period in minutes, whether reachable or not."""
    return _distinct(row.pair(period, None) for row in cited_rows())


@lru_cache(maxsize=4096)
def default_pairs(period: int, target: Fraction) -> tuple[Pair, ...]:
    """The default rule for a period in minutes and a target: every pair can fire. Empty below a period of 2 h."""
    return _distinct(row.pair(period, target) for row in cited_rows())


def parse_share(text: str | int) -> Fraction:
    """Read `2%`, `1/3`, `0.2` or `1` exactly; not negative, at most nine digits.

    Raises:
        ValueError: none of these.
    """
    match = _SHARE.fullmatch(str(text).strip())
    if match is None or (match[2] and int(match[2]) == 0):
        raise ValueError(f"{text!r} is not a share: write 20%, 1/5 or 0.2")
    return Fraction(match[1]) / int(match[2] or 1) / (100 if match[3] else 1)


def _round_up(minutes: Fraction) -> int:
    return -(-minutes // SHORT_DIVISOR) * SHORT_DIVISOR


def _distinct(pairs: Iterable[Pair | None]) -> tuple[Pair, ...]:
    return tuple(dict.fromkeys(pair for pair in pairs if pair is not None))


def _data() -> Any:
    return yaml.safe_load(files(__package__).joinpath("windows.yaml").read_text("utf-8"))
