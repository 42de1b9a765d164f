"""Counts per minute of many objectives, kept up to date by difference: minus what a task was, plus what it is.

So a tick costs what has changed, not what there is. The facts of the tasks of the longest period are kept in memory.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from pipeline.objectives.facts import TaskFacts
from pipeline.objectives.rules import Sought, judge
from pipeline.slo.counts import Row, Series
from pipeline.slo.maturity import Verdicts

_REBUILD_BEYOND = 64
"""Changed minutes of a series from which on it is built anew, because each replaced one moves those after it."""

UNCLASSIFIED = "unclassified"


class Basis(StrEnum):
    """How tasks become counts per minute."""

    TASK = "task"
    """By the minute of the task."""
    NEWS = "news"
    """By the minute in which the outcome became known."""
    WEIGHT = "weight"
    """By the minute of the task, each verdict as often as it stands for tasks, in millionths."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which tasks: of a workflow, of these case types; of all if there are none."""

    workflow: str
    case_types: frozenset[str] = frozenset()

    def holds(self, task: TaskFacts) -> bool:
        """Whether a task is in it."""
        return task.workflow == self.workflow and (
            not self.case_types or (task.case_type or UNCLASSIFIED) in self.case_types
        )


@dataclass(frozen=True, slots=True)
class Counted:
    """One series: a metric over some tasks. Objectives that ask for the same share it."""

    scope: Scope
    sought: Sought
    basis: Basis

    def of(self, task: TaskFacts) -> Row | None:
        """What a task adds to it, and in which minute."""
        if not self.scope.holds(task):
            return None
        judged = judge(task, self.sought)
        if judged is None:
            return None
        bad, total, eligible, news = judged
        if self.basis is Basis.TASK:
            return Row(task.minute, bad, total, eligible)
        if not total:
            return None
        if self.basis is Basis.NEWS:
            return Row(news, bad, total, total)
        return Row(task.minute, bad * task.weight, total * task.weight, total * task.weight)


@dataclass(frozen=True, slots=True)
class Delays:
    """How long verdicts, or feedback, take to come, over some tasks."""

    scope: Scope
    of_feedback: bool = False

    def of(self, task: TaskFacts) -> tuple[int, int] | None:
        """The minute of a task and that of its verdict; None without one."""
        if not task.finished or not self.scope.holds(task):
            return None
        known = bool(task.answered) if self.of_feedback else task.judged
        arrived = task.told if self.of_feedback else task.verified
        return (task.minute, max(arrived, task.minute)) if known and arrived else None


@dataclass(slots=True)
class _Tally:
    """A series as it grows: counts by minute, and the minutes that are not in `series` yet."""

    counted: Counted
    minutes: dict[int, list[int]] = field(default_factory=dict)
    total: int = 0
    changed: set[int] = field(default_factory=set)
    series: Series = field(default_factory=Series)


class Book:
    """The counts of some series from the minute `since` on. Give it the facts of tasks, again whenever they change."""

    def __init__(self, counted: Iterable[Counted], delays: Iterable[Delays], since: int) -> None:
        self.since = since
        self._tallies = {each: _Tally(each) for each in counted}
        self._counted: dict[str, list[_Tally]] = defaultdict(list)
        self._delays: dict[str, list[Delays]] = defaultdict(list)
        self._delayed: dict[Delays, Counter[tuple[int, int]]] = {}
        self._tasks: dict[str, bytes] = {}
        self._decode = msgspec.json.Decoder(TaskFacts).decode
        for tally in self._tallies.values():
            self._counted[tally.counted.scope.workflow].append(tally)
        for delay in dict.fromkeys(delays):
            self._delays[delay.scope.workflow].append(delay)
            self._delayed[delay] = Counter()

    @property
    def workflows(self) -> Sequence[str]:
        """Whose tasks it wants."""
        return sorted(self._counted)

    def __len__(self) -> int:
        """How many tasks it holds."""
        return len(self._tasks)

    def take(self, lines: Iterable[bytes]) -> None:
        """The facts of tasks as they are now; the same facts again change nothing."""
        for line in lines:
            task = self._decode(line)
            held = self._tasks.get(task.key)
            if held == line:
                continue
            if held is not None:
                self._add(self._decode(held), -1)
                del self._tasks[task.key]
            if task.counts and task.workflow in self._counted:
                self._add(task, 1)
                self._tasks[task.key] = line

    def _add(self, task: TaskFacts, sign: int) -> None:
        for tally in self._counted[task.workflow]:
            row = tally.counted.of(task)
            if row is None or row.minute < self.since:
                continue
            minute, bad, total, eligible = row
            counts = tally.minutes.setdefault(minute, [0, 0, 0])
            counts[0] += sign * bad
            counts[1] += sign * total
            tally.total += sign * total
            counts[2] += sign * eligible
            tally.changed.add(minute)
        for delays in self._delays[task.workflow]:
            delay = delays.of(task)
            if delay is not None:
                self._delayed[delays][delay] += sign

    def total(self, counted: Counted) -> int:
        """The sum of `total` over all minutes of a series."""
        return self._tallies[counted].total

    def series(self, counted: Counted) -> Series:
        """The counts of a series as they are now."""
        tally = self._tallies[counted]
        minutes, changed = tally.minutes, tally.changed
        if not changed:
            return tally.series
        gone = [minute for minute in changed if not any(minutes[minute])]
        for minute in gone:
            del minutes[minute]
        if gone or len(changed) > _REBUILD_BEYOND:
            tally.series = Series(Row(minute, *minutes[minute]) for minute in sorted(minutes))
        else:
            for minute in sorted(changed):
                tally.series.replace(Row(minute, *minutes[minute]))
        tally.changed = set()
        return tally.series

    def verdicts(self, delays: Delays) -> Iterable[Verdicts]:
        """How many tasks of one minute got their verdict, or feedback, in another."""
        for (minute, arrived), tasks in self._delayed[delays].items():
            if tasks:
                yield Verdicts(minute, arrived, tasks)
