"""Replaying a file: a request larger than a message is split, and all of it lands."""

from __future__ import annotations

from pathlib import Path

from pipeline.replay.land import wait_until_landed
from pipeline.replay.send import send
from tests.e2e.lab import Lab, now_ns
from tests.otlp import SECOND_NS, span, traces


def test_a_request_of_several_messages_lands_whole_and_again_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    now, workflow = now_ns(), {"trueup.workflow": "large request"}
    spans = [
        span(
            {"trueup.task.id": f"large-{n}", "gen_ai.input.messages": "x" * 300},
            at=now - n * SECOND_NS // 1_000,
            traceId=f"{0xABC:016x}{n:016x}",
        )
        for n in range(3_000)
    ]
    file = tmp_path / "runs.otlp.jsonl"
    file.write_bytes(traces(*spans, resource=workflow) + b"\n")
    limit = lab.settings.kafka.message_bytes
    assert file.stat().st_size > 2 * limit
    assert lab.replay(file) > 2
    counts = lab.counts("large request")
    assert (counts["tasks_finished"], counts["claimed_success"]) == (3_000, 3_000)
    assert lab.replay(file) > 2
    assert lab.counts("large request") == counts


def test_a_record_that_is_larger_than_a_message_should_be_lands_with_the_others(lab: Lab, tmp_path: Path) -> None:
    now, workflow = now_ns(), {"trueup.workflow": "large record"}
    large = 3 * lab.settings.kafka.message_bytes
    spans = [
        span(
            {"trueup.task.id": f"record-{n}", "gen_ai.input.messages": "x" * size},
            at=now,
            traceId=f"{0xABE:016x}{n:016x}",
        )
        for n, size in enumerate((10, large, 10))
    ]
    file = tmp_path / "runs.otlp.jsonl"
    file.write_bytes(traces(*spans, resource=workflow) + b"\n")
    assert lab.replay(file) == 3
    assert lab.counts("large record")["tasks_finished"] == 3


def test_whoever_replays_gives_up_no_open_task_however_short_their_patience(lab: Lab, tmp_path: Path) -> None:
    work = span({"trueup.task.id": "goes-on"}, at=now_ns(), traceId=f"{0xABD:032x}", parentSpanId="2" * 16)
    file = tmp_path / "runs.otlp.jsonl"
    file.write_bytes(traces(work, resource={"trueup.workflow": "patient"}) + b"\n")
    impatient = lab.settings.model_copy(update={"abandon_after": 0})
    wait_until_landed(impatient, send(impatient, [file]).reached)
    wait_until_landed(impatient, {})
    assert lab.task("goes-on")["status"] == "open"


def test_the_audit_finds_no_difference(lab: Lab) -> None:
    found = lab.audit()
    assert found.differences == []
    assert (found.total, found.skipped) == (0, 0)
