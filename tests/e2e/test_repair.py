"""Rows that became wrong behind a worker's back: `trueup audit --repair` mends them while events flow."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from pipeline import repair
from pipeline.cli import exits
from pipeline.cli.app import app
from pipeline.replay.land import Stalled
from tests.e2e.lab import Lab, Place, now_ns
from tests.e2e.rig import Rig, WorkerProcess
from tests.otlp import span, traces

pytestmark = pytest.mark.every_broker

WRONG = {
    "task_rows": ("actions = 1 AND task_id LIKE 'before-%'", "actions + 7 AS actions, 'imagined' AS case_type"),
    "window_rows": ("tasks_finished > 0", "claimed_success + 7 AS claimed_success, map(9, 1) AS latency_us"),
}
"""Table -> which of its rows become wrong, and how."""


def a_task(name: str) -> bytes:
    """A finished task of a run and a tool call."""
    number = abs(hash(name)) % 2**60
    trace, root = f"{number:032x}", f"{1:016x}"
    call = span(
        {"gen_ai.operation.name": "execute_tool"}, traceId=trace, spanId=f"{2:016x}", parentSpanId=root, at=now_ns()
    )
    run = span({"trueup.task.id": name, "trueup.task.outcome": "success"}, traceId=trace, spanId=root, at=now_ns())
    return traces(call, run, resource={"trueup.workflow": "repaired"})


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, broker: str) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("rig"), broker=broker) as rig:
        yield rig


@pytest.fixture(scope="module")
def lab(rig: Rig) -> Iterator[Lab]:
    with Lab(rig) as lab:  # type: ignore[arg-type]
        yield lab


@pytest.fixture(scope="module")
def worker(rig: Rig) -> WorkerProcess:
    worker = rig.start_worker()
    worker.until_ready()
    return worker


@pytest.fixture
def audit(rig: Rig, tmp_path: Path) -> Any:
    """Runs `trueup audit` with the rig's configuration."""
    config = tmp_path / "trueup.yaml"
    config.write_text(yaml.safe_dump(rig.settings.model_dump(mode="json", exclude_none=True)))

    def run(*words: str) -> Result:
        words = ("audit", *words, "--output", "json", "--config", str(config))
        return CliRunner().invoke(app, list(words), catch_exceptions=False)

    return run


class Traffic:
    """Tasks that finish all the time, until the end of the block."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._stopping = lab, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.places: list[Place] = []

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(0.02):
            self.places.append(self._lab.spans(a_task(f"during-{len(self.places)}")))


def damage(rig: Rig) -> None:
    """Newer rows than the right ones, that are wrong; and a row that is lost."""
    for table, (which, how) in WRONG.items():
        rig.client.command(
            f"INSERT INTO {table} SELECT * REPLACE (seq + 1 AS seq, {how}) "
            f"FROM (SELECT * FROM {table} FINAL WHERE {which})"
            " SETTINGS prefer_column_name_to_alias = 1"
        )
    rig.client.command("DELETE FROM task_rows WHERE task_id = 'before-3'")


def test_rows_that_were_damaged_are_right_again_beside_a_running_worker(
    rig: Rig, lab: Lab, worker: WorkerProcess, audit: Any
) -> None:
    lab.land(*[lab.spans(a_task(f"before-{n}")) for n in range(20)])
    was = lab.task("before-3")
    damage(rig)
    assert audit().exit_code == 1

    with Traffic(lab) as traffic:
        mended = audit("--repair")
    assert (mended.exit_code, mended.stderr.count("DIFFERENCES")) == (0, 1)
    told = json.loads(mended.stdout)
    assert told["differences"] == 0
    assert told["repair"]["differences"] > 0
    assert told["repair"]["tasks"] == 20
    assert told["repair"]["windows"] > 0

    now = lab.task("before-3")
    assert {k: v for k, v in now.items() if k not in ("seq", "written")} == {
        k: v for k, v in was.items() if k not in ("seq", "written")
    }
    lab.land(*traffic.places, lab.spans(a_task("after")))
    found = lab.audit()
    assert (found.differences, found.skipped) == ([], 0)
    assert lab.counts("repaired")["tasks_finished"] == 20 + len(traffic.places) + 1
    assert worker.running


def test_what_is_right_needs_no_worker(rig: Rig, lab: Lab, worker: WorkerProcess, audit: Any) -> None:
    rig.stop_workers()
    result = audit("--repair")
    assert (result.exit_code, json.loads(result.stdout)["repair"]["differences"]) == (0, 0)


def test_without_a_worker_the_repair_waits_in_the_log_and_the_next_one_does_it(
    rig: Rig, lab: Lab, worker: WorkerProcess, audit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "PATIENCE_SECONDS", 1.0)
    damage(rig)
    with pytest.raises(Stalled, match=r"start one \(`trueup worker`\)") as stalled:
        audit("--repair")
    assert exits.code_of(stalled.value) == 3
    rig.start_worker()
    lab.land()
    assert audit().exit_code == 0
