"""Every row of docs/budget-cases.md, executed."""

import re
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pipeline.slo.budget import Adjustment, Method, Terms, account, ratio
from pipeline.slo.burn import Rule, read
from pipeline.slo.counts import Row, Series
from pipeline.slo.durations import parse_duration
from pipeline.slo.periods import CalendarWindow, RollingWindow, Window
from pipeline.slo.slices import Slicing
from pipeline.slo.windows import GUARD_OFF, workbook_pairs

DOCUMENT = Path(__file__).parents[2] / "docs" / "budget-cases.md"


def table(heading: str) -> list[list[str]]:
    section = DOCUMENT.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def minute(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) // 60


def series(text: str) -> Series:
    rows = []
    for item in filter(None, text.split("; ")):
        match = re.fullmatch(r"(\S+) (\d+)\+(\d+)(?: x(\d+) every (\S+))?", item)
        assert match, item
        good, bad = int(match[2]), int(match[3])
        step = parse_duration(match[5]).minutes if match[5] else 0
        rows += [Row(minute(match[1]) + at * step, bad, good + bad, good + bad) for at in range(int(match[4] or 1))]
    return Series(sorted(rows))


def window(text: str) -> Window:
    if text.startswith("rolling "):
        return RollingWindow(parse_duration(text.removeprefix("rolling ")))
    match = re.fullmatch(r"calendar (\S+) from (\S+ \S+) (\S+)", text)
    assert match, text
    return CalendarWindow(parse_duration(match[1]), datetime.fromisoformat(match[2]), ZoneInfo(match[3]))


def terms(target: str, text: str) -> Terms:
    match = re.fullmatch(r"(\S+)(?: (\S+))?(?: at (\S+))?", text)
    assert match, text
    slicing = Slicing(parse_duration(match[2]).minutes, Fraction(match[3]) if match[3] else None) if match[2] else None
    return Terms(Fraction(target), Method(match[1]), slicing)


def adjustments(text: str) -> list[Adjustment]:
    spans = [part.split("..") for part in filter(None, text.split(", "))]
    return [Adjustment(minute(start), minute(end), "ada", "rehearsal") for start, end in spans]


def shown(value: Fraction | None) -> str:
    return "none" if value is None else str(value)


def counted(text: str) -> tuple[Fraction, int]:
    good, _, total = text.rpartition("/")
    return Fraction(good.strip()), int(total)


@pytest.mark.parametrize("row", table("Budgets"), ids=lambda row: row[0])
def test_budget(row: list[str]) -> None:
    _, target, method, period, now, counts, adjust, expected, spent, remaining = row
    current = window(period).period_at(minute(now))
    assert current is not None
    budget = account(series(counts), terms(target, method), current, minute(now), adjustments(adjust)).adjusted
    assert (budget.good, budget.total) == counted(expected)
    assert (shown(budget.spent), shown(budget.remaining)) == (spent, remaining)
    if budget.sli is not None:
        assert budget.remaining == (budget.sli - budget.target) / (1 - budget.target)


@pytest.mark.parametrize("row", table("Means and rates"), ids=lambda row: row[0])
def test_mean(row: list[str]) -> None:
    values = [part.split(" x ") for part in filter(None, row[1].split("; "))]
    total = sum((int(count) * Fraction(value) for count, value in values), Fraction(0))
    assert shown(ratio(total, sum(int(count) for count, _ in values))) == row[2]


@pytest.mark.parametrize("row", table("Burn windows"), ids=lambda row: row[0])
def test_burn_windows(row: list[str]) -> None:
    rows: list[Row] = []
    for item in row[2].split("; "):
        match = re.fullmatch(r"(\d+)m (\d+)\+(\d+)", item)
        assert match, item
        good, bad = int(match[2]), int(match[3])
        rows += [Row(len(rows) + at, bad, good + bad, good + bad) for at in range(int(match[1]))]
    target = Fraction(row[1])
    period = parse_duration("30d").minutes
    readings = read(Series(rows), len(rows) - 1, Rule(target, period, workbook_pairs(period), GUARD_OFF))
    assert [str(reading.pair) for reading in readings if reading.fires] == list(filter(None, row[3].split("; ")))


def test_tables_are_read() -> None:
    """A heading that moved must not silently drop the cases."""
    assert [len(table(name)) for name in ("Budgets", "Means and rates", "Burn windows")] == [47, 3, 8]
