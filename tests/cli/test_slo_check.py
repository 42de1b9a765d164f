"""`trueup slo check` needs no server, and explains everything that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import Trueup
from tests.objectives.documents import service, slo

CLAIMS = Path(__file__).parents[1] / "slo" / "claims.yaml"


def test_documents_that_can_be_applied_are_fine(trueup: Trueup) -> None:
    done = trueup("slo", "check", str(CLAIMS))
    assert (done.code, done.out, done.err) == (0, "", "3 objectives of 1 workflows are fine\n")


def test_every_problem_has_its_place_and_its_fix(trueup: Trueup, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(service() + slo(metric="sucess_rate"))
    done = trueup("slo", "check", str(file))
    assert done.code == 2
    lines = done.out.splitlines()
    assert lines
    for line in lines:
        assert line.startswith(f"{file}:")
        assert "Fix: " in line


def test_problems_for_machines(trueup: Trueup, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(service() + slo("a") + slo("b", target="2"))
    done = trueup("slo", "check", str(file), "--output", "json")
    told = json.loads(done.out)
    assert done.code == 2
    assert told["objectives"] == [{"workflow": "claims", "slo": "a", "objective": "right"}]
    (problem,) = told["problems"]
    assert set(problem) == {"file", "line", "column", "what", "fix"}
    (line,) = trueup("slo", "check", str(file), "--output", "ndjson").out.splitlines()
    assert json.loads(line) == told


def test_a_window_longer_than_the_retention_is_a_problem(trueup: Trueup, tmp_path: Path) -> None:
    config = tmp_path / "trueup.yaml"
    config.write_text("clickhouse: {retention_days: 20}\nlimits: {oldest_days: 7}\n")
    done = trueup("slo", "check", str(CLAIMS), "--config", str(config))
    assert done.code == 2
    assert "longer than the counts are kept" in done.out


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "nothing in this file"), ("# later\n", "nothing in this file"), (service("refunds"), "no SLO in these")],
)
def test_files_that_promise_nothing_are_not_fine(trueup: Trueup, tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "claims.yaml"
    file.write_text(text)
    for command in (("check", str(file)), ("apply", str(file), "--by", "Ada", "--why", "launch")):
        done = trueup("slo", *command)
        assert (done.code, f"{file}:1:1: " in done.out + done.err, says in done.out + done.err) == (2, True, True)
    assert trueup("slo", "check", str(CLAIMS), str(file)).code == (2 if "nothing" in says else 0)


def test_files_that_cannot_be_read_are_told(trueup: Trueup, tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for file, says in ((tmp_path / "none.yaml", "cannot read"), (binary, "not UTF-8")):
        done = trueup("slo", "check", str(file))
        assert done.code == 2
        assert says in " ".join(done.err.replace("│", " ").split())


def test_without_clickhouse_nothing_can_be_applied_or_read(trueup: Trueup) -> None:
    for arguments in (
        ("slo", "apply", str(CLAIMS), "--by", "Ada", "--why", "launch"),
        ("slo", "status"),
        ("alerts", "list"),
    ):
        done = trueup(*arguments)
        assert (done.code, "ClickHouse does not answer" in done.err) == (3, True)
