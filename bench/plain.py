"""The plain Faust application of `bench.plain_app` on the same broker, with the same kind of events."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import msgspec

from bench.fold import Backlog
from bench.lab import READY_SECONDS, Commits, Lab
from bench.work import Work
from schemas.event import FIELDS, Event, partition_of
from schemas.units import MICRO
from schemas.words import SPANS

TOPIC = "plain.actions"
GROUP = "plain"
TABLES = 3
NOTHING: tuple[object, ...] = ("", 0, None, {})


@dataclass(frozen=True)
class Plain:
    """A backlog worked off by the plain application, from when it is ready until all is committed."""

    events: int
    seconds: float
    per_second: int
    cpu_per_million: dict[str, float]
    bytes_per_event: int


def run(events: int, open_tasks: int, seed: int) -> Plain:
    """Measure it."""
    with Lab() as lab:
        partitions, backlog, size = lab.settings.kafka.partitions, Backlog(), 0
        lab.broker.create_topics({TOPIC: partitions})
        work = Work(seed, time.time_ns() // 1_000 - 600 * MICRO, open_tasks)

        def sent() -> Iterator[tuple[int, bytes]]:
            nonlocal size
            spans = (event for event in work.events() if event.kind in SPANS)
            for event in islice(spans, events):
                payload, partition = _json(event), partition_of(event.task_id, partitions)
                backlog.add(partition, 1)
                size += len(payload)
                yield partition, payload

        lab.send(TOPIC, sent(), batch_size=500_000)
        environment = {**os.environ, "PLAIN_BROKER": lab.broker.bootstrap, "PLAIN_PARTITIONS": str(partitions)}
        arguments = ["-m", "bench.plain_app", "--datadir", str(lab.folder / "plain"), "worker", "-l", "warn"]
        worker = lab.start_process("plain", arguments, environment | {"PYTHONPATH": os.pathsep.join(sys.path)})
        commits = Commits(lab.settings, GROUP)
        try:
            worker.wait_for_line("ready", READY_SECONDS)
            lab.processes.add("plain", worker.pid)
            began, before = time.monotonic(), lab.processes.usage()
            ended, _ = commits.until(TOPIC, lambda at: backlog.events(at) == backlog.total, lambda: worker.running)
            used = lab.processes.usage().since(before)
        except RuntimeError as error:
            raise RuntimeError(f"{error}; its last output:\n{worker.tail()}") from None
        finally:
            commits.close()
    seconds = ended - began
    per_million = {name: round(used[name] / events * MICRO, 1) for name in ("plain", "broker")}
    return Plain(events, round(seconds, 2), round(events / seconds), per_million, size // events)


def _json(event: Event) -> bytes:
    """The event as it is, with the names of its fields and without those that tell nothing."""
    return msgspec.json.encode({name: told for name in FIELDS if (told := getattr(event, name)) not in NOTHING})
