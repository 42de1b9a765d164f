"""A tick of the alerter: a thousand objectives over the tasks in a real ClickHouse.

    python -m bench.alerter [--objectives 1000] [--tasks 100000] [--changed 500] [--seed 7]

Thirty days of tasks, a tenth of the workflows in trouble. The first tick loads all counts. Then tasks change before
each tick, every second one of which is of a new minute. CPU is that of the alerter's own process; the seconds are on
the clock, with what ClickHouse and other work on the machine took.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import count, islice
from statistics import median

import msgspec

from bench.report import machine
from deploy.local.clickhouse import ClickHouse
from pipeline.alerter.counts import LandedCounts
from pipeline.alerter.engine import Engine, Policy, Ticked
from pipeline.alerter.in_force import StoredObjectives
from pipeline.config import Settings
from pipeline.connections import address_of
from pipeline.objectives.read import retention_of
from pipeline.slo.durations import MINUTES_PER_MONTH
from schemas.event import EVENTS_PER_MESSAGE
from schemas.rows import Envelope, TaskRow
from schemas.units import MICRO, MINUTE_US
from schemas.words import Outcome, TaskStatus, Verdict
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.objectives import ClickHouseObjectives
from sinks.clickhouse.store import ClickHouseStore
from sinks.objectives import Version

PARTITIONS = 12
PROMISES = (
    ("completed", "completion_rate", "good", "0.95"),
    ("mostly-completed", "completion_rate", "good", "0.9"),
    ("right", "verified_success_rate", "good", "0.9"),
    ("honest", "discrepancy_rate", "bad", "0.95"),
    ("unaided", "override_rate", "bad", "0.95"),
)
"""Name, metric, what the metric counts, target: of each workflow."""
TICKS = 20
ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class Tick:
    """Seconds on the clock and of CPU."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Ticks:
    """What the alerter did, and what it took: `first` loads everything; of the others the median and the slowest."""

    objectives: int
    tasks: int
    changed: int
    transitions: int
    first: Tick
    same_minute: Tick
    new_minute: Tick
    slowest: Tick


def run(objectives: int, tasks: int, changed: int, seed: int) -> Ticks:
    """Measure it. `changed`: tasks that change before each tick."""
    with ClickHouse() as clickhouse:
        settings = Settings.model_validate({"clickhouse": {"url": clickhouse.url}, "kafka": {"partitions": PARTITIONS}})
        address = address_of(settings)
        migrate(address, retention_days=settings.clickhouse.retention_days)
        now = time.time_ns() // 1_000 // MINUTE_US
        work = Work(ClickHouseStore(connect(address)), objectives // len(PROMISES), seed)
        work.finish(tasks, now, MINUTES_PER_MONTH)
        client = connect(address)
        store = ClickHouseObjectives(client)
        store.append([promise(workflow) for workflow in work.workflows])
        counts = LandedCounts(client, store, settings.kafka.epoch, PARTITIONS)
        engine = Engine(store, StoredObjectives(store, retention_of(settings)), counts, Policy())
        ticked, first = timed(engine, now)
        transitions, same, new = len(ticked.transitions), list[Tick](), list[Tick]()
        for at in range(1, TICKS + 1):
            now += at % 2
            work.finish(changed, now, 1)
            ticked, took = timed(engine, now)
            transitions += len(ticked.transitions)
            (new if at % 2 else same).append(took)
        if ticked.behind:
            raise RuntimeError("the alerter did not come to an end in one tick")
        return Ticks(
            ticked.objectives, tasks, changed, transitions, first, middle(same), middle(new), slowest([*same, *new])
        )


class Work:
    """Tasks of some workflows, written as the worker does: rows, then the envelopes of their messages."""

    def __init__(self, store: ClickHouseStore, workflows: int, seed: int) -> None:
        self.workflows = [f"workflow-{number}" for number in range(workflows)]
        self._store, self._draw = store, random.Random(seed)  # noqa: S311 - no secret
        self._numbers, self._offset = count(), 0

    def finish(self, number: int, now: int, minutes: int) -> None:
        """Tasks that ended in the last `minutes` up to the minute `now`, in one message of each partition."""
        rows = (self._row(now - self._draw.randrange(minutes)) for _ in range(number))
        while lines := [row.line() for row in islice(rows, ROWS_AT_ONCE)]:
            self._store.write("tasks", lines)
        envelopes = [Envelope(p, 0, self._offset, now * MINUTE_US, number, 0, 0) for p in range(PARTITIONS)]
        self._store.write("envelopes", [envelope.line() for envelope in envelopes])
        self._offset += 1

    def _row(self, minute: int) -> TaskRow:
        draw, number, at = self._draw, next(self._numbers), minute * MINUTE_US
        which = draw.randrange(len(self.workflows))
        bad = 0.3 if which % 10 == 0 else 0.01
        row = TaskRow(
            number % PARTITIONS,
            0,
            f"task-{number}",
            seq=self._offset * EVENTS_PER_MESSAGE + number // PARTITIONS % EVENTS_PER_MESSAGE,
            status=TaskStatus.FINISHED.value,
            workflow=self.workflows[which],
            stage="production",
            claim=(Outcome.FAILURE if draw.random() < bad else Outcome.SUCCESS).value,
            claim_at=at,
            claim_seen=at,
            last_at=at,
            start_at=at - 30 * MICRO,
            weight=MICRO,
        )
        if draw.random() < 0.5:
            return row
        right = Verdict.FAILURE if draw.random() < bad else Verdict.SUCCESS
        return msgspec.structs.replace(row, verdict=right.value, verdict_at=at, verdict_seen=at, verifier="tests")


def promise(workflow: str) -> Version:
    """The objectives of a workflow, as applied."""
    service = {
        "apiVersion": "openslo/v1",
        "kind": "Service",
        "metadata": {"name": workflow, "annotations": {"trueup.dev/owner": "Ada"}},
    }
    documents = [service, *(slo(workflow, *each) for each in PROMISES)]
    text = "\n---\n".join(json.dumps(document) for document in documents)
    return Version(workflow, 1, workflow, text, time.time_ns() // 1_000, "Ada", "first promise")


def slo(workflow: str, name: str, metric: str, part: str, target: str) -> dict[str, object]:
    """An OpenSLO document, with the default alert windows and guard."""
    source = {"type": "trueup", "spec": {"metric": metric, "part": "numerator"}}
    total = {"type": "trueup", "spec": {"metric": metric, "part": "denominator"}}
    ratio = {part: {"metricSource": source}, "total": {"metricSource": total}}
    return {
        "apiVersion": "openslo/v1",
        "kind": "SLO",
        "metadata": {"name": name},
        "spec": {
            "service": workflow,
            "budgetingMethod": "Occurrences",
            "timeWindow": [{"duration": "30d", "isRolling": True}],
            "indicator": {"metadata": {"name": f"{name}-indicator"}, "spec": {"ratioMetric": ratio}},
            "objectives": [{"displayName": name, "target": float(target)}],
        },
    }


def timed(engine: Engine, now: int) -> tuple[Ticked, Tick]:
    """One tick, and what it took."""
    wall, cpu = time.monotonic(), time.process_time()
    ticked = engine.tick(now)
    return ticked, Tick(round(time.monotonic() - wall, 3), round(time.process_time() - cpu, 3))


def middle(ticks: Sequence[Tick]) -> Tick:
    """The median of each."""
    return Tick(round(median(t.wall_s for t in ticks), 3), round(median(t.cpu_s for t in ticks), 3))


def slowest(ticks: Iterable[Tick]) -> Tick:
    """The one that took longest on the clock."""
    return max(ticks, key=lambda tick: tick.wall_s)


def main() -> None:
    """Run it and print one JSON document."""
    options = argparse.ArgumentParser(prog="python -m bench.alerter", description="What a tick of the alerter takes.")
    options.add_argument("--objectives", type=int, default=1_000)
    options.add_argument("--tasks", type=int, default=100_000)
    options.add_argument("--changed", type=int, default=500, help="tasks that change before each tick")
    options.add_argument("--seed", type=int, default=7)
    given = options.parse_args()
    load = [round(os.getloadavg()[0], 2)]
    ticks = run(given.objectives, given.tasks, given.changed, given.seed)
    load.append(round(os.getloadavg()[0], 2))
    print(json.dumps({"machine": machine(), "load_average": load, "ticks": asdict(ticks)}, indent=2))


if __name__ == "__main__":
    main()
