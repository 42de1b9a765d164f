"""Real agent runs, sent as OpenTelemetry through Kafka and Faust into ClickHouse: every number equals the truth.

The data are public agent runs that are not part of this repository, with a tool that turns them into OTLP and
counts the truth straight from them. TRUEUP_REAL_RUNS names their folder; without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import load
from pipeline.replay.land import wait_until_landed
from pipeline.replay.send import send
from pipeline.replay.trial import for_trial
from pipeline.report.build import report
from pipeline.stack import Stack
from sinks.clickhouse.audit import audit
from sinks.clickhouse.reads import Question
from tests.e2e.rig import stacks_on

PLACE = Path(os.environ.get("TRUEUP_REAL_RUNS", Path(__file__).parents[3] / "shared"))
TOOL = PLACE / "tools" / "real_runs.py"
SETS = (
    "01-swebench-mini-gemini3pro",
    "02-entire-claude-code",
    "03-taubench-airline-gpt4o",
    "03b-tau2-gpt41mini-activegraph",
    "04-medagentbench",
)
VARIANTS: dict[str, list[str]] = {
    "as they were": [],
    "redelivered and shuffled": ["--redeliver", "3", "--shuffle", "7"],
    "with crashes": ["--crash", "0.1"],
    "one record a request": ["--batch", "1"],
    "large requests": ["--batch", "4000"],
}
WORST = ["--redeliver", "3", "--shuffle", "7", "--crash", "0.1"]
NOT_BY_WINDOW = ("actions", "action_errors", "input_tokens", "output_tokens", "tasks_abandoned")
"""The truth has no times for tasks that never finished, so its windows leave these out."""

pytestmark = pytest.mark.e2e


def tell(what: str, folder: Path, options: list[str]) -> str:
    command = [sys.executable, str(TOOL), what, str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", SETS)
def test_every_count_equals_the_truth(name: str, variant: str, broker: str, tmp_path: Path) -> None:
    """On Apache Kafka in the long run only: how requests are cut is no matter of the broker."""
    equals_the_truth(name, VARIANTS[variant], broker, tmp_path)


@pytest.mark.every_broker
@pytest.mark.parametrize("name", SETS)
def test_every_count_equals_the_truth_when_all_that_can_happen_to_them_did(
    name: str, broker: str, tmp_path: Path
) -> None:
    """Runs that crashed, redelivered and shuffled."""
    equals_the_truth(name, WORST, broker, tmp_path)


def equals_the_truth(name: str, options: list[str], broker: str, tmp_path: Path) -> None:
    """Send a set of runs through a stack of its own, and compare every count."""
    folder = PLACE / "data" / name
    if not folder.is_dir() or not TOOL.is_file():
        pytest.skip(f"{name} is not here; set TRUEUP_REAL_RUNS to the folder that holds data/{name} and tools/")
    crash = options.index("--crash") if "--crash" in options else len(options)
    truth = json.loads(tell("truth", folder, options[crash : crash + 2]))
    file = tmp_path / "runs.jsonl"
    file.write_text(tell("otlp", folder, options))
    with stacks_on(broker), Stack(for_trial(load())) as stack:
        sent = send(stack.settings, [file])
        wait_until_landed(stack.settings, sent.reached, end_of_time=True, alive=lambda: stack.alive)
        rows = {
            "overall": report(stack.client, Question())["rows"],
            "case type": report(stack.client, Question(by=["case_type"]))["rows"],
            "window": report(stack.client, Question(window=600))["rows"],
        }
        found = audit(stack.client)
    assert differences(truth, rows) == []
    assert found.total == 0, found.differences
    assert found.landed["dead_letters"] == 0
    if "--redeliver" not in options:
        assert found.landed == {"events": sent.records, "duplicates": 0, "dead_letters": 0}


def differences(truth: dict[str, Any], rows: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Every count that is not what the truth says, by where it was looked for."""
    (whole,) = rows["overall"]
    found = compare("overall", truth["overall"], whole["counts"])
    by_type = {row["by"]["case_type"]: row["counts"] for row in rows["case type"]}
    for case_type, counts in truth["by_case_type"].items():
        found += compare(case_type, counts, by_type.get(case_type, {}))
    by_window = {row["window"]: row["counts"] for row in rows["window"]}
    for window, counts in truth["windows_10min"].items():
        looked_at = {k: v for k, v in counts.items() if k not in NOT_BY_WINDOW}
        found += compare(window, looked_at, by_window.get(window, {}))
    return found


def compare(where: str, should: dict[str, Any], counts: dict[str, Any]) -> list[str]:
    return [f"{where}: {k} is {counts.get(k)}, should be {v}" for k, v in should.items() if counts.get(k) != v]
