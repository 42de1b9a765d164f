"""The command on a running stack: the documented JSON, and tables that hostile texts do not disturb."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.command import Trueup, runner
from tests.e2e.lab import Lab, now_ns
from tests.otlp import SECOND_NS, logs, record, span, traces

WORKFLOW = "commands"
HOSTILE = "\x1b[31m[red]evil[/red]\r\nline"
COUNTS = {
    "tasks_finished", "tasks_abandoned", "claimed_success", "verdict_known", "verdict_success", "claimed_success_known",
    "discrepancies", "underclaims", "overridden", "escalated", "actions", "action_errors", "input_tokens",
    "output_tokens", "cost_known", "cost_usd",
}  # fmt: skip
RATES = {
    "completion_rate", "verified_success_rate", "verification_coverage", "discrepancy_rate", "underclaim_rate",
    "override_rate", "escalation_rate", "cost_coverage", "complaint_rate", "feedback_coverage", "action_error_rate",
}  # fmt: skip
TASK = {
    "task_id", "trace_ids", "case_type", "claim", "verdict", "overridden", "escalated", "model_calls", "tool_calls",
    "tool_errors", "input_tokens", "output_tokens", "cost_usd",
}  # fmt: skip


@pytest.fixture(scope="module")
def told(lab: Lab) -> Lab:
    """Two tasks: one with everything and a false claim, one whose texts are hostile."""
    now, resource = now_ns() // (600 * SECOND_NS) * 600 * SECOND_NS, {"trueup.workflow": WORKFLOW}
    call = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 2}
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search", "error.type": "timeout"}
    root = {"trueup.task.outcome": "success", "trueup.task.type": "refund", "trueup.cost.usd": 0.25}
    place = {"at": now, "traceId": "c0" * 16}
    first = {"trueup.task.id": "commands-1"}
    outcome = {"trueup.outcome.name": "refunded_eur", "trueup.outcome.value": 42.5}
    cost = {"trueup.cost.category": "engineering", "trueup.cost.usd": 5200}
    period = {"trueup.period.start": now - 86_400 * SECOND_NS, "trueup.period.end": now}
    hostile = {"trueup.task.id": HOSTILE, "trueup.task.type": HOSTILE, "gen_ai.agent.name": HOSTILE}
    lab.land(
        lab.spans(
            traces(
                span(first | call, **place, spanId="1" * 16, parentSpanId="3" * 16),
                span(first | tool, **place, spanId="2" * 16, parentSpanId="3" * 16),
                span(first | root, **place, spanId="3" * 16),
                span(hostile, at=now, traceId="c1" * 16),
                span(first | {"trueup.cost.usd": -1}, **place, spanId="4" * 16),
                resource=resource,
            )
        ),
        lab.logs(
            logs(
                record("trueup.task.verified", first | {"trueup.verdict": "failure"}, **place),
                record("trueup.task.intervened", first | {"trueup.intervention": "corrected"}, **place),
                record("trueup.task.feedback", first | {"trueup.satisfaction": 0.5, "trueup.complaint": True}, **place),
                record(f"trueup.{HOSTILE}", first, **place),
                record("trueup.outcome", first | outcome, **place),
                record("trueup.cost", cost | period, **place),
                resource=resource,
            )
        ),
    )
    return lab


@pytest.fixture
def trueup(told: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Trueup:
    monkeypatch.setenv("TRUEUP_CONFIG", str(told.stack.config))
    return runner(capsys)


@pytest.fixture
def as_json(trueup: Trueup) -> Callable[..., Any]:
    def run(*arguments: str, code: int = 0) -> Any:
        done = trueup(*arguments, "--output", "json")
        assert (done.code, done.err) == (code, "")
        return json.loads(done.out)

    return run


def only_of(*more: str) -> tuple[str, ...]:
    return ("report", "--where", f"workflow={WORKFLOW}", *more)


def test_a_report_has_the_documented_counts_and_metrics(as_json: Callable[..., Any]) -> None:
    (row,) = as_json(*only_of())["rows"]
    assert (row["window"], row["by"]) == (None, {})
    assert row["counts"].keys() >= COUNTS
    expected = {"tasks_finished": 2, "verdict_known": 1, "discrepancies": 1, "overridden": 1, "actions": 2}
    assert (
        row["counts"] | expected | {"action_errors": 1, "input_tokens": 10, "cost_usd": "0.250000000"} == row["counts"]
    )
    metrics = row["metrics"]
    assert metrics.keys() >= RATES | {"cost_per_task", "cost_per_verified_success", "satisfaction", "cycle_time"}
    for name in RATES:
        rate = metrics[name]
        assert rate.keys() == {"value", "numerator", "denominator", "low", "high"}, name
        if rate["denominator"]:
            assert rate["value"] == rate["numerator"] / rate["denominator"]
            assert 0 <= rate["low"] <= rate["value"] <= rate["high"] <= 1
    assert metrics["discrepancy_rate"] | {"value": 1.0, "numerator": 1, "denominator": 1} == metrics["discrepancy_rate"]
    nothing = {"value": None, "numerator": 0, "denominator": 0, "low": None, "high": None}
    assert metrics["underclaim_rate"] == nothing
    assert metrics["cost_per_task"]["value"] == "0.250000000"


def test_a_report_by_tool_is_about_the_actions_themselves(as_json: Callable[..., Any], trueup: Trueup) -> None:
    none, search = as_json(*only_of("--by", "tool,error_type"))["rows"]
    assert (none["by"], search["by"]) == (
        {"tool": "", "error_type": ""},
        {"tool": "search", "error_type": "timeout"},
    )
    rate = search["metrics"]["action_error_rate"]
    assert (rate["value"], rate["numerator"], rate["denominator"]) == (1.0, 1, 1)
    assert (none["counts"]["input_tokens"], none["metrics"]["input_tokens_per_action"]["value"]) == (10, 10.0)
    head, line = trueup(*only_of("--where", "error_type=timeout", "--window", "10m")).out.splitlines()
    assert head.split()[:3] == ["window", "actions", "errors"]
    assert "50.0% 1/2 [9, 91]" in line


def test_a_report_has_the_costs_of_periods_and_the_outcomes(as_json: Callable[..., Any], trueup: Trueup) -> None:
    found = as_json(*only_of())
    (cost,), (outcome,) = found["costs_of_periods"], found["outcomes"]
    assert cost.keys() == {"workflow", "category", "start", "end", "periods", "cost_usd"}
    assert (cost["category"], cost["cost_usd"]) == ("engineering", "5200.000000000")
    assert outcome == {
        "workflow": WORKFLOW, "name": "refunded_eur", "value": 42.5, "numerator": 42.5, "denominator": 1,
    }  # fmt: skip
    assert found["rows"][0]["metrics"]["cost_per_task"]["value"] == "0.250000000"
    assert "5200.000000000" in trueup(*only_of()).out
    nothing = as_json(*only_of("--to", "2020-01-01"))
    assert (nothing["costs_of_periods"], nothing["outcomes"]) == ([], [])


def test_a_report_by_window_and_dimension(as_json: Callable[..., Any]) -> None:
    rows = as_json(*only_of("--window", "10m", "--by", "case_type,agent"))["rows"]
    assert [row["by"] for row in rows] == [
        {"case_type": HOSTILE, "agent": HOSTILE},
        {"case_type": "refund", "agent": "agent"},
    ]
    assert {row["window"] for row in rows} == {row["window"] for row in rows if row["window"].endswith("0:00Z")}


def test_a_report_of_a_time_without_tasks_is_a_row_of_zeros(as_json: Callable[..., Any]) -> None:
    (row,) = as_json(*only_of("--to", "2020-01-01"))["rows"]
    assert set(row["counts"].values()) == {0, "0.000000000"}
    assert all(row["metrics"][name]["value"] is None for name in RATES)
    assert as_json(*only_of("--to", "2020-01-01", "--window", "1h"))["rows"] == []


def test_a_condition_is_a_value_and_never_sql(as_json: Callable[..., Any]) -> None:
    (row,) = as_json("report", "--where", "workflow=' OR 1=1 --")["rows"]
    assert row["counts"]["tasks_finished"] == 0
    (row,) = as_json(*only_of("--where", f"case_type={HOSTILE}"))["rows"]
    assert row["counts"]["tasks_finished"] == 1


def test_rows_may_be_a_line_each(trueup: Trueup) -> None:
    done = trueup(*only_of("--by", "case_type", "--output", "ndjson"))
    assert [json.loads(line)["by"]["case_type"] for line in done.out.splitlines()] == [HOSTILE, "refund"]


def test_a_report_is_a_table_that_hostile_texts_do_not_disturb(trueup: Trueup) -> None:
    done = trueup(*only_of("--by", "case_type"))
    head, hostile, refund, *_ = done.out.splitlines()
    assert head.split()[:2] == ["case_type", "finished"]
    assert "\\x1b[31m[red]evil[/red]\\r\\nline" in hostile
    assert refund.startswith("refund ")
    assert "100.0% 1/1 [21, 100]" in refund
    assert "\x1b" not in done.out


def test_the_story_of_a_task(as_json: Callable[..., Any], trueup: Trueup) -> None:
    found = as_json("task", "commands-1")
    assert found["discrepancy"] is True
    assert found["task"] | {"claim": "success", "verdict": "failure", "cost_usd": "0.250000000"} == found["task"]
    kinds = ["model_call", "tool_call", "other", "verdict", "intervention", "feedback", "outcome"]
    assert sorted(event["kind"] for event in found["events"]) == sorted(kinds)
    assert as_json("task", "c0" * 16)["task"]["task_id"] == "commands-1"
    table = trueup("task", "commands-1")
    assert table.code == 0
    assert "verdict         failure  DISCREPANCY\n" in table.out
    assert "overridden      yes\n" in table.out
    assert "satisfaction    0.5\n" in table.out
    assert "42.5" in table.out
    assert "timeout" in table.out


def test_the_story_of_a_hostile_task_disturbs_no_terminal(trueup: Trueup) -> None:
    done = trueup("task", HOSTILE)
    assert done.code == 0
    assert "task_id         \\x1b[31m[red]evil[/red]\\r\\nline\n" in done.out
    assert "\x1b" not in done.out


def test_a_task_that_is_not_there_is_told(trueup: Trueup) -> None:
    done = trueup("task", HOSTILE + "?")
    assert (done.code, done.out) == (1, "")
    assert "no task and no trace" in done.err
    assert "\x1b" not in done.err


def test_dead_letters_are_listed(as_json: Callable[..., Any], trueup: Trueup) -> None:
    letters = as_json("deadletter", "list", "--limit", "1000")["dead_letters"]
    assert {d["reason"] for d in letters} >= {"invalid_attribute", "unknown_event"}
    unknown = as_json("deadletter", "list", "--reason", "unknown_event")["dead_letters"]
    told = f"a text of {len(f'trueup.{HOSTILE}')} characters is not one of"
    (mine,) = (d for d in unknown if told in d["detail"])
    assert (mine["topic"], mine["index"]) == ("otlp_logs", 3)
    assert len(as_json("deadletter", "list", "--limit", "1")["dead_letters"]) == 1
    table = trueup("deadletter", "list", "--reason", "unknown_event").out
    assert "a text of " in table


def test_the_audit_finds_no_difference(as_json: Callable[..., Any], trueup: Trueup) -> None:
    assert as_json("audit")["differences"] == 0
    assert trueup("audit").code == 0
    assert as_json("audit", "--from", "1h")["differences"] == 0


def test_doctor_finds_everything_well(as_json: Callable[..., Any], trueup: Trueup) -> None:
    checks = {check["name"]: check for check in as_json("doctor")["checks"]}
    assert checks.keys() >= {"Kafka", "topic otlp_spans", "ClickHouse", "migrations", "clocks", "worker"}
    assert all(check["ok"] for check in checks.values())
    marks = [line.split()[0] for line in trueup("doctor").out.splitlines()[1:]]
    assert marks.count("!!") == 0
    assert marks.count("ok") == sum(not check["fix"] for check in checks.values())


def test_doctor_notes_what_could_not_be_used(as_json: Callable[..., Any], trueup: Trueup) -> None:
    (check,) = (check for check in as_json("doctor")["checks"] if check["name"] == "dead letters: invalid_attribute")
    assert (check["ok"], check["mark"]) == (True, "note")
    assert check["finding"].endswith("open, 0 resolved")
    assert check["fix"] == "see `trueup deadletter list --reason invalid_attribute`"
    assert any(line.startswith("note  dead letters: invalid_attribute") for line in trueup("doctor").out.splitlines())


@pytest.mark.parametrize(
    "arguments",
    [["report", "--by", "case_type"], ["audit"], ["task", "commands-1"], ["doctor"], ["deadletter", "list"]],
    ids=" ".join,
)
def test_a_line_of_ndjson_is_a_document(trueup: Trueup, arguments: list[str]) -> None:
    lines = trueup(*arguments, "--output", "ndjson").out.splitlines()
    assert lines
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_what_try_adds_to_a_report(as_json: Callable[..., Any], tmp_path: Any) -> None:
    """On a stack of its own, which it starts and stops."""
    file = tmp_path / "runs.jsonl"
    root = {"trueup.task.id": "T-1", "trueup.task.outcome": "success"}
    step = span({"trueup.task.id": "T-2"}, traceId="d" * 32, parentSpanId="1" * 16)
    lines = [traces(span(root)), traces(span(root)), traces(step), traces(span(root | {"trueup.cost.usd": -1}))]
    file.write_bytes(b"\n".join(lines))
    found = as_json("try", str(file), "--tasks")
    assert found.keys() == {"report", "audit", "landed", "tasks"}
    assert found["audit"] | {"differences": 0} == found["audit"]
    assert found["landed"] == {"events": 2, "duplicates": 1, "dead_letters": 1}
    (row,) = found["report"]["rows"]
    assert (row["counts"]["tasks_finished"], row["counts"]["tasks_abandoned"]) == (1, 1)
    tasks = {task["task_id"]: task for task in found["tasks"]}
    assert tasks.keys() == {"T-1", "T-2"}
    assert all(task.keys() >= TASK for task in tasks.values())
    assert (tasks["T-1"]["claim"], tasks["T-2"]["claim"], tasks["T-2"]["cost_usd"]) == ("success", None, None)
