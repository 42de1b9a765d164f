"""What the telemetry lacks is said: calls without a price, dimensions with too many values."""

from __future__ import annotations

import pytest

from pipeline.doctor import Check, examine
from tests.e2e.lab import Lab, now_ns
from tests.otlp import logs, record, span, traces

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 5}
HOURS_AGO_NS = 5 * 3_600 * 1_000_000_000
TENANTS = 1_010
KNOWN, OTHER = "d0c1" * 8, "d0c2" * 8
"""A trace whose task is known, and one that names it as its task. No other test has them."""


@pytest.fixture(scope="module")
def findings(lab: Lab) -> dict[str, Check]:
    """What the doctor finds after calls of unknown price, and in another hour than that of other tests many tenants."""
    now = now_ns()
    task = {"trueup.task.id": "priceless", "trueup.workflow": "priceless"}
    calls = [
        task | CHAT | {"gen_ai.request.model": "house-model"},
        task | CHAT | {"gen_ai.request.model": "house-model", "gen_ai.provider.name": "openai"},
        task | CHAT | {"gen_ai.request.model": "gpt-4.1", "gen_ai.provider.name": "openai"},
        task | {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "house-embedder"},
        task | {"trueup.task.outcome": "success"},
    ]
    priceless = [span(values, at=now, spanId=f"{i + 1:016x}", traceId="7" * 32) for i, values in enumerate(calls)]
    minutes = task | {"trueup.intervention": "corrected", "trueup.human.minutes": 7.5, "trueup.human.role": "clerk"}
    then = now - HOURS_AGO_NS
    many = [
        span({"trueup.task.id": f"of-{i}", "trueup.tenant": f"tenant-{i}"}, at=then, traceId=f"{i + 1:032x}")
        for i in range(TENANTS)
    ]
    lab.land(lab.logs(logs(record("trueup.task.intervened", minutes, at=now))))
    lab.land(lab.spans(traces(*priceless)), lab.spans(traces(*many)))
    known = span({"trueup.task.id": "of-all"}, at=now, traceId=KNOWN)
    naming = span({"trueup.task.id": KNOWN}, at=now, traceId=OTHER)
    unnamed = span(at=now, traceId=OTHER, spanId="1" * 16, parentSpanId="2" * 16)
    lab.land(lab.spans(traces(known)))
    lab.land(lab.spans(traces(naming, unnamed)))
    return {check.name: check for check in examine(lab.settings)}


def test_calls_without_a_price_are_listed_by_model_and_instrumentation(findings: dict[str, Check]) -> None:
    assert findings["no cost: house-model"].finding == "2 calls, told by test"
    assert "prices" in findings["no cost: house-model"].fix
    assert "no cost: gpt-4.1" not in findings
    assert findings["no cost: house-embedder"].finding == "1 calls, told by test"
    assert "have model calls or embeddings of unknown cost" in findings["cost"].finding
    assert findings["price list"].ok


def test_human_minutes_without_a_price_are_listed_by_role(lab: Lab, findings: dict[str, Check]) -> None:
    found = findings["no price of human time: clerk"]
    assert found.finding == "7 minutes in 1 tasks, whose cost is unknown therefore"
    assert "human_usd_per_hour" in found.fix


def test_a_dimension_with_too_many_values_is_listed(lab: Lab, findings: dict[str, Check]) -> None:
    beyond = TENANTS - lab.settings.limits.dimension_values
    assert findings["too many values: tenant"].finding == f"{beyond} events have `other` instead"
    assert lab.metric("trueup_limited_events_total", dimension="tenant") == beyond


def test_what_was_passed_on_to_a_trace_of_another_task_is_counted(lab: Lab, findings: dict[str, Check]) -> None:
    """The span that names that trace gets to the task; the one that only shares a trace with it does not."""
    assert len([e for e in lab.events("of-all") if e["kind"] != "link"]) == 2
    found = findings["events that count nowhere"].finding
    assert found == "1, of 1 traces that were named as a task, and belong to another task"


def test_nothing_of_it_is_a_failure(findings: dict[str, Check]) -> None:
    assert [check.name for check in findings.values() if not check.ok] == []
