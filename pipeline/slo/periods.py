"""The period of an error budget: rolling, or aligned with a calendar in an IANA time zone."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline.slo.durations import Duration

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = 1970, 2099
"""The years in which dates of objectives make sense, and can be reckoned with in every time zone."""
_MONTHS = {"M": 1, "Q": 3, "Y": 12}
_DAYS = {"d": 1, "w": 7}


@dataclass(frozen=True, slots=True)
class Period:
    """The minutes start <= minute < end, since the Unix epoch. Time slices are aligned with `slices_from`."""

    start: int
    end: int
    slices_from: int = 0


@dataclass(frozen=True, slots=True)
class RollingWindow:
    """The last `duration` up to now. Budget comes back as bad events age out."""

    duration: Duration

    def period_at(self, now: int) -> Period:
        """The period that ends with the minute `now`, which is part of it."""
        return Period(now + 1 - self.duration.minutes, now + 1)


@dataclass(frozen=True, slots=True)
class CalendarWindow:
    """Periods of `duration` one after another, from `start` on the wall clock of `zone`.

    Days, weeks, months, quarters and years follow the wall clock, so a day has 23 or 25 hours when the
    clock changes, and a month that is too short ends a period on its last day. Minutes and hours are
    elapsed time. A start inside the hour that the clock skips means the moment that hour later.
    """

    duration: Duration
    start: datetime  # naive: wall clock, whole minutes
    zone: ZoneInfo

    def period_at(self, now: int) -> Period | None:
        """The period that contains the minute `now`; None before the first one starts."""
        number = (now - self._boundary(0)) // self.duration.minutes
        # The nominal length is off by days at most, so these loops take few steps.
        while self._boundary(number) > now:
            number -= 1
        while self._boundary(number + 1) <= now:
            number += 1
        if number < 0:
            return None
        start = self._boundary(number)
        return Period(start, self._boundary(number + 1), slices_from=start)

    def _boundary(self, number: int) -> int:
        """The minute in which period `number` starts."""
        count, unit = self.duration.count * number, self.duration.unit
        if unit in _MONTHS:
            return self._minute_of(_add_months(self.start, count * _MONTHS[unit]))
        if unit in _DAYS:
            return self._minute_of(self.start + timedelta(days=count * _DAYS[unit]))
        return self._minute_of(self.start) + self.duration.minutes * number

    def _minute_of(self, wall_clock: datetime) -> int:
        return (wall_clock.replace(tzinfo=self.zone).astimezone(UTC) - _EPOCH) // timedelta(minutes=1)


Window = RollingWindow | CalendarWindow


def _add_months(start: datetime, months: int) -> datetime:
    """Always from the first start, so that the 31st comes back after a short month."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return start.replace(year=year, month=month + 1, day=min(start.day, monthrange(year, month + 1)[1]))
