"""One, two and four workers on twelve partitions of Apache Kafka: they come, go and die while events flow."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Self

import pytest

from bench.work import Work
from pipeline.config import Settings
from pipeline.kafka import producer
from pipeline.replay.land import wait_until_landed
from pipeline.report.build import report
from schemas.event import Event, partition_of
from schemas.message import Parted, encode_messages, parted
from schemas.words import ACTIONS, Kind, Outcome
from sinks.clickhouse.audit import audit
from sinks.clickhouse.reads import Question
from tests.e2e.rig import Rig, WorkerProcess, eventually

PARTITIONS = 12
RATE = 2_000
"""Events a second."""
TICK = 0.1
"""Seconds between two sends."""
TWICE = 0.03
"""The share of events that are sent again, some seconds later."""
OPEN_TASKS = 500


class Flow:
    """Events of many tasks, onto agent.actions from a thread of its own at a steady rate, some of them twice."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kafka = producer(settings, linger_ms=5)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._draw = random.Random(4)  # noqa: S311 - no secrets here
        self._source = self._events()
        self._again: list[tuple[float, Event]] = []
        self.sent = 0
        """Those sent twice twice."""
        self.events: dict[int, Event] = {}
        """Every event that was sent, by its hash."""
        self._thread = threading.Thread(target=self._run, name="flow", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Return when Kafka has everything. Raises what the flow failed with."""
        self._stopping.set()
        self._thread.join()
        self._kafka.close()
        if self._failure is not None:
            raise self._failure

    @staticmethod
    def _events() -> Iterator[Event]:
        work = Work(4, time.time_ns() // 1_000, OPEN_TASKS)
        return (event for event in work.events() if event.kind != Kind.LINK)

    def _run(self) -> None:
        try:
            begun, made = time.monotonic(), 0
            while not self._stopping.wait(TICK):
                due = int((time.monotonic() - begun) * RATE) - made
                made += due
                self._send(list(islice(self._source, due)), time.monotonic())
            self._send([], float("inf"))
        except BaseException as error:  # noqa: BLE001 - `stop` raises it
            self._failure = error

    def _send(self, new: list[Event], now: float) -> None:
        again = [event for due, event in self._again if due <= now]
        self._again = [each for each in self._again if each[0] > now]
        self._again += [(now + self._draw.uniform(0, 8), each) for each in new if self._draw.random() < TWICE]
        k = self._settings.kafka
        parts: dict[int, list[Parted]] = {}
        for event in new + again:
            self.events[event.hash] = event
            parts.setdefault(partition_of(event.task_id, k.partitions), []).append(parted(event))
        self.sent += len(new) + len(again)
        futures = [
            self._kafka.send(k.actions_topic, payload, partition=p)
            for p, some in parts.items()
            for payload in encode_messages(some, k.message_bytes)
        ]
        for future in futures:
            future.get(timeout=30)


@pytest.fixture
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("rig"), {"kafka": {"partitions": PARTITIONS}}, broker="apache") as rig:
        yield rig


def share(workers: list[WorkerProcess], partitions: int) -> None:
    """Return when these workers have all partitions between them, and each of them folds."""

    def shared() -> bool:
        owned = [worker.ready().get("partitions", 0) for worker in workers]
        return sum(owned) == partitions and all(owned)

    eventually(shared, f"{len(workers)} workers share the partitions")
    before = [worker.metric("trueup_events_folded") for worker in workers]
    eventually(
        lambda: all(worker.metric("trueup_events_folded") > n for worker, n in zip(workers, before, strict=True)),
        f"each of {len(workers)} workers folds",
    )


def test_workers_that_come_go_and_die_lose_nothing_and_count_nothing_twice(rig: Rig) -> None:
    first = rig.start_worker()
    first.until_ready()
    everything = int(first.ready()["partitions"])  # of all topics
    with Flow(rig.settings) as flow:
        share([first], everything)
        second = rig.start_worker()
        share([first, second], everything)
        third, fourth = rig.start_worker(), rig.start_worker()
        share([first, second, third, fourth], everything)

        third.send(signal.SIGTERM)
        assert third.wait() == 0
        share([first, second, fourth], everything)
        fourth.send(signal.SIGKILL)
        share([first, second], everything)

        running = [first, second]
        for _ in range(2):  # a rolling restart: the oldest makes place for a new one
            running.pop(0).send(signal.SIGTERM)
            running.append(rig.start_worker())
            share(running, everything)
    wait_until_landed(rig.settings, {}, end_of_time=True, alive=lambda: all(each.running for each in running))

    found = audit(rig.client, epoch=rig.settings.kafka.epoch)
    assert (found.differences, found.skipped) == ([], 0)
    assert found.landed == {
        "events": len(flow.events),
        "duplicates": flow.sent - len(flow.events),
        "dead_letters": 0,
    }
    (row,) = report(rig.client, Question())["rows"]
    should = counts(flow.events.values())
    assert {name: row["counts"][name] for name in should} == should


def counts(events: Iterable[Event]) -> dict[str, int]:
    """What a report must say of them, once every task is finished or given up."""
    sent = list(events)
    roots = [event for event in sent if event.root]
    acted = [event for event in sent if event.kind in ACTIONS]
    return {
        "tasks_finished": len(roots),
        "tasks_abandoned": len({event.task_id for event in sent}) - len(roots),
        "tasks_open": 0,
        "claimed_success": sum(event.value == Outcome.SUCCESS.value for event in roots),
        "verdict_known": sum(event.kind == Kind.VERDICT for event in sent),
        "actions": len(acted),
        "action_errors": sum(bool(event.error_type) for event in acted),
        "input_tokens": sum(event.input_tokens or 0 for event in sent),
        "output_tokens": sum(event.output_tokens or 0 for event in sent),
    }
