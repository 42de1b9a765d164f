"""Odd orders, repetitions and texts: they land, and count once and exactly."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pipeline.report.story import story
from schemas.event import partition_of
from schemas.message import encode_line
from tests.e2e.lab import Lab, now_ns
from tests.events import event
from tests.otlp import SECOND_NS, logs, record, span, traces

ZEROS = {"tasks_finished": 0, "tasks_abandoned": 0, "tasks_open": 0, "verdict_known": 0, "discrepancies": 0}


@pytest.fixture
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Resource attributes with a workflow that only this test has."""
    return {"trueup.workflow": request.node.name}


@pytest.fixture
def trace(request: pytest.FixtureRequest) -> Callable[[int], str]:
    """Trace ids that only this test has."""
    return lambda n: f"{zlib.crc32(request.node.name.encode()):024x}{n:08x}"


def verdict(task_id: str, found: str, at: int, **fields: Any) -> Any:
    values = {"trueup.task.id": task_id, "trueup.verdict": found, "trueup.verifier": "qa"}
    return record("trueup.task.verified", values, at=at, **{"traceId": "", **fields})


def test_a_verdict_for_a_task_that_nobody_has_seen_waits_for_it(
    lab: Lab, workflow: dict[str, Any], trace: Callable[[int], str]
) -> None:
    name, now = workflow["trueup.workflow"], now_ns()
    lab.land(lab.logs(logs(verdict("unseen", "failure", now), resource=workflow)))
    waiting = lab.task("unseen")
    assert (waiting["status"], waiting["verdict"], waiting["events"]) == ("announced", "failure", 1)
    counts = lab.counts(name)
    assert counts | ZEROS == counts

    late = span({"trueup.task.id": "unseen", "trueup.task.outcome": "success"}, at=now, traceId=trace(1))
    lab.land(lab.spans(traces(late, resource=workflow)))
    counts = lab.counts(name)
    assert counts | ZEROS | {"tasks_finished": 1, "verdict_known": 1, "discrepancies": 1} == counts


def test_a_claim_after_its_verdict_counts_in_the_minute_of_the_claim(
    lab: Lab, workflow: dict[str, Any], trace: Callable[[int], str]
) -> None:
    now = now_ns()
    lab.land(lab.logs(logs(verdict("late claim", "success", now - 600 * SECOND_NS), resource=workflow)))
    claim = {"trueup.task.id": "late claim", "trueup.task.outcome": "failure"}
    lab.land(lab.logs(logs(record("trueup.task.claimed", claim, at=now, traceId=trace(1)), resource=workflow)))
    counts = lab.counts(workflow["trueup.workflow"])
    assert (counts["tasks_finished"], counts["verdict_success"], counts["underclaims"]) == (1, 1, 1)
    minutes = lab.client.query(
        "SELECT toUnixTimestamp(minute) FROM windows WHERE workflow = {w:String}",
        {"w": workflow["trueup.workflow"]},
    ).result_rows
    assert minutes == [(now // SECOND_NS // 60 * 60,)]


def test_a_corrected_verdict_replaces_the_one_before_in_whichever_order_they_come(
    lab: Lab, workflow: dict[str, Any], trace: Callable[[int], str]
) -> None:
    now = now_ns()
    root = span({"trueup.task.id": "corrected", "trueup.task.outcome": "success"}, at=now, traceId=trace(1))
    lab.land(lab.spans(traces(root, resource=workflow)))
    lab.land(lab.logs(logs(verdict("corrected", "failure", now + 2 * SECOND_NS), resource=workflow)))
    lab.land(lab.logs(logs(verdict("corrected", "success", now + SECOND_NS), resource=workflow)))
    assert lab.counts(workflow["trueup.workflow"])["discrepancies"] == 1
    lab.land(lab.logs(logs(verdict("corrected", "success", now + 3 * SECOND_NS), resource=workflow)))
    counts = lab.counts(workflow["trueup.workflow"])
    assert (counts["verdict_known"], counts["verdict_success"], counts["discrepancies"]) == (1, 1, 0)


def test_two_roots_in_a_trace_are_one_task_and_what_is_stated_last_is_its_claim(
    lab: Lab, workflow: dict[str, Any], trace: Callable[[int], str]
) -> None:
    now = now_ns()
    roots = [
        span({"trueup.task.outcome": "gave_up"}, at=now, traceId=trace(1), spanId="1" * 16),
        span({"trueup.task.outcome": "escalated"}, at=now - SECOND_NS, traceId=trace(1), spanId="2" * 16),
        span({}, at=now + SECOND_NS, traceId=trace(1), spanId="3" * 16),
    ]
    lab.land(*(lab.spans(traces(root, resource=workflow)) for root in roots))
    assert lab.counts(workflow["trueup.workflow"])["tasks_finished"] == 1
    task = lab.task(trace(1))
    assert (task["claim"], task["claim_explicit"], task["events"]) == ("gave_up", 1, 3)


def test_what_is_sent_again_changes_nothing(lab: Lab, workflow: dict[str, Any], trace: Callable[[int], str]) -> None:
    now = now_ns()
    call = span(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": 5,
            "trueup.cost.usd": 0.5,
            "trueup.task.id": "dup",
        },
        at=now,
        traceId=trace(1),
        spanId="1" * 16,
        parentSpanId="2" * 16,
    )
    root = span({"trueup.task.id": "dup"}, at=now, traceId=trace(1), spanId="2" * 16)
    payload, before = traces(call, root, resource=workflow), lab.audit()
    lab.land(lab.spans(payload), lab.spans(payload), lab.logs(logs(verdict("dup", "success", now), resource=workflow)))
    lab.land(lab.logs(logs(verdict("dup", "success", now), resource=workflow)), lab.spans(payload))
    counts = lab.counts(workflow["trueup.workflow"])
    expected = {"tasks_finished": 1, "actions": 1, "input_tokens": 5, "cost_known": 1, "cost_usd": "0.500000000"}
    assert counts | expected | {"verdict_known": 1} == counts
    assert len(lab.events("dup")) == 3
    assert lab.audit().duplicates - before.duplicates == 2 * 2 + 1


def test_an_attribute_of_10_mb_that_nobody_needs_does_no_harm(
    lab: Lab, workflow: dict[str, Any], trace: Callable[[int], str]
) -> None:
    large = span({"trueup.task.id": "large", "gen_ai.input.messages": "x" * 10_000_000}, at=now_ns(), traceId=trace(1))
    lab.land(lab.spans(traces(large, resource=workflow)))
    assert lab.task("large")["status"] == "finished"
    assert lab.counts(workflow["trueup.workflow"])["tasks_finished"] == 1


def test_a_task_whose_id_is_its_trace_id_is_an_ordinary_task(
    lab: Lab, workflow: dict[str, Any], trace: Callable[[int], str]
) -> None:
    now = now_ns()
    named = span({"trueup.task.id": trace(1)}, at=now, traceId=trace(1), spanId="1" * 16)
    plain = span({}, at=now, traceId=trace(1), spanId="2" * 16, parentSpanId="1" * 16)
    lab.land(lab.spans(traces(plain, named, resource=workflow)))
    task = lab.task(trace(1))
    assert (task["status"], task["events"], task["linked_to"]) == ("finished", 2, "")


HOSTILE = [
    "' OR 1=1 --",
    "\\' UNION SELECT",
    'say "hi"',
    "tab\there",
    "line\nbreak\r\n",
    "nul\x00byte",
    "\\N",
    "[a,'b']",
    "{x:String}",
    "%s %(y)s",
    "\u202eright to left",
    "\N{SNOWMAN}\U0001f9ea",
    " leading and trailing ",
    "\x1b[31mred\x1b[0m",
    "é" * 512,
]


def test_any_text_is_a_task_id_even_when_its_row_must_be_loaded_again(
    lab: Lab, workflow: dict[str, Any], trace: Callable[[int], str]
) -> None:
    """The tasks leave memory, because others come; a verdict then brings them back from ClickHouse."""
    now = now_ns()
    roots = [
        span({"trueup.task.id": task, "trueup.task.type": task[:200]}, at=now, traceId=trace(n))
        for n, task in enumerate(HOSTILE)
    ]
    lab.land(lab.spans(traces(*roots, resource=workflow)))
    others = [span({"trueup.task.id": f"other-{n}"}, at=now, traceId=trace(n + 1_000)) for n in range(1_200)]
    for half in (others[:600], others[600:]):
        lab.land(lab.spans(traces(*half, resource={"trueup.workflow": "others"})))
    lab.land(lab.logs(logs(*(verdict(task, "failure", now) for task in HOSTILE), resource=workflow)))

    counts = lab.counts(workflow["trueup.workflow"])
    assert (counts["tasks_finished"], counts["discrepancies"]) == (len(HOSTILE), len(HOSTILE))
    for task in HOSTILE:
        row = lab.task(task)
        assert (row["task_id"], row["verdict"], row["events"]) == (task, "failure", 2)
        found = story(lab.client, task)
        assert found is not None
        assert len(found["events"]) == 2


def test_an_event_of_a_later_version_lands_without_what_this_one_does_not_know(lab: Lab) -> None:
    now = now_ns() // 1_000
    told = event("later", "of a later version", at=now, start=now)
    *head, (event_,) = msgspec.json.decode(encode_line(told))
    longer = msgspec.json.encode([[*head, [[*event_, "new", {"newer": 1}]], "also new"]])
    kafka = lab.settings.kafka
    lab.land(lab.put(kafka.actions_topic, longer, partition_of(told.task_id, kafka.partitions)))
    assert [e["event_id"] for e in lab.events("of a later version")] == ["later"]


def test_the_audit_finds_no_difference(lab: Lab) -> None:
    found = lab.audit()
    assert found.differences == []
    assert (found.total, found.skipped) == (0, 0)
