"""What people and models said to each other goes nowhere, however it comes in."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.kafka import client_options
from schemas.contract import EVENTS
from tests.e2e.lab import Lab, now_ns
from tests.otlp import logs, record, span, traces

MARK = "Marked-Content-7f3a"
TASK = {"trueup.task.id": "private", "trueup.workflow": "private"}
CONTENT = {
    "gen_ai.input.messages": MARK,
    "gen_ai.output.messages": [{"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": MARK}}]}}],
    "gen_ai.system_instructions": MARK,
    "gen_ai.tool.call.arguments": f'{{"name": "{MARK}"}}',
    "gen_ai.tool.call.result": MARK,
    "input.value": MARK,
    "llm.input_messages.0.message.content": MARK,
    "traceloop.entity.input": MARK,
    "user.email": MARK,
}
OF_EVENTS: dict[str, dict[str, Any]] = {
    "trueup.task.claimed": {"trueup.task.outcome": "success"},
    "trueup.task.verified": {"trueup.verdict": "success"},
    "trueup.task.intervened": {"trueup.intervention": "approved"},
    "trueup.task.feedback": {"trueup.complaint": False},
    "trueup.cost": {"trueup.cost.category": "tool", "trueup.cost.usd": 1},
    "trueup.outcome": {"trueup.outcome.name": "sale", "trueup.outcome.value": 1},
    "gen_ai.evaluation.result": {"gen_ai.evaluation.name": "judge", "gen_ai.evaluation.explanation": MARK},
}


def private_requests() -> list[tuple[str, bytes]]:
    now = now_ns()
    said = {"body": {"stringValue": MARK}, "traceId": "e" * 32}
    good = span(TASK | CONTENT, at=now, traceId="e" * 32, name=MARK, status={"code": 2, "message": MARK})
    good["events"] = [{"name": MARK, "attributes": [{"key": "exception.message", "value": {"stringValue": MARK}}]}]
    bad = [
        span(TASK | CONTENT | {"trueup.cost.usd": -1}, at=now, name=MARK),
        span(TASK | CONTENT, at=1, name=MARK),
        {**span(TASK | CONTENT, name=MARK), "traceId": "short", "status": {"message": MARK}},
        span(TASK | {"trueup.cost.usd": MARK}, at=now),
        span(TASK | {"trueup.stage": MARK}, at=now),
        {**span(TASK, at=now), "traceId": MARK},
        {**span(CONTENT), "startTimeUnixNano": MARK},
        span({**CONTENT, "gen_ai.prompt": {"intValue": MARK}}),
    ]
    learnt = [record(name, TASK | values | {"note": MARK}, at=now, **said) for name, values in OF_EVENTS.items()]
    odd = [
        record("trueup.nonsense", TASK | CONTENT, at=now, **said),
        record("", CONTENT, at=now, **said),
        record("gen_ai.client.inference.operation.details", CONTENT, at=now, **said),
        record("trueup.task.verified", TASK | CONTENT | {"trueup.verdict": 5}, at=now, **said),
        record("trueup.task.feedback", TASK | {"trueup.satisfaction": MARK}, at=now, **said),
        record("trueup.task.feedback", TASK | {"trueup.complaint": MARK}, at=now, **said),
        record(f"trueup.said {MARK}", TASK, at=now, **said),
    ]
    return [
        ("otlp_spans", traces(good, *bad)),
        ("otlp_spans", traces(good, resource={"prompt": MARK, "broken": {"doubleValue": MARK}})),
        ("otlp_spans", f'{{"messages": [{{"content": "{MARK}"}}]}}'.encode()),
        ("otlp_spans", f'{{"resourceSpans": [{MARK}'.encode()),
        ("otlp_spans", f"{MARK} in plain text".encode()),
        ("otlp_logs", logs(*learnt, *odd)),
        ("agent.actions", f'["{MARK}"]'.encode()),
        ("agent.actions", f'[1,"{MARK}"]'.encode()),
        ("agent.actions", f"{MARK} in plain text".encode()),
    ]


@pytest.fixture(scope="module")
def told(lab: Lab) -> Lab:
    lab.land(*(lab.put(topic, payload) for topic, payload in private_requests()))
    return lab


def test_every_event_name_is_tried() -> None:
    assert OF_EVENTS.keys() == EVENTS.keys()


def test_what_was_sent_did_land(told: Lab) -> None:
    kinds = {event["kind"] for event in told.events("private")}
    assert kinds == {"other", "claim", "verdict", "intervention", "feedback", "cost", "outcome", "score"}
    assert told.task("private")["claim"] == "success"


def test_no_table_has_content(told: Lab) -> None:
    tables = told.client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine NOT LIKE '%View'"
    ).result_rows
    told_of = {"raw_events", "task_rows", "window_rows", "dead_letter_rows", "envelope_rows"}
    assert {table for (table,) in tables} >= told_of
    for (table,) in tables:
        where = (
            "concat(toString(tuple(*)), tryBase64Decode(payload))"
            if table == "dead_letter_rows"
            else "toString(tuple(*))"
        )
        found = told.client.query(
            f"SELECT count(), countIf(position({where}, {{mark:String}}) > 0) FROM {table}",
            {"mark": MARK},
        )
        rows, marked = found.first_row
        assert rows or table not in told_of, table
        assert not marked, table


def test_no_topic_of_ours_has_content(told: Lab) -> None:
    """`agent.actions` has what was put there by hand, and nothing else of it."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(**client_options(told.settings), consumer_timeout_ms=2_000)
    try:
        for topic in ("agent.actions", "agent.deadletter"):
            consumer.assign([TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()])
            consumer.seek_to_beginning()
            values = [message.value or b"" for message in consumer]
            assert values
            by_hand = [payload for name, payload in private_requests() if name == topic]
            assert [v for v in values if MARK.encode() in v and v not in by_hand] == []
    finally:
        consumer.close()


def test_the_worker_says_nothing_of_it(told: Lab) -> None:
    assert MARK not in told.stack.last_words()
