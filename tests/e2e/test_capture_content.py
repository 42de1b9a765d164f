"""Every capture, with marks in its content, through the whole stack: the numbers are right, and nothing has a mark."""

from __future__ import annotations

import base64

import msgspec
import pytest
from kafka import KafkaConsumer, TopicPartition

from pipeline.kafka import client_options
from pipeline.report.build import task_list
from schemas.rows import DeadLetter
from sinks.clickhouse.reads import Question
from tests.captures.marked import MARK, Marked, broken
from tests.captures.measured import NAMES, compare
from tests.e2e.lab import Lab


def plain(message: bytes) -> bytes:
    """A message with what a dead letter keeps in base64."""
    try:
        letter = msgspec.json.decode(message, type=DeadLetter)
    except msgspec.DecodeError:
        return message
    return message + base64.b64decode(letter.payload)


OURS = ("agent.actions", "agent.deadletter")


@pytest.fixture(scope="module")
def told(lab: Lab) -> Lab:
    """Every capture, each of its messages good and broken."""
    messages = [message for name in NAMES for message in Marked(name).messages]
    lab.land(*(lab.put(topic, each) for topic, payload in messages for each in (payload, broken(payload))))
    return lab


def test_the_captures_did_land(told: Lab) -> None:
    captured = told.client.query("SELECT uniq(trace_id) FROM raw_events WHERE scope != ''").first_row[0]
    rejected = told.client.query("SELECT count() FROM dead_letter_rows WHERE reason = 'no_identity'").first_row[0]
    assert captured > 100
    assert rejected > 500


def test_what_the_telemetry_tells_is_exact(told: Lab) -> None:
    """As in this process (tests/captures), but through Kafka, the worker and ClickHouse, all captures together."""
    tasks = task_list(told.client, Question())
    wrong = [(name, c) for name in NAMES for c in compare(name, tasks) if c.told and c.got != c.should]
    assert wrong == []


def test_no_table_has_any_of_it(told: Lab) -> None:
    names = told.client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine NOT LIKE '%View'"
    ).result_columns[0]
    assert {"raw_events", "task_rows", "window_rows", "dead_letter_rows"} <= set(names)
    for name in names:
        plain = "toString(tuple(*))"
        text = f"concat({plain}, tryBase64Decode(payload))" if name == "dead_letter_rows" else plain
        sql = f"SELECT countIf(position(lower({text}), {{mark:String}}) > 0) FROM {name}"
        assert told.client.query(sql, {"mark": MARK}).first_row == (0,), name


def test_no_topic_of_ours_has_any_of_it(told: Lab) -> None:
    consumer = KafkaConsumer(**client_options(told.settings), consumer_timeout_ms=2_000)
    try:
        for topic in OURS:
            consumer.assign([TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()])
            consumer.seek_to_beginning()
            values = [message.value or b"" for message in consumer]
            assert len(values) > 10
            assert [value for value in values if MARK.encode() in plain(value).lower()] == []
    finally:
        consumer.close()


def test_the_worker_does_not_say_it(told: Lab) -> None:
    assert told.stack.alive
    assert MARK not in told.stack.last_words().lower()
