"""The local stack of `trueup up`: whose settings hold, and what a start with the data of an earlier run knows of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import load
from pipeline.report.story import story
from pipeline.stack import Stack
from schemas.words import TaskStatus
from sinks.clickhouse.audit import audit
from tests.e2e.lab import Lab, now_ns
from tests.otlp import logs, record, span, traces

NOBODY = "127.0.0.1:1"


def test_a_start_with_the_data_of_an_earlier_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment says where the user's own servers are, and asks for a free port, in both runs."""
    for name, value in (
        ("TRUEUP_HTTP__PORT", "0"), ("TRUEUP_KAFKA__BOOTSTRAP", NOBODY), ("TRUEUP_KAFKA__PARTITIONS", "2"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    task, at = {"trueup.task.id": "of-the-first-run", "trueup.workflow": "kept"}, now_ns()
    verdict = task | {"trueup.verdict": "failure"}

    with Stack(load(), data=tmp_path) as stack, Lab(stack) as lab:
        stack.wait_until_ready()
        assert stack.settings.kafka.bootstrap != NOBODY
        lab.land(lab.spans(traces(span(task | {"trueup.task.outcome": "success"}, at=at))))
        assert stack.settings.kafka.epoch == 0
        cut_off = f"(3, 1, 1, 'of-a-batch-that-was-never-written-whole', {at // 1_000})"
        lab.client.command(f"INSERT INTO raw_events (epoch, seq, hash, task_id, at) VALUES {cut_off}")

    with Stack(load(), data=tmp_path) as stack, Lab(stack) as lab:
        stack.wait_until_ready()
        assert stack.settings.kafka.epoch == 4
        assert lab.counts("kept")["tasks_finished"] == 1
        lab.land(lab.logs(logs(record("trueup.task.verified", verdict, at=at))))
        rows = {row["epoch"]: row for row in lab.client.query("SELECT * FROM tasks").named_results()}
        assert [rows[epoch]["status"] for epoch in (0, 4)] == [TaskStatus.FINISHED, TaskStatus.ANNOUNCED]
        assert lab.counts("kept")["verdict_known"] == 0
        found = story(lab.client, "of-the-first-run")
        assert found is not None
        assert (found["task"]["status"], found["task"]["claim"], found["task"]["verdict"]) == (
            "finished",
            "success",
            None,
        )
        assert (found["epochs"], found["task"]["epoch"]) == ([0, 4], 0)
        assert [event["kind"] for event in found["events"]][-1] == "verdict"
        assert [audit(lab.client, epoch=epoch).differences for epoch in (0, 4)] == [[], []]
