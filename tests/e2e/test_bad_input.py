"""Whatever comes in, nothing stops the worker and nothing is lost silently.

All inputs are sent to the running stack at once; each test looks at what became of one.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from schemas.event import HEAD, Event
from schemas.message import encode_line, encode_message
from schemas.words import Reason
from tests.e2e.lab import Lab, Place, now_ns
from tests.events import event
from tests.otlp import SECOND_NS, logs, record, span, traces

NOW = now_ns()
MEGABYTES = "x" * 10_000_000
SECRET = "PATIENT-Ada-Lovelace"
WORKFLOW = {"trueup.workflow": "bad-input"}

pytestmark = pytest.mark.every_broker


def trace(n: int) -> str:
    return f"{n:032x}"


def bad_span(n: int, values: dict[str, Any] | None = None, **fields: Any) -> bytes:
    """A bad span between two good ones of a task of their own, in one request."""
    task = {"trueup.task.id": f"around-{n}"}
    before = span(task, at=NOW, traceId=trace(n), spanId="1" * 16, parentSpanId="3" * 16)
    after = span(task, at=NOW, traceId=trace(n), spanId="3" * 16)
    bad = {**span(values, at=NOW, traceId=trace(n), spanId="2" * 16), **fields}
    return traces(before, bad, after, resource=WORKFLOW)


def at(nanoseconds: int) -> dict[str, str]:
    return {"startTimeUnixNano": str(nanoseconds), "endTimeUnixNano": str(nanoseconds)}


def protobuf_with(name: bytes) -> bytes:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="#" * len(name))
    return request.SerializeToString().replace(b"#" * len(name), name)


def protobuf_logs() -> bytes:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(event_name="trueup.cost", time_unix_nano=NOW)
    return request.SerializeToString()


def neighbour(n: int) -> Event:
    return event(f"neighbour-{n}", task_id="neighbours", at=NOW // 1_000, start=NOW // 1_000)


@dataclass
class Bad:
    """A message, and the dead letter that it becomes: of record `index`, for `reason`, telling `detail`."""

    payload: bytes | None
    reason: Reason
    detail: str
    index: int = 1
    topic: str = "otlp_spans"


CHEAP = {"trueup.cost.usd": -1, "trueup.task.id": "never-lands"}

BAD = {
    "random bytes": Bad(b"\x00\x01\x02\xff\xfe" * 20, Reason.NOT_OTLP, "neither JSON nor OTLP protobuf", -1),
    "JSON of another shape": Bad(b'{"events": [{"a": 1}]}', Reason.NOT_OTLP, "JSON without resourceSpans", -1),
    "JSON cut off": Bad(bad_span(1)[:-9], Reason.NOT_OTLP, "starts like JSON but is not", -1),
    "invalid UTF-8 in JSON": Bad(bad_span(1).replace(b"work", b"w\xffrk"), Reason.NOT_OTLP, "starts like JSON", -1),
    "invalid UTF-8 in protobuf": Bad(protobuf_with(b"\xff\xfe"), Reason.NOT_OTLP, "protobuf of traces", -1),
    "protobuf of logs among traces": Bad(protobuf_logs(), Reason.NO_IDENTITY, "the trace id is ''", 0),
    "a span without ids": Bad(bad_span(2, traceId="", spanId=""), Reason.NO_IDENTITY, "the trace id is ''"),
    "a span with ids of zeros": Bad(bad_span(3, spanId="0" * 16), Reason.NO_IDENTITY, "the span id is '000"),
    "a span with short ids": Bad(bad_span(4, traceId="abc"), Reason.NO_IDENTITY, "the trace id is 'abc'"),
    "a parent id of 10 MB": Bad(bad_span(5, parentSpanId=MEGABYTES), Reason.NO_IDENTITY, "id is a text of 10000000 ch"),
    "a time in 1970": Bad(bad_span(6, **at(1)), Reason.TIME_OUT_OF_RANGE, "limits.oldest_days (400)"),
    "a time in 2106": Bad(bad_span(7, **at(2**32 * SECOND_NS)), Reason.TIME_OUT_OF_RANGE, "limits.future_minutes (60)"),
    "a cost of NaN": Bad(bad_span(8, {"trueup.cost.usd": float("nan")}), Reason.INVALID_ATTRIBUTE, "not a finite"),
    "a cost of -1": Bad(bad_span(9, CHEAP), Reason.INVALID_ATTRIBUTE, "trueup.cost.usd: Value error, -1 is outside"),
    "a task id that is a list": Bad(
        bad_span(10, {"trueup.task.id": ["T"]}), Reason.INVALID_ATTRIBUTE, "trueup.task.id is a list"
    ),
    "a stage that is none": Bad(bad_span(11, {"trueup.stage": "prod"}), Reason.INVALID_ATTRIBUTE, "it is pilot,"),
    "a needed attribute of 10 MB": Bad(
        bad_span(12, {"trueup.workflow": MEGABYTES}), Reason.LIMIT_EXCEEDED, "limits.text_bytes allows 1024 bytes"
    ),
    "50,000 attributes": Bad(
        bad_span(13, {f"a{i}": i for i in range(50_000)}), Reason.LIMIT_EXCEEDED, "limits.attributes allows 20000"
    ),
    "a malformed span": Bad(
        bad_span(14, startTimeUnixNano=SECRET), Reason.NOT_OTLP, "invalid literal for int() with base 10"
    ),
    "a malformed span of great depth": Bad(
        bad_span(15, startTimeUnixNano="x", name="DEEP").replace(b'"DEEP"', b"[" * 900 + b"]" * 900),
        Reason.NOT_OTLP,
        "invalid literal",
    ),
    "an unknown event name": Bad(
        logs(record("trueup.task.finished", at=NOW)), Reason.UNKNOWN_EVENT, "is not one of", 0, "otlp_logs"
    ),
    "a verdict that is none": Bad(
        logs(record("trueup.task.verified", {"trueup.verdict": "maybe"}, at=NOW)),
        Reason.INVALID_ATTRIBUTE,
        "trueup.verdict: Input should be 'success'",
        0,
        "otlp_logs",
    ),
    "a cost of a period beyond 2106": Bad(
        logs(
            record(
                "trueup.cost",
                {
                    "trueup.cost.category": "operations",
                    "trueup.cost.usd": 1,
                    "trueup.period.start": 0,
                    "trueup.period.end": {"intValue": str(2**80)},
                },
                at=NOW,
            )
        ),
        Reason.INVALID_ATTRIBUTE,
        "trueup.period.end: Input should be less than",
        0,
        "otlp_logs",
    ),
    "garbage on agent.actions": Bad(b"garbage", Reason.NOT_AN_ACTION_MESSAGE, "malformed", -1, "agent.actions"),
    "nothing on agent.actions": Bad(
        None, Reason.NOT_AN_ACTION_MESSAGE, "Input data was truncated", -1, "agent.actions"
    ),
    "a clock that is none on agent.actions": Bad(
        b'{"at": "noon"}', Reason.NOT_AN_ACTION_MESSAGE, "Expected `int`", -1, "agent.actions"
    ),
    "an event of no kind on agent.actions": Bad(
        msgspec.json.encode([[*HEAD, [[1, SECRET]]]]),
        Reason.NOT_AN_ACTION_MESSAGE,
        "Invalid enum value",
        -1,
        "agent.actions",
    ),
    "nested without end on agent.actions": Bad(
        b"[" * 20_000 + b"]" * 20_000, Reason.NOT_AN_ACTION_MESSAGE, "recursion", -1, "agent.actions"
    ),
    "a bad line between good ones on agent.actions": Bad(
        encode_message([encode_line(neighbour(1)), b"garbage", encode_line(neighbour(2))]),
        Reason.NOT_AN_ACTION_MESSAGE,
        "malformed",
        1,
        "agent.actions",
    ),
}

IGNORED = {
    "an empty message": ("otlp_spans", b""),
    "a message without value": ("otlp_spans", None),
    "a log record of others": (
        "otlp_logs",
        logs(record("app.started", {"note": SECRET}, body={"stringValue": SECRET})),
    ),
    "garbage on agent.deadletter": ("agent.deadletter", b"garbage"),
    "a dead letter that no column holds": ("agent.deadletter", b'["t",-5,0,0,0,"r","d","p"]'),
}


@dataclass
class Sent:
    """Everything that was sent, and what became of it."""

    places: dict[str, Place] = field(default_factory=dict)
    dead: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    records: float = 0


@pytest.fixture(scope="module")
def sent(lab: Lab) -> Sent:
    sent = Sent()
    before = lab.metric("trueup_records_total")
    for name, bad in BAD.items():
        partition = 0 if bad.topic == "agent.actions" else None
        sent.places[name] = lab.put(bad.topic, bad.payload, partition)
    for name, (topic, payload) in IGNORED.items():
        sent.places[name] = lab.put(topic, payload)
    lab.land(*sent.places.values())
    found = lab.dead_letters(sent.places.values())
    sent.dead = {name: found[place] for name, place in sent.places.items()}
    sent.records = lab.metric("trueup_records_total") - before
    return sent


@pytest.mark.parametrize("name", BAD)
def test_it_is_a_dead_letter_with_its_reason_and_position(sent: Sent, name: str) -> None:
    expected = BAD[name]
    (dead,) = sent.dead[name]
    assert (dead["reason"], dead["index"]) == (expected.reason, expected.index)
    assert expected.detail in dead["detail"]


@pytest.mark.parametrize("name", [name for name, bad in BAD.items() if bad.payload])
def test_its_bytes_are_kept_without_the_content(sent: Sent, name: str) -> None:
    (dead,) = sent.dead[name]
    payload = base64.b64decode(dead["payload"])
    assert payload
    assert len(payload) <= 65_536
    assert SECRET.encode() not in payload
    assert SECRET not in dead["detail"]


@pytest.mark.parametrize("n", range(2, 16))
def test_the_good_spans_of_its_request_land(sent: Sent, lab: Lab, n: int) -> None:
    task = lab.task(f"around-{n}")
    assert (task["status"], task["claim"], task["events"]) == ("finished", "success", 2)


def test_the_good_lines_beside_a_bad_one_land(sent: Sent, lab: Lab) -> None:
    assert sorted(event["event_id"] for event in lab.events("neighbours")) == ["neighbour-1", "neighbour-2"]


@pytest.mark.parametrize("name", IGNORED)
def test_what_is_not_for_us_is_no_dead_letter(sent: Sent, name: str) -> None:
    assert sent.dead[name] == []


def test_a_task_of_bad_spans_alone_does_not_exist(sent: Sent, lab: Lab) -> None:
    assert lab.events("never-lands") == []


def test_the_counts_add_up(sent: Sent, lab: Lab) -> None:
    """Every record that was read is an event, a dead letter, or somebody else's."""
    of_records = [d for dead in sent.dead.values() for d in dead if d["index"] >= 0 and d["topic"] != "agent.actions"]
    good = 2 * 14
    foreign = 1
    assert sent.records == good + foreign + len(of_records)
    for reason in Reason:
        of_worker = lab.metric("trueup_dead_letters_total", reason=reason)
        landed = lab.client.query("SELECT count() FROM dead_letters WHERE reason = {r:String}", {"r": reason})
        assert of_worker == landed.first_row[0], reason


def test_the_worker_goes_on(sent: Sent, lab: Lab) -> None:
    assert lab.stack.alive
    lab.land(lab.spans(traces(span({"trueup.task.id": "after"}, at=now_ns(), traceId=trace(99)), resource=WORKFLOW)))
    assert lab.task("after")["status"] == "finished"


def test_the_audit_finds_no_difference(sent: Sent, lab: Lab) -> None:
    found = lab.audit()
    assert found.differences == []
    assert (found.total, found.skipped) == (0, 0)
