"""Errors say what, why and the fix, in one line on stderr; the exit code says of which kind they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from kafka.errors import KafkaTimeoutError

from deploy.local.process import PortTaken, StartError
from pipeline.cli import exits
from pipeline.config import ConfigError
from pipeline.kafka import Unreachable
from pipeline.replay.land import Stalled
from pipeline.replay.send import BadFile
from sinks.port import Barred, Refused, Transient, Unable
from tests.cli.conftest import NOBODY
from tests.command import Trueup


@pytest.fixture
def request_file(tmp_path: Path) -> str:
    file = tmp_path / "runs.jsonl"
    file.write_text('{"resourceSpans": []}\n')
    return str(file)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (BadFile("x"), 2),
        (Refused("x"), 2),
        (Unreachable("x"), 3),
        (Transient("x"), 3),
        (Barred("x", "y"), 3),
        (Unable("x"), 3),
        (Stalled("x"), 3),
        (KafkaTimeoutError("x"), 3),
        (PortTaken("x"), 2),
        (StartError("x"), 3),
        (ValueError("x"), None),
        (KeyError("x"), None),
    ],
    ids=repr,
)
def test_each_expected_error_has_a_code_and_a_defect_has_none(error: Exception, code: int | None) -> None:
    assert exits.code_of(error) == code


def test_kafka_that_is_not_there_is_named_with_a_question(trueup: Trueup, request_file: str) -> None:
    done = trueup("replay", request_file)
    assert (done.code, done.out) == (3, "")
    assert done.err.count("\n") == 1
    assert done.err.startswith(f"trueup: Kafka at {NOBODY} does not answer")
    assert done.err.endswith("is it running?\n")


@pytest.mark.parametrize("arguments", [["report"], ["audit"], ["task", "T-1"], ["deadletter", "list"], ["migrate"]])
def test_clickhouse_that_is_not_there_is_told_with_the_reason_and_the_fix(trueup: Trueup, arguments: list[str]) -> None:
    done = trueup(*arguments)
    assert (done.code, done.out) == (3, "")
    fix = "start it (`trueup up`), or set clickhouse.url"
    assert done.err == f"trueup: ClickHouse does not answer (Connection refused); {fix}\n"


def test_a_barred_door_is_told_with_its_own_fix() -> None:
    assert exits.told(Barred("no rights", "grant them")) == "no rights; grant them"


def test_what_clickhouse_could_not_do_is_not_told_as_if_it_were_down() -> None:
    told = exits.told(Unable("Code: 241. DB::Exception: memory limit exceeded"))
    assert told.startswith("ClickHouse could not do it (Code: 241. DB::Exception: memory limit exceeded); its log")
    assert "does not answer" not in told


def test_doctor_looks_at_everything_that_is_down(trueup: Trueup) -> None:
    done = trueup("doctor")
    assert done.code == 3
    assert f"{NOBODY} does not answer" in done.out
    assert "set kafka.bootstrap" in done.out
    assert "set clickhouse.url" in done.out


def test_a_file_that_is_not_there_is_named(trueup: Trueup, tmp_path: Path) -> None:
    absent = tmp_path / "absent.jsonl"
    for command in ("try", "replay"):
        done = trueup(command, str(absent))
        assert (done.code, done.out) == (2, "")
        assert f"file '{absent}' does not exist" in " ".join(done.err.split()), "before anything is started or asked"


def test_a_delivery_that_fails_is_told_in_a_line() -> None:
    told = exits.told(KafkaTimeoutError("60 seconds"))
    assert told.startswith("Kafka did not do it (")
    assert told.endswith("60 seconds); see `trueup doctor`, and try again")


def test_a_file_is_needed(trueup: Trueup) -> None:
    for command in ("try", "replay"):
        done = trueup(command)
        assert done.code == 2
        assert "Missing argument 'FILE...'" in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["report", "--where", "workflow"], "--where workflow: write DIMENSION=VALUE"),
        (
            ["report", "--where", "workflow=a", "--where", "workflow=b"],
            "--where workflow is given twice, and a task has one workflow; give one, or use --by workflow",
        ),
        (["report", "--where", "colour=red"], "colour is not a dimension; choose of tenant, workflow, stage,"),
        (["report", "--by", "workflow,colour"], "colour is not a dimension; choose of tenant, workflow, stage,"),
        (["report", "--by", "tools"], "or for a report about actions of action, tool, error_type,"),
        (["try", __file__, "--tasks", "--where", "tool=search"], "--tasks lists whole tasks; leave out the --where"),
        (["report", "--window", "soon"], "'soon' is not a duration; write 30s, 15m, 2h or 1d"),
        (["report", "--window", "90s"], "a window of 90 s: windows are whole minutes"),
        (["report", "--window", "0s"], "a window of 0 s: windows are whole minutes"),
        (["report", "--from", "yesterday"], "'yesterday' is not a time; write 2026-11-01, 2026-11-01T08:00Z, or 2h"),
        (["report", "--to", "2026-13-01"], "'2026-13-01' is not a time; write 2026-11-01,"),
        (["report", "--from", "1969-01-01"], "'1969-01-01' is not a time between 1970 and 2106"),
        (["report", "--from", "99999999d"], "99999999d is longer than 7300d, the longest duration; write less"),
        (["audit", "--from", "9999999999d"], "9999999999d is longer than 7300d"),
        (["audit", "--from", f"{'9' * 5_000}d"], "is not a duration"),
        (["alerts", "history", "--from", "9999999999d"], "9999999999d is longer than 7300d"),
        (["alerts", "silence", "k", "--by", "me", "--why", "x", "--for", "999999999d"], "999999999d is longer than"),
        (["slo", "adjust", "w", "--by", "me", "--why", "x", "--from", "7301d", "--to", "1d"], "7301d is longer than"),
        (["audit", "--from", "9999-01-01"], "'9999-01-01' is not a time between 1970 and 2106"),
        (["report", "--output", "xml"], "'xml' is not one of 'table', 'json', 'ndjson'"),
        (["report", "--colour", "red"], "No such option"),
        (["deadletter", "list", "--reason", "bored"], "bored is not a reason; choose of not_otlp, no_identity,"),
        (["deadletter", "list", "--limit", "0"], "--limit"),
        (["deadletter", "discard", "t/0/1", "--by", "me"], "--why"),
        (["deadletter", "discard", "t/0/1", "--by", " ", "--why", "x"], "say who and why"),
        (["deadletter", "discard", "--by", "me", "--why", "x"], "say which: a POSITION, --reason, or --from and --to"),
        (["replay", ".", "--rate", "1"], "file '.' is a directory"),
        (["replay", __file__, "--rate", "0"], "--rate"),
        (["up", "--kafka-port", "many"], "--kafka-port"),
    ],
    ids=" ".join,
)
def test_an_option_that_cannot_be_used_is_told_with_what_can(trueup: Trueup, arguments: list[str], told: str) -> None:
    done = trueup(*arguments)
    assert (done.code, done.out) == (2, "")
    assert told in " ".join(done.err.split())


def test_with_trueup_debug_an_error_shows_where_it_came_from(trueup: Trueup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUEUP_DEBUG", "1")
    done = trueup("report")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("Traceback")
    assert done.err.splitlines()[-1].startswith("trueup: ClickHouse does not answer")


def test_a_defect_is_told_as_one_and_never_exits_as_a_difference(
    trueup: Trueup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a row without its column")

    monkeypatch.setattr("pipeline.connections.client_of", broken)
    for command in ("report", "audit"):
        done = trueup(command)
        assert (done.code, done.out) == (70, "")
        assert "KeyError: 'a row without its column'" in done.err
        assert done.err.endswith("trueup: this is a defect of trueup; please report it with the lines above\n")
