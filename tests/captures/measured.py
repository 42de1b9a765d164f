"""A capture through both stages in this process: the tasks that `trueup try --tasks` would list."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline.config import Settings
from pipeline.fold.message import Batch, Clock, Message
from pipeline.fold.partition import PartitionFold
from pipeline.normalise.normaliser import Normaliser, Packed
from pipeline.report.build import task_of_row
from schemas.event import partition_of
from schemas.message import Parted, decode_message, encode_messages, parted
from schemas.words import TaskStatus
from sinks.memory import MemoryStore
from sinks.port import write

CAPTURES = Path(__file__).parents[1] / "data" / "otlp"
NAMES = sorted(path.name for path in CAPTURES.iterdir())
RECEIVED = 1_795_400_000_000_000
"""Kafka's timestamp of every message, in microseconds: the day of the captures."""
CENTURY_US = 100 * 365 * 86_400 * 1_000_000
PARTITIONS = 4
ALIASES = {
    "trueup.task.id": [
        "opsmon.task.id", "task.id", "metadata.task_id", "traceloop.association.properties.task_id",
    ],
    "trueup.task.type": [
        "opsmon.case.type", "case_type", "metadata.case_type", "traceloop.association.properties.case_type",
    ],
    "trueup.workflow": [
        "opsmon.workflow.name", "metadata.workflow", "traceloop.association.properties.workflow",
    ],
}  # fmt: skip
"""Where the captured agents keep their own keys: what a user of them would configure."""


class Measured(NamedTuple):
    """What came of telemetry."""

    tasks: list[dict[str, Any]]
    """As `trueup try --tasks` lists them."""
    store: MemoryStore
    packed: Packed


def settings(**more: Any) -> Settings:
    """The configuration of a user of the captured agents."""
    return Settings(kafka={"partitions": PARTITIONS}, aliases=ALIASES, **more)


def requests(name: str) -> list[tuple[str, bytes]]:
    """(topic, payload) of every message of a capture, in the order in which they were sent."""
    folder = CAPTURES / name
    return [
        (topic, line)
        for topic, file in (("otlp_spans", "traces.jsonl"), ("otlp_logs", "logs.jsonl"))
        if (folder / file).exists()
        for line in (folder / file).read_bytes().splitlines()
    ]


def measure(messages: Iterable[tuple[str, bytes]], given: Settings | None = None) -> Measured:
    """Normalise and fold messages, and let a century pass."""
    normaliser, packed = Normaliser(given or settings()), Packed()
    for offset, (topic, payload) in enumerate(messages):
        normaliser.add(packed, topic, 0, offset, RECEIVED, payload)
    store = MemoryStore()
    folds = [PartitionFold(p, store) for p in range(PARTITIONS)]
    ends: dict[int, int] = defaultdict(int)
    waiting = {p: list(parts) for p, parts in packed.parts.items()}
    while waiting:
        sent_on: dict[int, list[Parted]] = {}
        for p, parts in waiting.items():
            for payload in encode_messages(parts, Settings().kafka.message_bytes):
                snapshot = folds[p].fold(Batch([Message(ends[p], RECEIVED, *decode_message(payload))]))
                ends[p] += 1
                write(store, snapshot)
                for event in snapshot.forwards:
                    sent_on.setdefault(partition_of(event.task_id, PARTITIONS), []).append(parted(event))
        waiting = sent_on
    for p, fold in enumerate(folds):
        write(store, fold.fold(Batch([Message(ends[p], RECEIVED, clock=Clock(RECEIVED + CENTURY_US, 3_600_000_000))])))
    rows = [row for row in store.task_rows.values() if row.status != TaskStatus.LINKED]
    return Measured([task_of_row(msgspec.structs.asdict(row)) for row in rows], store, packed)


# --- against the truth ---------------------------------------------------------------------------

NUMBERS = ("model_calls", "input_tokens", "output_tokens", "tool_calls", "tool_errors")


class Compared(NamedTuple):
    """One number of one run."""

    run: str
    scenario: str
    number: str
    got: Any
    """None: unknown."""
    should: Any
    told: bool
    """Whether the telemetry tells it at all."""


def compare(name: str, tasks: list[dict[str, Any]]) -> list[Compared]:
    """Every number of every run of a capture, against what happened."""
    truth = json.loads((CAPTURES / name / "truth.json").read_text())
    hidden = {(run, number) for number, runs in truth["not_in_the_telemetry"].items() for run in runs}
    found = []
    for run in truth["runs"]:
        mine = [task for task in tasks if set(task["trace_ids"]) & set(run["trace_ids"])]
        got: dict[str, Any] = {number: _sum(task[number] for task in mine) if mine else None for number in NUMBERS}
        failed = any(task["claim"] in ("failure", "gave_up") for task in mine)
        got["status"] = ("error" if failed else "ok") if mine else None
        found += [
            Compared(run["run"], run["scenario"], number, value, run[number], (run["run"], number) not in hidden)
            for number, value in got.items()
        ]
    return found


def _sum(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return None if None in known else sum(value or 0 for value in known)
