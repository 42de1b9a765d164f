"""`trueup try`, as its user reads it: on a trial that was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command import Trueup

ROWS = [{"window": "a", "by": {}}, {"window": "b", "by": {}}]
TASKS = [{"task_id": "T-1"}]
REST = {"audit": {"differences": 0}, "landed": {"events": 2, "duplicates": 0, "dead_letters": 0}}


@pytest.mark.parametrize("tasks", [[], TASKS])
def test_a_line_of_ndjson_is_a_row_a_task_or_the_audit_and_what_landed(
    trueup: Trueup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tasks: list[Any]
) -> None:
    result = {"report": {"rows": ROWS}, **REST} | ({"tasks": tasks} if tasks else {})
    monkeypatch.setattr("pipeline.replay.trial.trial", lambda *_, **__: result)
    (tmp_path / "runs.jsonl").touch()
    done = trueup("try", str(tmp_path / "runs.jsonl"), "--output", "ndjson")
    assert done.code == 0
    assert [json.loads(line) for line in done.out.splitlines()] == [*ROWS, *tasks, REST]
