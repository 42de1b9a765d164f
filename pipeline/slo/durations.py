"""OpenSLO's duration shorthand: a positive integer and one of m h d w M Q Y, as in `12h` or `1Q`."""

import re
from dataclasses import dataclass

MINUTES_PER_DAY = 1440
MINUTES_PER_MONTH = 30 * MINUTES_PER_DAY

# Months, quarters and years have a nominal length where no calendar says better, as in the OpenSLO SDK.
_MINUTES = {
    "m": 1,
    "h": 60,
    "d": MINUTES_PER_DAY,
    "w": 7 * MINUTES_PER_DAY,
    "M": MINUTES_PER_MONTH,
    "Q": 3 * MINUTES_PER_MONTH,
    "Y": 365 * MINUTES_PER_DAY,
}
_SHORTHAND = re.compile(r"([1-9][0-9]{0,8})([mhdwMQY])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Duration:
    """A number of one unit; `unit` is case-sensitive: `m` is minutes and `M` is months."""

    count: int
    unit: str

    @property
    def minutes(self) -> int:
        """Length in minutes; nominal (30, 90 and 365 days) for months, quarters and years."""
        return self.count * _MINUTES[self.unit]

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"


def parse_duration(text: str) -> Duration:
    """Read `5m`, `12h`, `4w`, `1M`.

    Raises:
        ValueError: the text is not a positive integer followed by one unit.
    """
    match = _SHORTHAND.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write a positive integer and one of m h d w M Q Y, as in 28d")
    return Duration(int(match[1]), match[2])


def spell_minutes(minutes: int) -> str:
    """The shortest shorthand for a number of minutes: 90 -> `90m`, 4320 -> `3d`."""
    for unit in ("d", "h"):
        if minutes and minutes % _MINUTES[unit] == 0:
            return f"{minutes // _MINUTES[unit]}{unit}"
    return f"{minutes}m"
