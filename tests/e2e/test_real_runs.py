"""Recorded runs of real agents: every number equals the one computed straight from the recordings.

The recordings are not in the repository. `TRUEUP_REAL_RUNS` names their folder; beside it, in `tools`, is
`real_runs.py`, which writes them as OTLP and computes the truth without any code of ours. A variant goes
through one stack, all recordings at once: each has a tenant of its own there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Settings
from pipeline.replay.send import send
from pipeline.replay.trial import for_trial
from pipeline.report.build import report
from pipeline.stack import Stack
from sinks.clickhouse.audit import Audit, audit
from sinks.clickhouse.reads import Question
from tests.e2e.lab import land

FOLDER = Path(os.environ.get("TRUEUP_REAL_RUNS", Path(__file__).parents[3] / "shared" / "data"))
TOOL = FOLDER.parent / "tools" / "real_runs.py"
RECORDINGS = (
    "01-swebench-mini-gemini3pro",
    "02-entire-claude-code",
    "03-taubench-airline-gpt4o",
    "03b-tau2-gpt41mini-activegraph",
    "04-medagentbench",
)
VARIANTS = {
    "plain": [],
    "redelivered and shuffled": ["--redeliver", "3", "--shuffle", "7"],
    "crashed": ["--crash", "0.1"],
    "a span a request": ["--batch", "1"],
    "4000 spans a request": ["--batch", "4000"],
}
WITHOUT_MINUTE = frozenset({"actions", "action_errors", "input_tokens", "output_tokens", "tasks_abandoned"})
"""What the truth by window leaves to tasks without an end, or counts elsewhere."""


def run_tool(what: str, recording: str, options: list[str]) -> str:
    command = [sys.executable, str(TOOL), what, str(FOLDER / recording), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def present() -> list[str]:
    return [name for name in RECORDINGS if TOOL.is_file() and (FOLDER / name).is_dir()]


class Measured:
    """A variant of all recordings in a stack, and what the audit of it found."""

    def __init__(self, stack: Stack, options: list[str], found: Audit) -> None:
        self._client, self.found = stack.client, found
        self._crash = options if options[:1] == ["--crash"] else []

    def counts(self, recording: str, **question: Any) -> list[dict[str, Any]]:
        """The rows of a report on one recording."""
        rows: list[dict[str, Any]] = report(self._client, Question(where={"tenant": recording}, **question))["rows"]
        return rows

    def truth(self, recording: str) -> dict[str, Any]:
        """What the report must say."""
        truth: dict[str, Any] = json.loads(run_tool("truth", recording, self._crash))
        return truth


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda name: name.replace(" ", "-"))
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    options = VARIANTS[request.param]
    folder = tmp_path_factory.mktemp("runs")
    files = []
    for name in present():
        files.append(folder / f"{name}.otlp.jsonl")
        files[-1].write_text(of_tenant(run_tool("otlp", name, options), name))
    with Stack(for_trial(Settings())) as stack:
        sent = send(stack.settings, files)
        land(stack, sent.reached, end_of_time=True)
        yield Measured(stack, options, audit(stack.client))


def of_tenant(lines: str, tenant: str) -> str:
    """The same requests, each resource with a tenant."""
    attribute = json.dumps({"key": "trueup.tenant", "value": {"stringValue": tenant}})
    return lines.replace('"resource":{"attributes":[', f'"resource":{{"attributes":[{attribute},')


@pytest.fixture(params=RECORDINGS)
def recording(request: pytest.FixtureRequest) -> str:
    if request.param not in present():
        pytest.skip(f"the recording {request.param} is not at {FOLDER}; TRUEUP_REAL_RUNS names the folder")
    name: str = request.param
    return name


def test_every_number_is_the_truth(recording: str, measured: Measured) -> None:
    truth = measured.truth(recording)
    (overall,) = measured.counts(recording)
    assert overall["counts"] | truth["overall"] == overall["counts"]
    by_case_type = {row["by"]["case_type"]: row["counts"] for row in measured.counts(recording, by=["case_type"])}
    assert by_case_type.keys() == truth["by_case_type"].keys()
    for case_type, counts in truth["by_case_type"].items():
        assert by_case_type[case_type] | counts == by_case_type[case_type], case_type
    windows = {row["window"]: row["counts"] for row in measured.counts(recording, window=600)}
    assert windows.keys() >= truth["windows_10min"].keys()
    for window, counts in truth["windows_10min"].items():
        known = {name: count for name, count in counts.items() if name not in WITHOUT_MINUTE}
        assert windows[window] | known == windows[window], window


def test_the_audit_finds_no_difference(measured: Measured) -> None:
    if not present():
        pytest.skip(f"no recording is at {FOLDER}; TRUEUP_REAL_RUNS names the folder")
    assert measured.found.differences == []
    assert (measured.found.total, measured.found.skipped, measured.found.dead_letters) == (0, 0, 0)
