"""A whole chaos run, short: the three minutes of it are `make chaos`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos.__main__ import main
from chaos.faults import FAULTS
from chaos.plan import LASTING, OF, Kind, plan
from chaos.report import WORDS
from deploy.kafka import distribution


def test_every_kind_can_be_planned_done_and_told() -> None:
    assert set(Kind) == set(FAULTS) == set(LASTING) == set(OF) == set(WORDS)


def test_the_seed_tells_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--plan", "--seed", "5", "--seconds", "60"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "seed 5"
    assert len(lines) == len(plan(5, 60, 3))


def test_a_run_without_a_seed_prints_the_one_that_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--plan"]) == 0
    told = capsys.readouterr().out
    seed = told.splitlines()[0].removeprefix("seed ")
    assert main(["--plan", "--seed", seed]) == 0
    assert capsys.readouterr().out == told


def test_a_run_that_is_too_short_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--seconds", "3"])
    assert "take 30 or more" in capsys.readouterr().err


@pytest.mark.e2e
@pytest.mark.long
def test_a_short_run_is_survived(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    if reason := distribution.missing():
        pytest.skip(reason)
    report = tmp_path / "report.md"
    code = main(["--seconds", "40", "--seed", "1", "--brokers", "1", "--rate", "1000", "--report", str(report)])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (code, found["differences"]) == (0, 0)
    assert found["sent"] == found["landed"] + found["duplicates"] + found["dead_letters"]
    assert sum(found["faults"].values()) == len(plan(1, 40, 1))
    assert "Nothing was lost and nothing differs" in report.read_text()
