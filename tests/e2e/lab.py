"""What an end-to-end test does with a stack: send bytes, wait until they have landed, look at what they became."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest
from kafka import KafkaConsumer, TopicPartition

from pipeline.config import Settings
from pipeline.kafka import Positions, client_options, producer
from pipeline.replay.land import Stalled, wait_until_landed
from pipeline.replay.send import send
from pipeline.report.build import report
from pipeline.stack import Stack
from sinks.clickhouse import reads
from sinks.clickhouse.audit import Audit, audit
from tests.e2e.rig import Rig, eventually, stacks_on

LARGEST_REQUEST = 64 * 1024 * 1024

Task = dict[str, Any]


class Place(NamedTuple):
    """Where a message is."""

    topic: str
    partition: int
    offset: int


def land(stack: Stack | Rig, reached: Positions, *, end_of_time: bool = False) -> None:
    """Return when the messages up to `reached` are in ClickHouse. Fails with the worker's last words."""
    try:
        wait_until_landed(stack.settings, reached, end_of_time=end_of_time, alive=lambda: stack.alive, patience=60)
    except Stalled as stalled:
        pytest.fail(f"{stalled}; its last words:\n{stack.last_words()[-3_000:]}")


@contextmanager
def lab_on(broker: str, settings: Settings, *, with_alerter: bool = False) -> Iterator[Lab]:
    """A stack with a broker of BROKERS, and its lab."""
    with stacks_on(broker), Stack(settings, with_alerter=with_alerter) as stack, Lab(stack) as lab:
        yield lab


class Lab:
    """A stack and a producer that sends messages of any size to it. It ends with the audit of all that was done to it.

    So a test that damages rows on purpose mends them. What it leaves as dead letters is no difference.
    """

    def __init__(self, stack: Stack | Rig) -> None:
        self.stack, self.settings, self.client = stack, stack.settings, stack.client
        large = stack.settings.kafka.model_copy(update={"message_bytes": LARGEST_REQUEST})
        self._producer = producer(stack.settings.model_copy(update={"kafka": large}))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        try:
            if failure is None:
                self._audit_in_the_end()
        finally:
            self._producer.close()

    def _audit_in_the_end(self) -> None:
        """Once everything has landed and the rows rest, if there is a worker; without one, as it left them."""
        if self.stack.alive:
            self.land()
            eventually(lambda: not self.audit().skipped, "the rows rest")
        found = self.audit()
        if found.total:
            pytest.fail("\n".join([f"the audit in the end: {found.total} differences", *map(str, found.differences)]))

    # --- in ---------------------------------------------------------------------------------------

    def put(self, topic: str, payload: bytes | None, partition: int | None = None) -> Place:
        """Put a message into a topic, and say where it is."""
        (place,) = self.put_all(topic, [payload], partition)
        return place

    def put_all(self, topic: str, payloads: Iterable[bytes | None], partition: int | None = None) -> list[Place]:
        """Put messages into a topic, and say where they are. Many at a time take no longer than one."""
        sent = [
            self._producer.send(topic, payload, key=b"of nothing" if payload is None else None, partition=partition)
            for payload in payloads
        ]
        self._producer.flush()
        return [Place(place.topic, place.partition, place.offset) for place in (each.get(timeout=30) for each in sent)]

    def spans(self, payload: bytes) -> Place:
        """Put a message into the topic of spans."""
        return self.put(self.settings.kafka.spans_topic, payload)

    def all_spans(self, payloads: Iterable[bytes]) -> list[Place]:
        """Put messages into the topic of spans."""
        return self.put_all(self.settings.kafka.spans_topic, payloads)

    def logs(self, payload: bytes) -> Place:
        """Put a message into the topic of log records."""
        return self.put(self.settings.kafka.logs_topic, payload)

    def ends(self) -> list[Place]:
        """The last message of each partition of the topics that agents write to: where others put theirs."""
        consumer = KafkaConsumer(**client_options(self.settings))
        try:
            topics = (self.settings.kafka.spans_topic, self.settings.kafka.logs_topic)
            held = [TopicPartition(t, p) for t in topics for p in consumer.partitions_for_topic(t) or ()]
            return [Place(tp.topic, tp.partition, end - 1) for tp, end in consumer.end_offsets(held).items() if end]
        finally:
            consumer.close()

    def land(self, *places: Place) -> None:
        """Return when what was put there is in ClickHouse. Fails when the worker has stopped."""
        reached: Positions = {}
        for place in places:
            if place.topic in (self.settings.kafka.spans_topic, self.settings.kafka.logs_topic):
                tp = TopicPartition(place.topic, place.partition)
                reached[tp] = max(reached.get(tp, 0), place.offset + 1)
        land(self.stack, reached)

    def replay(self, file: Path) -> int:
        """Send a file of OTLP/JSON lines and wait until it has landed; the number of messages."""
        sent = send(self.settings, [file])
        land(self.stack, sent.reached)
        return sent.messages

    # --- out --------------------------------------------------------------------------------------

    def task(self, task_id: str) -> Task:
        """The row of a task that must be there."""
        (row,) = reads.task(self.client, task_id)
        return row

    def events(self, task_id: str) -> list[dict[str, Any]]:
        """The raw events of a task."""
        return reads.events_of(self.client, task_id)

    def counts(self, workflow: str) -> dict[str, Any]:
        """The counts of a workflow's report."""
        rows = report(self.client, reads.Question(where={"workflow": workflow}))["rows"]
        return dict(rows[0]["counts"]) if rows else {}

    def dead_letters(self, places: Iterable[Place]) -> dict[Place, list[dict[str, Any]]]:
        """The dead letters of the messages at some places."""
        found: dict[Place, list[dict[str, Any]]] = {place: [] for place in places}
        for row in reads.dictionaries(self.client, "SELECT * FROM dead_letters ORDER BY index"):
            place = Place(row["topic"], row["partition"], row["offset"])
            if place in found:
                found[place].append(row)
        return found

    def audit(self) -> Audit:
        """What the audit of everything finds."""
        return audit(self.client, epoch=self.settings.kafka.epoch)

    def metric(self, name: str, **labels: str) -> float:
        """A metric of the worker; 0 if it has none of that name and labels."""
        connection = HTTPConnection(self.settings.http.host, self.settings.http.port, timeout=30)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        told = ",".join(f'{k}="{v}"' for k, v in labels.items())
        wanted = f"{name}{{{told}}}" if told else name
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.split(" ")[0] == wanted)


def now_ns() -> int:
    """A moment of now, in nanoseconds: the stack takes no telemetry of another time."""
    return time.time_ns()
