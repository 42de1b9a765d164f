"""What an SLO promises: the period of its budget, the target, how it is counted, and the cap of a task's value."""

from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pipeline.slo.budget import Method, Terms
from pipeline.slo.durations import parse_duration, spell_minutes
from pipeline.slo.explain import nearest
from pipeline.slo.metrics import Kind, Metric
from pipeline.slo.objective import Cap
from pipeline.slo.openslo import Calendar, ObjectiveSpec, TimeWindow
from pipeline.slo.periods import EARLIEST, LATEST, CalendarWindow, RollingWindow, Window
from pipeline.slo.slices import Slicing
from pipeline.slo.source import Findings, Path
from pipeline.slo.windows import default_pairs

_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


def read_window(windows: list[TimeWindow] | None, retention: int, findings: Findings) -> Window | None:
    """The period of the budget, which must fit into what is kept (minutes)."""
    path: Path = ("spec", "timeWindow")
    if not windows:
        findings.report(("spec",), "timeWindow is required", "add `timeWindow: [{duration: 30d, isRolling: true}]`")
        return None
    window, here = windows[0], (*path, 0)
    duration = parse_duration(window.duration)
    if duration.minutes > retention:
        what = f"a window of {duration} is longer than the counts are kept ({spell_minutes(retention)})"
        findings.report((*here, "duration"), what, "shorten the window, or raise the retention")
        return None
    if not default_pairs(duration.minutes, Fraction(1, 2)):
        what = f"a window of {duration} is too short to alert on"
        findings.report((*here, "duration"), what, "make it at least 2h")
        return None
    if window.is_rolling and window.calendar is None:
        return RollingWindow(duration)
    if window.is_rolling or window.calendar is None:
        what = "a window is either rolling or has a calendar"
        findings.report(here, what, "write `isRolling: true`, or `calendar:` with startTime and timeZone")
        return None
    moment = _calendar_start(window.calendar, findings, (*here, "calendar"))
    return CalendarWindow(duration, *moment) if moment else None


def read_terms(
    spec: ObjectiveSpec, method: Method, window: Window | None, findings: Findings, path: Path
) -> Terms | None:
    """The target and how it is counted."""
    target = _target(spec, findings, path)
    slicing = _slicing(spec, method, window, findings, path)
    if target is None or (method is not Method.OCCURRENCES and slicing is None):
        return None
    return Terms(target, method, slicing)


def read_cap(spec: ObjectiveSpec, metric: Metric, findings: Findings, path: Path) -> Cap | None:
    """The limit of a task's value, for metrics that have one."""
    if metric.kind is Kind.RATE:
        for field, value in (("op", spec.op), ("value", spec.value)):
            if value is not None:
                what = f"{field} is for values of tasks, but {metric.name} is a ratio"
                findings.report((*path, field), what, f"remove `{field}:`")
        return None
    either = metric.at_most is None
    right = ("lte", "lt") if metric.at_most else ("gte", "gt")
    if spec.op is None or spec.value is None:
        what = f"{metric.name} needs op and value: a task is good at {'or under' if metric.at_most else 'or over'} it"
        findings.report(path, what, f"add `op: {right[0]}` and `value:`")
        return None
    if either:  # a score on a scale that only its evaluator knows
        return Cap(spec.op, spec.value)
    if spec.op not in right:
        better = "lower" if metric.at_most else "higher"
        findings.report((*path, "op"), f"of {metric.name}, {better} is better", f"write `op: {right[0]}`")
    highest = 1 if not metric.unit else None
    if spec.value <= 0 or (highest is not None and spec.value > highest):
        what = f"no task can tell {metric.name} {spec.value} apart"
        findings.report((*path, "value"), what, "choose more than 0" + (f", and at most {highest}" if highest else ""))
    return Cap(spec.op, spec.value)


def _calendar_start(calendar: Calendar, findings: Findings, path: Path) -> tuple[datetime, ZoneInfo] | None:
    try:
        start = datetime.strptime(calendar.start_time, _TIME_FORMAT)  # noqa: DTZ007 - the zone is apart
    except ValueError:
        what = f"startTime {calendar.start_time!r} is not a date and time"
        findings.report((*path, "startTime"), what, "write it as 2026-01-31 00:00:00")
        return None
    if not EARLIEST <= start.year <= LATEST:
        what = f"startTime {calendar.start_time!r} is not between {EARLIEST} and {LATEST}"
        findings.report((*path, "startTime"), what, "write when the first period begins, as 2026-01-31 00:00:00")
        return None
    if start.second:
        findings.report((*path, "startTime"), "windows start with a whole minute", "write :00 for the seconds")
        return None
    try:
        return start, ZoneInfo(calendar.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        what = f"timeZone {calendar.time_zone!r} is not in the IANA database"
        close = nearest(calendar.time_zone, available_timezones())
        fix = close if close.startswith("did you") else "write a name like Europe/Berlin or UTC"
        findings.report((*path, "timeZone"), what, fix)
        return None


def _target(spec: ObjectiveSpec, findings: Findings, path: Path) -> Fraction | None:
    if (spec.target is None) == (spec.target_percent is None):
        given = (
            "both target and targetPercent are" if spec.target is not None else "neither target nor targetPercent is"
        )
        findings.report((*path, "targetPercent"), f"{given} given", "give exactly one of them")
        return None
    field = "target" if spec.target is not None else "targetPercent"
    target = Fraction(spec.target) if spec.target is not None else Fraction(spec.target_percent or 0) / 100
    if target <= 0:
        findings.report((*path, field), "a target of 0 promises nothing", "choose more than 0")
        return None
    return target


def _slicing(
    spec: ObjectiveSpec, method: Method, window: Window | None, findings: Findings, path: Path
) -> Slicing | None:
    wanted = {"timeSliceWindow": method is not Method.OCCURRENCES, "timeSliceTarget": method is Method.TIMESLICES}
    given = {"timeSliceWindow": spec.time_slice_window, "timeSliceTarget": spec.time_slice_target}
    for field, value in given.items():
        if value is None and wanted[field]:
            findings.report(path, f"{field} is required by {method}", f"add `{field}:`")
        if value is not None and not wanted[field]:
            findings.report((*path, field), f"{field} has no meaning with {method}", f"remove `{field}:`")
    length = spec.time_slice_window
    if length is None or not wanted["timeSliceWindow"]:
        return None
    minutes = length if isinstance(length, int) else parse_duration(length).minutes
    if window is not None and minutes > window.duration.minutes:
        what = f"a slice of {spell_minutes(minutes)} is longer than the window of {window.duration}"
        findings.report((*path, "timeSliceWindow"), what, "shorten the slice")
    if not wanted["timeSliceTarget"]:
        return Slicing(minutes)
    return Slicing(minutes, Fraction(spec.time_slice_target)) if spec.time_slice_target is not None else None
