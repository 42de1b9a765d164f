"""Calendar periods follow the wall clock of their zone; docs/budget-cases.md has more of them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.slo.durations import Duration, parse_duration, spell_minutes
from pipeline.slo.periods import EARLIEST, LATEST, CalendarWindow, Period, RollingWindow

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def minute(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(minutes=1)


@given(
    st.sampled_from(["6h", "1d", "1w", "1M", "1Q", "1Y"]),
    st.sampled_from(ZONES),
    st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31)),  # noqa: DTZ001 - wall clock
    st.integers(0, 3 * 365 * 1440),
)
def test_periods_follow_each_other_without_gap(duration: str, zone: str, start: datetime, ahead: int) -> None:
    window = CalendarWindow(parse_duration(duration), start.replace(second=0, microsecond=0), ZoneInfo(zone))
    first = window.period_at(minute(window.start.replace(tzinfo=window.zone)) + 1500)
    assert first is not None
    now = first.start + ahead
    period = window.period_at(now)
    assert period is not None
    assert period.start <= now < period.end
    assert window.period_at(period.end) == Period(period.end, window.period_at(period.end).end, period.end)  # type: ignore[union-attr]
    assert window.period_at(period.end - 1) == period
    if window.duration.unit in "dwMQY":
        local = (EPOCH + timedelta(minutes=period.end)).astimezone(window.zone)
        # Lord Howe moves its clock by half an hour; a boundary inside the skipped time lies after it.
        assert (local.hour, local.minute) == (start.hour, start.minute) or local.utcoffset() != (
            local - timedelta(hours=2)
        ).utcoffset()


@given(
    st.sampled_from(["1m", "1h", "1d", "1w", "1M", "1Q", "1Y", "400d"]),
    st.timezone_keys(),
    st.datetimes(datetime(EARLIEST, 1, 1), datetime(LATEST, 12, 31, 23, 59)),  # noqa: DTZ001 - wall clock
    st.datetimes(datetime(EARLIEST, 1, 1), datetime(LATEST, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_every_start_that_an_owner_may_write_has_periods_in_every_zone(
    duration: str, zone: str, start: datetime, now: datetime
) -> None:
    period = CalendarWindow(parse_duration(duration), start, ZoneInfo(zone)).period_at(minute(now))
    assert period is None or period.start <= minute(now) < period.end


@pytest.mark.parametrize(("month", "hours"), [(2, 28 * 24), (3, 31 * 24 - 1), (10, 31 * 24 + 1)])
def test_a_month_in_berlin_is_as_long_as_its_clock_says(month: int, hours: int) -> None:
    window = CalendarWindow(Duration(1, "M"), datetime(2026, 1, 1), ZoneInfo("Europe/Berlin"))  # noqa: DTZ001
    period = window.period_at(minute(datetime(2026, month, 15, tzinfo=UTC)))
    assert period is not None
    assert period.end - period.start == hours * 60


def test_before_its_start_a_calendar_has_no_period() -> None:
    window = CalendarWindow(Duration(1, "d"), datetime(2026, 1, 1), ZoneInfo("UTC"))  # noqa: DTZ001
    assert window.period_at(minute(datetime(2025, 12, 31, 23, 59, tzinfo=UTC))) is None


def test_a_rolling_period_ends_with_the_current_minute() -> None:
    assert RollingWindow(Duration(1, "h")).period_at(100) == Period(41, 101)


@pytest.mark.parametrize("text", ["", "5", "m", "0m", "-1d", "1.5h", "1 d", "1x", "1D", "٣d", "5mm"])
def test_what_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@given(st.integers(1, 10**6))
def test_spelled_minutes_read_back(minutes: int) -> None:
    assert parse_duration(spell_minutes(minutes)).minutes == minutes
