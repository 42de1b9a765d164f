"""The examples run as they are, without a network, and their tasks are measured right."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from deploy import examples
from pipeline.report.build import task_of_row
from tests.e2e.lab import Lab

EXAMPLES = Path(__file__).parents[2] / "examples"
SDK = Path(__file__).parents[2] / "sdk" / "src"
SECONDS = 120


Expected = dict[str, dict[str, Any]]
"""What must come of an example's tasks."""

EXPECTED: dict[str, Expected] = {
    "plain_opentelemetry": {
        "invoice-1": {
            "claim": "success",
            "verdict": "success",
            "model_calls": 2,
            "tool_calls": 2,
            "tool_errors": 1,
        },
        "invoice-2": {"claim": "success", "verdict": "failure", "input_tokens": 1_700, "cost_usd": "0.000800000"},
    },
    "pydantic_ai_refunds": {
        "refund-1": {"claim": "success", "verdict": "success", "model_calls": 2, "tool_calls": 1, "tool_errors": 0},
        "refund-2": {"claim": "failure", "verdict": None, "model_calls": 1, "tool_calls": 1, "tool_errors": 1},
        "refund-3": {"claim": "success", "verdict": "failure", "model_calls": 2, "tool_calls": 1, "tool_errors": 0},
    },
    "langgraph_claims": {
        "claim-1": {"claim": "success", "overridden": False, "model_calls": 2, "tool_calls": 1, "tool_errors": 0},
        "claim-2": {"claim": "gave_up", "overridden": True, "input_tokens": 1_800, "cost_usd": None},
    },
    "openai_agents_travel": {
        "trip-1": {"claim": "success", "verdict": "success", "model_calls": 2, "tool_calls": 1, "tool_errors": 0},
        "trip-2": {"claim": "escalated", "escalated": True, "input_tokens": 600, "tool_errors": 1},
    },
}


def requirements(name: str) -> list[str]:
    """The packages that an example's header names."""
    header = [line[2:] for line in (EXAMPLES / f"{name}.py").read_text().splitlines() if line.startswith("# ")]
    declared = tomllib.loads("\n".join(line for line in header if not line.startswith("//")))
    return [requirement for requirement in declared["dependencies"] if requirement != "trueup-sdk"]


@pytest.fixture(scope="module")
def frameworks() -> str:
    """The Python that has the frameworks; the SDK is the one of this repository."""
    if reason := examples.missing():
        pytest.skip(reason)
    return str(examples.locate())


@pytest.mark.parametrize("name", [name for name in EXPECTED if not requirements(name)])
def test_an_example_of_no_framework_needs_only_the_sdk(lab: Lab, name: str) -> None:
    run(lab, name, sys.executable)


@pytest.mark.parametrize("name", [name for name in EXPECTED if requirements(name)])
def test_an_example_s_tasks_are_measured(lab: Lab, frameworks: str, name: str) -> None:
    run(lab, name, frameworks)


def run(lab: Lab, name: str, python: str) -> None:
    """Run an example against the stack and look at what became of its tasks."""
    ran = subprocess.run(
        [python, str(EXAMPLES / f"{name}.py")],
        env=os.environ | {"TRUEUP_KAFKA_BOOTSTRAP": lab.settings.kafka.bootstrap, "PYTHONPATH": str(SDK)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    assert "are on their way" in ran.stdout
    lab.land(*lab.ends())
    for task_id, told in EXPECTED[name].items():
        task = task_of_row(lab.task(task_id))
        assert {key: task[key] for key in told} == told, task_id


def test_every_example_is_tried() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == EXPECTED.keys()
    assert all(requirements(name) or name == "plain_opentelemetry" for name in EXPECTED)


def test_the_lock_has_what_every_example_s_header_asks_for() -> None:
    """`make lock` writes it anew."""
    locked = dict(re.findall(r"^([a-z0-9.-]+)==([^\s\\]+)", (EXAMPLES / "requirements.lock").read_text(), re.MULTILINE))
    for needed in (Requirement(text) for name in EXPECTED for text in requirements(name)):
        assert needed.specifier.contains(locked[needed.name], prereleases=True), needed
