"""The examples run as they are, without a network, and their tasks are measured right."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kafka import KafkaConsumer, TopicPartition

from pipeline.kafka import client_options
from pipeline.report.build import task_of_row
from tests.e2e.lab import Lab, Place

EXAMPLES = Path(__file__).parents[2] / "examples"
SECONDS = 120


class Example(NamedTuple):
    """What an example needs, and what must come of its tasks."""

    modules: tuple[str, ...]
    tasks: dict[str, dict[str, Any]]


EXPECTED = {
    "plain_opentelemetry": Example(
        ("trueup",),
        {
            "invoice-1": {
                "claim": "success",
                "verdict": "success",
                "model_calls": 2,
                "tool_calls": 2,
                "tool_errors": 1,
            },
            "invoice-2": {"claim": "success", "verdict": "failure", "input_tokens": 1_700, "cost_usd": "0.000800000"},
        },
    ),
    "pydantic_ai_refunds": Example(
        ("pydantic_ai",),
        {
            "refund-1": {"claim": "success", "verdict": "success", "model_calls": 2, "tool_calls": 1, "tool_errors": 0},
            "refund-2": {"claim": "failure", "verdict": None, "model_calls": 1, "tool_calls": 1, "tool_errors": 1},
            "refund-3": {"claim": "success", "verdict": "failure", "model_calls": 2, "tool_calls": 1, "tool_errors": 0},
        },
    ),
    "langgraph_claims": Example(
        ("langchain", "langgraph", "openinference.instrumentation.langchain"),
        {
            "claim-1": {"claim": "success", "overridden": False, "model_calls": 2, "tool_calls": 1, "tool_errors": 0},
            "claim-2": {"claim": "gave_up", "overridden": True, "input_tokens": 1_800, "cost_usd": "0.007200000"},
        },
    ),
    "openai_agents_travel": Example(
        ("agents", "opentelemetry.instrumentation.genai.openai_agents", "opentelemetry.instrumentation.genai.openai"),
        {
            "trip-1": {"claim": "success", "verdict": "success", "model_calls": 2, "tool_calls": 1, "tool_errors": 0},
            "trip-2": {"claim": "escalated", "escalated": True, "input_tokens": 600, "tool_errors": 1},
        },
    ),
}


def requirements(name: str) -> list[str]:
    """The packages that an example's header names."""
    header = [line[2:] for line in (EXAMPLES / f"{name}.py").read_text().splitlines() if line.startswith("# ")]
    declared = tomllib.loads("\n".join(line for line in header if not line.startswith("//")))
    return [requirement for requirement in declared["dependencies"] if requirement != "trueup-sdk"]


def missing(modules: tuple[str, ...]) -> bool:
    for module in modules:
        try:
            if find_spec(module) is None:
                return True
        except ModuleNotFoundError:
            return True
    return False


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_s_tasks_are_measured(lab: Lab, name: str) -> None:
    example = EXPECTED[name]
    if missing(example.modules):
        quoted = " ".join(f"'{requirement}'" for requirement in requirements(name))
        pytest.skip(f"install it with: .venv/bin/uv pip install --prerelease=allow {quoted}")
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        env=os.environ | {"TRUEUP_KAFKA_BOOTSTRAP": lab.settings.kafka.bootstrap},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    assert "are on their way" in ran.stdout
    lab.land(*ends(lab))
    for task_id, told in example.tasks.items():
        task = task_of_row(lab.task(task_id))
        assert {key: task[key] for key in told} == told, task_id


def ends(lab: Lab) -> list[Place]:
    """The last message of each partition of the topics that agents write to."""
    consumer = KafkaConsumer(**client_options(lab.settings))
    try:
        topics = (lab.settings.kafka.spans_topic, lab.settings.kafka.logs_topic)
        partitions = [TopicPartition(t, p) for t in topics for p in consumer.partitions_for_topic(t) or ()]
        return [Place(tp.topic, tp.partition, end - 1) for tp, end in consumer.end_offsets(partitions).items() if end]
    finally:
        consumer.close()


def test_every_example_is_tried() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == EXPECTED.keys()
    assert all(requirements(name) or name == "plain_opentelemetry" for name in EXPECTED)
