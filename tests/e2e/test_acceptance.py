"""A tool that knows nothing of the pipeline but its command and its JSON compares `trueup try` with what happened.

It and what it compares are found as the real agent runs are (test_real_runs.py); without them these tests are skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.captures.measured import NAMES
from tests.e2e.test_real_runs import PLACE

TOOL = PLACE / "tools" / "acceptance.py"
TRUEUP = Path(sys.executable).with_name("trueup")
DATA_SET = "04-medagentbench"
UNSATISFIABLE = {"openai-sdk-v2": ("KB-11 ",), "smolagents-openinference": ("DA-8 ", "DA-9 ")}
"""Capture -> how the lines about runs begin that the tool finds wrong whatever comes out: tests/data/README.md."""
IN_EVERY_RUN = ("pydantic-ai", *UNSATISFIABLE)
"""Each capture takes a stack of its own. All of them go through one in test_capture_content.py."""


def accept(what: str, folder: Path) -> tuple[int, list[str]]:
    """The tool's exit code, and its lines: differences, and a summary."""
    for needed in (TOOL, folder):
        if not needed.exists():
            pytest.skip(f"{needed.relative_to(PLACE)} is not here; set TRUEUP_REAL_RUNS to the folder that holds it")
    command = [sys.executable, str(TOOL), what, str(folder)]
    environment = os.environ | {"TRUEUP": str(TRUEUP)}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    return ran.returncode, ran.stdout.splitlines()


def test_real_runs_are_measured_exactly() -> None:
    assert accept("runs", PLACE / "data" / DATA_SET) == (0, [f"{DATA_SET}: exact, 100 tasks"])


@pytest.mark.parametrize(
    "name", [name if name in IN_EVERY_RUN else pytest.param(name, marks=pytest.mark.long) for name in NAMES]
)
def test_a_capture_is_measured_exactly_and_what_its_telemetry_does_not_tell_is_unknown(name: str) -> None:
    code, (*differences, summary) = accept("captures", PLACE / "otlp" / name)
    hopeless = UNSATISFIABLE.get(name, ())
    assert [line for line in differences if not line.startswith(hopeless)] == []
    assert summary.startswith(f"{name}: ")
    assert code == bool(hopeless)
