"""What real frameworks emit: the calls and tokens of each run, against what really happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.event import Event
from schemas.mapping.records import Mapper
from schemas.words import Kind
from tests.schemas.mapped import events_of

CAPTURES = Path(__file__).parents[1] / "data" / "otlp"
RECEIVED = 1_795_400_000_000_000
MAPPER = Mapper(
    aliases={
        "trueup.task.id": ["metadata.task_id", "traceloop.association.properties.task_id"],
        "trueup.task.type": ["metadata.case_type", "traceloop.association.properties.case_type"],
    }
)


def events(name: str) -> Iterator[Event]:
    for file, signal in (("traces.jsonl", "traces"), ("logs.jsonl", "logs")):
        path = CAPTURES / name / file
        for line in path.read_bytes().splitlines() if path.exists() else ():
            yield from events_of(line, signal, MAPPER, RECEIVED)


TOLD_TWICE = "anthropic-otel-genai"
"""The SDK and an instrumentation both tell each call: the fold sees to that."""


@pytest.mark.parametrize("name", sorted({p.name for p in CAPTURES.iterdir()} - {TOLD_TWICE}))
def test_calls_and_tokens_of_each_run_are_those_that_happened(name: str) -> None:
    truth = json.loads((CAPTURES / name / "truth.json").read_text())
    found = list(events(name))
    checked = 0
    for run in truth["runs"]:
        mine = [e for e in found if e.trace_id in run["trace_ids"]]
        calls = [e for e in mine if e.kind == Kind.MODEL_CALL]
        tools = [e for e in mine if e.kind == Kind.TOOL_CALL]
        got = {
            "model_calls": len(calls),
            "input_tokens": sum(e.input_tokens or 0 for e in calls),
            "output_tokens": sum(e.output_tokens or 0 for e in calls),
            "tool_calls": len(tools),
            "tool_errors": sum(bool(e.error_type) for e in tools),
        }
        for number, value in got.items():
            if run["run"] not in truth["not_in_the_telemetry"].get(number, ()):
                assert (run["run"], number, value) == (run["run"], number, run[number])
                checked += 1
    assert checked


def test_the_evaluations_of_a_framework_are_scores() -> None:
    scores = [e for e in events("feedback-pydantic-evals") if e.kind == Kind.SCORE]
    assert {e.name for e in scores} >= {"DecisionMatchesRegistry", "Helpfulness", "Category"}
    verdicts = [(e.value, e.number) for e in scores if e.name == "DecisionMatchesRegistry"]
    assert sorted(verdicts) == [("fail", 0), ("pass", 1_000_000), ("pass", 1_000_000)]
    assert {e.task_source for e in scores} == {"trace"}
