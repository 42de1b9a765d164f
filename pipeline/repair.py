"""`trueup audit --repair`: what the audit found different goes to the workers, to be recomputed from the raw events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import NamedTuple, TypeVar

import msgspec
from clickhouse_connect.driver.client import Client
from kafka import TopicPartition

from pipeline.config import Settings
from pipeline.fold.message import NAMES_PER_REPAIR, Repair
from pipeline.kafka import Positions, Progress, producer
from pipeline.replay.land import Stalled, wait_for
from schemas.rows import WindowKey
from sinks.clickhouse.audit import Audit, Difference, audit

ROWS_PER_ROUND = 10_000
"""Differing rows of a kind that one audit tells in full, and so that one round repairs."""
PATIENCE_SECONDS = 60.0
"""Without any progress of the workers, after which there is none."""

Name = TypeVar("Name", str, WindowKey)
Task = tuple[int, str]
Window = tuple[int, WindowKey]


class Repaired(NamedTuple):
    """What was repaired, and what is left."""

    before: Audit
    after: Audit
    tasks: int
    windows: int


def repair(
    settings: Settings,
    client: Client,
    *,
    start: int | None,
    end: int | None,
    waiting: Callable[[str, int], None] = lambda _stage, _left: None,
) -> Repaired:
    """Audit, have the workers recompute what differs, and audit again, until nothing differs or a round mends nothing.

    Times as for `audit`. What a repair cannot mend, a hole in the log, stays a difference. Raises Stalled when no
    worker takes the repair, Unreachable, Transient or Refused.
    """

    def look() -> Audit:
        return audit(client, epoch=settings.kafka.epoch, start=start, end=end, detail=ROWS_PER_ROUND)

    before = after = look()
    repaired_tasks, repaired_windows = set[Task](), set[Window]()
    while True:
        tasks, windows = named(after.differences)
        if not (tasks or windows):
            break
        repaired_tasks |= tasks
        repaired_windows |= windows
        _wait(settings, _send(settings, messages(tasks, windows, settings.kafka.message_bytes)), waiting)
        found, after = after, look()
        if after.total >= found.total:
            break
    return Repaired(before, after, len(repaired_tasks), len(repaired_windows))


def named(differences: Iterable[Difference]) -> tuple[set[Task], set[Window]]:
    """The tasks and windows that differ, by partition."""
    tasks, windows = set[Task](), set[Window]()
    for each in differences:
        if each.kind == "task":
            tasks.add((each.partition, each.key[0]))
        elif each.kind == "window":
            minute, *dimensions = each.key
            begins = int(datetime.fromisoformat(minute).timestamp())
            windows.add((each.partition, WindowKey(begins, *dimensions)))
    return tasks, windows


def messages(tasks: set[Task], windows: set[Window], most_bytes: int) -> Iterator[tuple[int, bytes]]:
    """(partition, payload) of the repairs that name all of these, of bounded size; tasks before windows."""
    for partition, ids in _bounded(tasks, most_bytes):
        yield partition, msgspec.json.encode(Repair(tasks=ids))
    for partition, keys in _bounded(windows, most_bytes):
        yield partition, msgspec.json.encode(Repair(windows=keys))


def _bounded(names: Iterable[tuple[int, Name]], most_bytes: int) -> Iterator[tuple[int, list[Name]]]:
    """The names of each partition, in lists that fit a message."""
    held: dict[int, list[Name]] = {}
    sizes: dict[int, int] = {}
    for partition, name in sorted(names):
        size = len(msgspec.json.encode(name)) + 1
        full = len(held.get(partition, ())) == NAMES_PER_REPAIR or sizes.get(partition, 0) + size > most_bytes
        if full and partition in held:
            yield partition, held.pop(partition)
            sizes[partition] = 0
        held.setdefault(partition, []).append(name)
        sizes[partition] = sizes.get(partition, 0) + size
    yield from held.items()


def _send(settings: Settings, repairs: Iterable[tuple[int, bytes]]) -> Positions:
    """Put the repairs into the log; where each partition is once they are done."""
    topic, kafka, reached = settings.kafka.actions_topic, producer(settings), Positions()
    try:
        sent = [kafka.send(topic, payload, partition=partition) for partition, payload in repairs]
        kafka.flush()
        for place in (future.get(timeout=60) for future in sent):
            tp = TopicPartition(place.topic, place.partition)
            reached[tp] = max(reached.get(tp, 0), place.offset + 1)
    finally:
        kafka.close()
    return reached


def _wait(settings: Settings, reached: Positions, waiting: Callable[[str, int], None]) -> None:
    with Progress(settings) as progress:
        try:
            wait_for(progress, reached, "repair", lambda: True, waiting, PATIENCE_SECONDS)
        except Stalled:
            raise Stalled(
                f"the repair is in {settings.kafka.actions_topic}, and no worker has come to it in "
                f"{PATIENCE_SECONDS:.0f} s without progress; start one (`trueup worker`): it does what was asked "
                "for, and `trueup audit` then tells what is left"
            ) from None
