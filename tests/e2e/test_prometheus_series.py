"""Tasks that went through Kafka, the worker and ClickHouse alert in the minutes in which Prometheus does.

The series are those of tests/slo/test_prometheus.py with fewer events, and so is what Prometheus is asked. Each is a
workflow of its own whose tasks are made known, by their messages' Kafka timestamps, in the minutes of the series. What
the alerter counts of them, and what its evaluator makes of that, is compared. The guard and freezing are off.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import gcd
from pathlib import Path

import pytest

from pipeline.alerter.counts import LandedCounts
from pipeline.alerter.in_force import StoredObjectives
from pipeline.config import Settings
from pipeline.kafka import producer
from pipeline.objectives.read import retention_of
from pipeline.slo.alert import Freezing, evaluate
from pipeline.slo.alert_state import AlertState, Change
from pipeline.slo.counts import Row
from pipeline.slo.objective import Objective
from pipeline.slo.observe import Measured, observations
from pipeline.slo.windows import Severity
from schemas.event import partition_of
from schemas.message import Parted, encode_messages, parted
from schemas.units import MICRO, MINUTE_US
from schemas.words import Kind, Outcome
from sinks.clickhouse.objectives import ClickHouseObjectives
from sinks.objectives import Version
from tests.e2e.lab import Lab, lab_on, land
from tests.e2e.rig import eventually
from tests.events import event
from tests.objectives.documents import service, slo
from tests.slo.test_prometheus import (
    DAYS,
    TARGETS,
    Case,
    Minutes,
    _prometheus,  # noqa: F401 - skips this module, too, where promtool is missing
    limit,
    lowest_page,
    pairs,
    promtool,
    scenarios,
    steady,
    unit_test,
)

MOST_EVENTS = 8_000
"""Of a series: one that has more is thinned."""
KNOWN_AFTER = 90 * MICRO
"""A task is heard of this long after its end, so that the minute of the task is not the minute of the news."""


def thinned(minutes: Minutes) -> Minutes:
    """The same shares from fewer events: divided by what divides all, then only every so many minutes of them."""
    unit = gcd(*(number for counts in minutes for number in counts))
    apart = -(-sum(total for _, total in minutes) // unit // MOST_EVENTS)
    return [(bad // unit, total // unit) if at % apart == 0 else (0, 0) for at, (bad, total) in enumerate(minutes)]


def exactly_at_the_threshold(days: int, target: str) -> Minutes:
    """Once in each short window of the lowest page, with one bad task too many in the middle."""
    lowest = lowest_page(days)
    edge, silent = limit(lowest, target), [(0, 0)] * (lowest.short - 1)
    allowed, one_more = [edge.as_integer_ratio(), *silent], [(edge.numerator + 1, edge.denominator), *silent]
    return allowed * 2 + one_more + allowed


def slow_burn(days: int, target: str) -> Minutes:
    """Too little for a page. The slowest ticket comes as soon as it outweighs the short clean time before it."""
    slowest = pairs(days)[-1]
    share = limit(slowest, target) * Fraction(5, 4)
    clean = Fraction(0)
    return steady(slowest.long // 32, clean) + steady(slowest.long // 3, share) + steady(slowest.short, clean)


def series_of(days: int, target: str) -> dict[str, Minutes]:
    """Every scenario, as tasks can be sent."""
    every = {**scenarios(days, target), "slow burn": slow_burn(days, target)}
    thin = {name: thinned(minutes) for name, minutes in every.items() if name != "exactly at the threshold"}
    return {**thin, "exactly at the threshold": exactly_at_the_threshold(days, target)}


CASES = [
    Case(name, days, target, tuple(minutes))
    for days in DAYS
    for target in TARGETS
    for name, minutes in series_of(days, target).items()
]
WORKFLOWS = {case: f"series-{at}" for at, case in enumerate(CASES)}


def promise(case: Case) -> Version:
    """The objective of a case, as its owner commits it: the workbook's windows that its target can reach, no guard."""
    windows = ", ".join(
        f"{pair.severity} {pair.long}m/{pair.short}m {pair.threshold * pair.long * 100 / (case.days * 1_440)}%"
        for pair in pairs(case.days)
        if pair.reachable(Fraction(case.target))
    )
    annotations = f'trueup.dev/alert-windows: "{windows}", trueup.dev/low-traffic-guard: "off"'
    workflow = WORKFLOWS[case]
    told = slo(target=case.target, workflow=workflow, window=f"{case.days}d", annotations=annotations)
    return Version(workflow, 1, workflow, service(workflow) + told, time.time_ns() // 1_000, "Ada", "first promise")


def news(case: Case, at: int, begin: int) -> Iterator[tuple[str, Parted]]:
    """The tasks that are heard of in a minute of a case: task id, and its one event."""
    bad, total = case.minutes[at]
    ended = (begin + at) * MINUTE_US - KNOWN_AFTER
    for number in range(total):
        name = f"{WORKFLOWS[case]}-{at}-{number}"
        told = event(
            name,
            name,
            kind=Kind.AGENT_RUN,
            root=1,
            workflow=WORKFLOWS[case],
            value=Outcome.FAILURE if number < bad else Outcome.SUCCESS,
            explicit=1,
            at=ended,
            start=ended - MICRO,
            trace_id="",
        )
        yield name, parted(told)


def send(settings: Settings, begin: int) -> None:
    """Every case's tasks, minute by minute, with a Kafka timestamp in that minute."""
    kafka = producer(settings)
    topic, partitions = settings.kafka.actions_topic, settings.kafka.partitions
    waiting = []
    try:
        for at in range(max(len(case.minutes) for case in CASES)):
            parts = defaultdict[int, list[Parted]](list)
            for case in CASES:
                if at < len(case.minutes):
                    for task, part in news(case, at, begin):
                        parts[partition_of(task, partitions)].append(part)
            for partition, some in parts.items():
                for payload in encode_messages(some, settings.kafka.message_bytes):
                    stamp = (begin + at) * 60_000
                    waiting.append(kafka.send(topic, payload, partition=partition, timestamp_ms=stamp))
        kafka.flush()
        for each in waiting:
            each.get(timeout=60)
    finally:
        kafka.close()


@dataclass(frozen=True)
class Counted:
    """What the alerter has counted of a case; its series begins in the minute `begin`."""

    objective: Objective
    measured: Measured
    begin: int

    def walk(self, length: int) -> tuple[dict[Severity, list[int]], list[tuple[int, Change]]]:
        """The minutes in which each severity fires, and those in which the alert changes, from the first on."""
        fired: dict[Severity, list[int]] = {severity: [] for severity in Severity}
        state, changes = AlertState(key=self.objective.key), []
        for at in range(length):
            now = self.begin + at
            watched = observations(self.objective, self.measured, now)
            state, transitions = evaluate(state, watched, now, freezing=Freezing(enabled=False))
            changes += [(at, transition.change) for transition in transitions]
            for severity in Severity:
                if f"reported/{severity}" in state.active:
                    fired[severity].append(at)
        return fired, changes


@pytest.fixture(scope="module")
def lab(broker: str) -> Iterator[Lab]:
    settings = Settings(kafka={"partitions": 2}, http={"port": 0})
    with lab_on(broker, settings) as lab:
        yield lab


@pytest.fixture(scope="module")
def counted(lab: Lab) -> Mapping[Case, Counted]:
    """All cases, sent, folded, and counted as the alerter does."""
    now = time.time_ns() // 1_000 // MINUTE_US
    begin = now - max(len(case.minutes) for case in CASES)
    send(lab.settings, begin)
    store = ClickHouseObjectives(lab.client)
    store.append([promise(case) for case in CASES])
    in_force = StoredObjectives(store, retention_of(lab.settings))
    objectives = {objective.workflow.name: objective for objective in in_force.objectives().values()}
    assert not in_force.unreadable
    land(lab.stack, {})
    counts = LandedCounts(lab.client, store, lab.settings.kafka.epoch, lab.settings.kafka.partitions)
    counts.refresh(list(objectives.values()), now)
    found = {case: objectives[WORKFLOWS[case]] for case in CASES}
    return {case: Counted(each, counts.measured(each), begin) for case, each in found.items()}


def test_the_tasks_are_counted_in_the_minutes_in_which_they_were_heard_of(counted: Mapping[Case, Counted]) -> None:
    for case in CASES:
        begin, measured = counted[case].begin, counted[case].measured
        sent = [Row(begin + at, bad, total, total) for at, (bad, total) in enumerate(case.minutes) if total]
        assert measured.by_news is not None
        assert list(measured.by_news) == sent, case.labels
        assert list(measured.by_task) != sent, case.labels


def changes_of(fired: Mapping[Severity, list[int]], length: int) -> list[tuple[int, Change]]:
    """What an alert at one level at a time, a page above its ticket, makes of the minutes in which each would fire."""
    pages, tickets = (set(fired[severity]) for severity in (Severity.PAGE, Severity.TICKET))
    levels = [None, *(2 if at in pages else 1 if at in tickets else None for at in range(length))]
    return [
        (at, Change.FIRED if before is None else Change.RESOLVED if after is None else _MOVED[after])
        for at, (before, after) in enumerate(pairwise(levels))
        if before != after
    ]


_MOVED = {2: Change.ESCALATED, 1: Change.EASED}


@pytest.mark.parametrize("days", DAYS)
def test_the_same_minutes_fire_as_in_prometheus(days: int, counted: Mapping[Case, Counted], tmp_path: Path) -> None:
    cases = [case for case in CASES if case.days == days]
    walked = {case: counted[case].walk(len(case.minutes)) for case in cases}
    fired = {case: minutes for case, (minutes, _) in walked.items()}
    long = [case for case in cases if case.scenario == "slow burn"]
    short = [case for case in cases if case.scenario != "slow burn"]
    result = promtool(tmp_path, days, [unit_test(short, fired), unit_test(long, fired)])
    assert result.returncode == 0, result.stdout + result.stderr
    for case, (minutes, changes) in walked.items():
        assert changes == changes_of(minutes, len(case.minutes)), case.labels

    # The comparison is worth something: what should fire does, and what should not does not.
    pages = {(case.scenario, case.target): minutes[Severity.PAGE] for case, minutes in fired.items()}
    lowest = lowest_page(days).short
    for target in TARGETS:
        assert pages["exactly at the threshold", target] == list(range(2 * lowest, 3 * lowest))
    assert pages["fast burn", "0.99"]
    assert pages["recovery and relapse", "0.99"]
    assert pages["gaps", "0.999"]
    assert pages["sparse", "0.999"]
    assert not pages["slow burn", "0.9"]
    assert all(fired[case][Severity.TICKET] for case in long)


def test_the_audit_finds_no_difference_in_the_end(lab: Lab, counted: Mapping[Case, Counted]) -> None:
    found = eventually(lambda: None if (found := lab.audit()).skipped else [found], "the rows rest")
    assert [each.total for each in found] == [0]
    rows = lab.client.query("SELECT count(), countIf(status = 'finished') FROM task_rows FINAL").result_rows
    sent = sum(total for case in CASES for _, total in case.minutes)
    assert rows == [(sent, sent)]
