"""What OpenSLO cannot say, in annotations under `trueup.dev/`. Every value is text, as OpenSLO requires."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import Any

from pipeline.slo.durations import parse_duration
from pipeline.slo.explain import nearest
from pipeline.slo.maturity import Maturity
from pipeline.slo.objective import Commitment
from pipeline.slo.openslo import Metadata
from pipeline.slo.periods import EARLIEST, LATEST
from pipeline.slo.source import Findings, Path
from pipeline.slo.windows import GUARD_OFF, SHORT_DIVISOR, Guard, Pair, Severity, default_guard, parse_share

PREFIX = "trueup.dev/"


@dataclass(frozen=True, slots=True)
class WindowText:
    """One line of `alert-windows`: the threshold as a burn rate, or as a share of the period's budget."""

    severity: Severity
    long: int
    short: int
    burn: Fraction | None
    budget: Fraction | None

    def pair(self, period: int) -> Pair:
        """The pair for a period in minutes."""
        threshold = self.burn if self.burn is not None else (self.budget or Fraction(0)) * period / self.long
        return Pair(self.severity, self.long, self.short, threshold)


@dataclass(frozen=True, slots=True)
class Annotations:
    """The values of one object's annotations, by name without the prefix; absent ones are missing."""

    values: Mapping[str, Any] = field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        """The value, read as its kind of annotation says."""
        return self.values.get(name, default)


def read_annotations(annotations: Mapping[str, str], kind: str, findings: Findings) -> Annotations:
    """Read the annotations of an object of `kind` (`Service` or `SLO`); those with other prefixes are left alone."""
    known = _READERS[kind]
    values: dict[str, Any] = {}
    for key, text in annotations.items():
        if not key.startswith(PREFIX):
            continue
        name, here = key.removeprefix(PREFIX), annotation_path(key)
        if name not in known:
            elsewhere = [other for other, readers in _READERS.items() if name in readers]
            fix = f"move it to the {elsewhere[0]}" if elsewhere else nearest(name, known)
            findings.report(here, f"{key} is not an annotation of kind {kind}", fix)
            continue
        try:
            values[name] = known[name](text.strip())
        except ValueError as error:
            what, _, fix = str(error).partition(": ")
            findings.report(here, f"{key}: {what}", fix or "correct the value")
    return Annotations(values)


def workflow_of(service: Metadata) -> str:
    """The workflow of a Service, as its telemetry names it: that may be what no name in OpenSLO can be."""
    return service.annotations.get(f"{PREFIX}workflow", "").strip() or service.name


def annotation_path(key: str) -> Path:
    """Where an annotation is in its document; the key may be given without the prefix."""
    return ("metadata", "annotations", key if key.startswith(PREFIX) else PREFIX + key)


def _text(text: str) -> str:
    if not text:
        raise ValueError("the value is empty: fill it in, or remove the annotation")
    return text


def _date(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a date: write it as 2026-01-15") from error
    if not EARLIEST <= day.year <= LATEST:
        raise ValueError(f"{text!r} is not between {EARLIEST} and {LATEST}: write it as 2026-01-15")
    return day


def _list(text: str) -> tuple[str, ...]:
    return tuple(_text(part.strip()) for part in _text(text).split(","))


def _share(text: str) -> Fraction:
    share = parse_share(text)
    if not 0 <= share <= 1:
        raise ValueError(f"{text!r} is not between 0% and 100%: write 20%")
    return share


def _commitment(text: str) -> Commitment:
    try:
        return Commitment(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is unknown: {nearest(text, Commitment)}") from error


def _maturity(text: str) -> Maturity:
    if text.startswith("p") and text[1:].isascii() and text[1:].isdigit() and 1 <= int(text[1:]) <= 99:
        return Maturity(percent=int(text[1:]))
    try:
        return Maturity(minutes=parse_duration(text).minutes)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a lag: write a duration as 2d, or a measured percentile as p95") from error


def _length(text: str) -> int:
    try:
        return parse_duration(text).minutes
    except ValueError as error:
        raise ValueError(f"{text!r} is not a duration: write it as 6h") from error


def _windows(text: str) -> tuple[WindowText, ...]:
    return tuple(_window(part.strip()) for part in _text(text).split(","))


def _window(text: str) -> WindowText:
    example = "write `page 1h/5m 14.4` (burn rate) or `page 1h/5m 2%` (share of the budget), separated by commas"
    words = text.split()
    if len(words) != 3 or words[0] not in list(Severity):
        raise ValueError(f"{text!r} is not an alert window: {example}")
    try:
        long_text, slash, short_text = words[1].partition("/")
        long = parse_duration(long_text).minutes
        short = parse_duration(short_text).minutes if slash else max(long // SHORT_DIVISOR, 1)
        amount = parse_share(words[2].removesuffix("x").removeprefix("x"))
        window = WindowText(
            Severity(words[0]), long, short, *((None, amount) if words[2].endswith("%") else (amount, None))
        )
        window.pair(long)  # says if windows or threshold make no sense
    except ValueError as error:
        what = str(error).partition(": ")[0]
        raise ValueError(f"{text!r} is not an alert window, {what}: {example}") from error
    return window


def _guard(text: str) -> Guard:
    """`off`, or settings that replace the defaults: `min-bad-events=5, false-pages=0.1, false-tickets=off`."""
    if text == "off":
        return GUARD_OFF
    guard = default_guard()
    for part in _list(text):
        name, _, value = (word.strip() for word in part.partition("="))
        if name not in _GUARD_SETTINGS:
            raise ValueError(f"{name!r} is not a setting of the guard: {nearest(name, [*_GUARD_SETTINGS, 'off'])}")
        guard = _GUARD_SETTINGS[name](guard, value)
    return guard


def _min_bad(guard: Guard, value: str) -> Guard:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise ValueError(f"{value!r} is not a number of events: write min-bad-events=3")
    return replace(guard, min_bad=int(value))


def _false_alerts(severity: Severity) -> Callable[[Guard, str], Guard]:
    def set_allowance(guard: Guard, value: str) -> Guard:
        others = tuple(each for each in guard.false_alerts if each[0] is not severity)
        if value == "off":
            return replace(guard, false_alerts=others)
        allowed = parse_share(value)
        if allowed <= 0:
            raise ValueError(f"{value!r} would never let anything fire: write how many per 30 days, as 0.2, or off")
        return replace(guard, false_alerts=(*others, (severity, allowed)))

    return set_allowance


_GUARD_SETTINGS: dict[str, Callable[[Guard, str], Guard]] = {
    "min-bad-events": _min_bad,
    "false-pages": _false_alerts(Severity.PAGE),
    "false-tickets": _false_alerts(Severity.TICKET),
}

_READERS: dict[str, dict[str, Callable[[str], Any]]] = {
    "Service": {
        "owner": _text,
        "contact": _text,
        "escalation": _text,
        "launch-date": _date,
        "case-types": _list,
        "runbook": _text,
        "workflow": _text,
    },
    "SLO": {
        "alert-windows": _windows,
        "low-traffic-guard": _guard,
        "maturity": _maturity,
        "coverage-floor": _share,
        "no-data": _length,
        "commitment": _commitment,
        "case-types": _list,
        "runbook": _text,
    },
}
