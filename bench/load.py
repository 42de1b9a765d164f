"""What an assignment costs: the open tasks of each partition, loaded from ClickHouse and held in memory."""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from bench.work import CASE_TYPES, MODELS, WORKFLOWS
from deploy.local.clickhouse import ClickHouse
from pipeline.config import Settings
from pipeline.connections import address_of
from pipeline.fold.message import Batch, Clock, Message
from pipeline.fold.partition import PartitionFold
from pipeline.worker.app import YOUNG_ONLY
from schemas.event import EVENTS_PER_MESSAGE
from schemas.rows import TaskRow
from schemas.units import MICRO
from schemas.words import TaskStatus
from sinks.clickhouse.client import Asked, connect
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.store import ClickHouseStore
from sinks.port import OpenTasks

Result = TypeVar("Result")

PARTITIONS = 12
WRITES = 2
"""How often each row was written: a task is, with each batch that has an event of it."""
ROWS_AT_ONCE = 50_000
ROWS_PER_MESSAGE = 100
DAY = 86_400 * MICRO


@dataclass(frozen=True)
class Assigned:
    """All partitions assigned to one worker, which loads one after the other."""

    open_tasks: int
    partitions: int
    seconds: float
    """Of all partitions."""
    slowest_partition_s: float
    answers_s: float
    """Of these seconds, until ClickHouse's answers were here."""
    decoding_s: float
    """Of them, until the answers were rows; the rest is the fold's own."""
    cpu_s: float
    """Of the process that loads. Where other work takes part of the CPU, it says more than the seconds."""
    bytes_per_task: int
    """What the process has grown by, for each task that it holds."""
    peak_bytes: int
    """The most memory that it had, with Python and all modules."""


def run(open_tasks: int, seed: int) -> Assigned:
    """Measure it."""
    with ClickHouse() as clickhouse:
        settings = Settings.model_validate({"clickhouse": {"url": clickhouse.url}})
        address = address_of(settings)
        migrate(address, retention_days=settings.clickhouse.retention_days)
        store = _Watched(connect(address))
        now, draw = time.time_ns() // 1_000, random.Random(seed)  # noqa: S311 - no secrets here
        each = open_tasks // PARTITIONS
        for partition in range(PARTITIONS):
            for write in range(WRITES):
                _write(store, _rows(partition, write * each, each, now, draw))
        return _load(store, each, now)


def _write(store: ClickHouseStore, rows: Iterator[TaskRow]) -> None:
    while lines := [row.line() for row in islice(rows, ROWS_AT_ONCE)]:
        store.write("tasks", lines)


def _rows(partition: int, written: int, number: int, now: int, draw: random.Random) -> Iterator[TaskRow]:
    """Open tasks of a partition, half way through; `written` rows are in its log before them."""
    for task in range(number):
        which = task % len(WORKFLOWS)
        offset, index = divmod(written + task, ROWS_PER_MESSAGE)
        calls = draw.randint(2, 9)
        tokens, at = calls * draw.randint(500, 20_000), now - draw.randrange(600 * MICRO)
        yield TaskRow(
            partition, 0, f"{WORKFLOWS[which]}/{partition:02x}{task:010x}",
            seq=offset * EVENTS_PER_MESSAGE + index, status=TaskStatus.OPEN.value, task_source="trueup.task.id",
            workflow=WORKFLOWS[which], stage="production", environment="prod", agent=f"agent-{which}",
            agent_version=f"1.{which % 3}.0", case_type=draw.choice(CASE_TYPES), model=draw.choice(MODELS),
            start_at=at - 60 * MICRO, last_at=at, last_seen=at, events=2 * calls, actions=2 * calls,
            model_calls=calls, tool_calls=calls, usage_known=calls, input_tokens=tokens, output_tokens=tokens // 10,
            cache_read_tokens=tokens // 2, step_cost=tokens * 4_500,
            latency_us={draw.randrange(100, 260): 1 for _ in range(calls)}, trace_ids=[f"{draw.getrandbits(127):032x}"],
        )  # fmt: skip


def _load(store: _Watched, each: int, now: int) -> Assigned:
    """The first fold of each partition, of a clock message as a worker gets one within seconds."""
    folds, took = list[PartitionFold](), list[float]()
    next_offset = WRITES * each // ROWS_PER_MESSAGE + 1
    clock = Message(next_offset, now, clock=Clock(now, DAY))
    thresholds = gc.get_threshold()
    gc.collect()
    gc.set_threshold(*YOUNG_ONLY)  # as in the worker
    try:
        before, cpu = _resident(), time.process_time()
        for partition in range(PARTITIONS):
            fold = PartitionFold(partition, store, next_offset=next_offset)
            began = time.monotonic()
            fold.fold(Batch([clock]))
            took.append(time.monotonic() - began)
            folds.append(fold)
        grown, cpu = _resident() - before, time.process_time() - cpu
    finally:
        gc.set_threshold(*thresholds)
    held = store.loaded
    if held != each * PARTITIONS:
        raise RuntimeError(f"{held:,} of {each * PARTITIONS:,} open tasks were loaded")
    return Assigned(
        open_tasks=held,
        partitions=PARTITIONS,
        seconds=round(sum(took), 2),
        slowest_partition_s=round(max(took), 2),
        answers_s=round(store.answers, 2),
        decoding_s=round(store.calls - store.answers, 2),
        cpu_s=round(cpu, 2),
        bytes_per_task=grown // held,
        peak_bytes=_peak(),
    )


class _Watched(ClickHouseStore):
    """Counts the seconds of loading: those of the answers alone, and those of the calls, decoding included."""

    answers = calls = 0.0
    loaded = 0

    def open_tasks(self, partition: int) -> list[OpenTasks]:
        found = self._timed(super().open_tasks, partition)
        self.loaded += sum(len(some.task_ids) for some in found)
        return found

    def frontier(self, partition: int) -> int:
        return self._timed(super().frontier, partition)

    def newest_window(self, partition: int) -> int:
        return self._timed(super().newest_window, partition)

    def _timed(self, call: Callable[[int], Result], partition: int) -> Result:
        began = time.monotonic()
        found = call(partition)
        self.calls += time.monotonic() - began
        return found

    def _select(self, sql: str, parameters: Mapping[str, object], asked: Asked | None = None) -> list[bytes]:
        began = time.monotonic()
        lines = super()._select(sql, parameters, asked)
        self.answers += time.monotonic() - began
        return lines


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _peak() -> int:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024
