"""What makes up the difference: the case types and agent versions whose share of bad tasks has grown, and bad tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pipeline.objectives.book import UNCLASSIFIED, Counted
from pipeline.objectives.facts import TaskFacts
from pipeline.slo.counts import Row
from pipeline.slo.durations import spell_minutes

SHOWN = 2
FAILED_SHOWN = 3
BEFORE = 20
"""How many times as long as the window the time before it is that it is compared with."""


class ToldTask(TaskFacts, frozen=True, array_like=True):
    """A task that can be named."""

    task_id: str
    agent_version: str


@dataclass(frozen=True, slots=True)
class Span:
    """The window of an alert: its last minute, and how many minutes long."""

    until: int
    minutes: int

    @property
    def compared_since(self) -> int:
        """The first minute of the time before that it is compared with."""
        return self.until - self.minutes * (1 + BEFORE)


@dataclass(slots=True)
class _Group:
    bad: int = 0
    total: int = 0
    bad_before: int = 0
    total_before: int = 0

    def add(self, bad: int, total: int, *, inside: bool) -> None:
        if inside:
            self.bad, self.total = self.bad + bad, self.total + total
        else:
            self.bad_before, self.total_before = self.bad_before + bad, self.total_before + total

    def excess(self, usual: float) -> float:
        """How many more are bad than its own past, or else everybody's, would have it."""
        share = self.bad_before / self.total_before if self.total_before else usual
        return self.bad - share * self.total

    def describe(self) -> str:
        before = f"{self.bad_before} of {self.total_before} before" if self.total_before else "none before"
        return f"{self.bad} of {self.total} bad ({before})"


def differences(tasks: Iterable[ToldTask], counted: Counted, span: Span) -> list[str]:
    """One line for each kind of group that explains more than its usual share: the most telling groups of it.

    `counted` says what is bad and in which minute; tasks outside of the window, and before it, are left out.
    """
    placed = list(_placed(tasks, counted, span))
    by: dict[str, Callable[[ToldTask], str]] = {
        "case type": lambda task: task.case_type or UNCLASSIFIED,
        "agent version": lambda task: task.agent_version or "not told",
    }
    lines = []
    for kind, value_of in by.items():
        groups: dict[str, _Group] = defaultdict(_Group)
        whole = _Group()
        for task, bad, total, inside in placed:
            groups[value_of(task)].add(bad, total, inside=inside)
            whole.add(bad, total, inside=inside)
        usual = whole.bad_before / whole.total_before if whole.total_before else 0.0
        ranked = sorted(groups.items(), key=lambda item: (-item[1].excess(usual), item[0]))
        telling = [(name, group) for name, group in ranked if group.excess(usual) > 0][:SHOWN]
        if telling:
            lines.append(f"by {kind}: " + "; ".join(f"{name} {group.describe()}" for name, group in telling))
    return lines


def failed(tasks: Iterable[ToldTask], counted: Counted, span: Span) -> list[str]:
    """The ids of the bad tasks of the window, the newest of them."""
    bad = [
        (row.minute, task.task_id) for task, row in _counted(tasks, counted) if row.bad and _inside(row.minute, span)
    ]
    return [task_id for _, task_id in sorted(bad, reverse=True)[:FAILED_SHOWN]]


def compared(span: Span) -> str:
    """What a window is compared with, in words."""
    return f"the last {spell_minutes(span.minutes)} against the {spell_minutes(span.minutes * BEFORE)} before"


def _placed(tasks: Iterable[ToldTask], counted: Counted, span: Span) -> Iterator[tuple[ToldTask, int, int, bool]]:
    for task, row in _counted(tasks, counted):
        if span.compared_since < row.minute <= span.until:
            yield task, row.bad, row.total, _inside(row.minute, span)


def _counted(tasks: Iterable[ToldTask], counted: Counted) -> Iterator[tuple[ToldTask, Row]]:
    for task in tasks:
        row = counted.of(task)
        if row is not None and row.total:
            yield task, row


def _inside(minute: int, span: Span) -> bool:
    return span.until - span.minutes < minute <= span.until
