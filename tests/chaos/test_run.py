"""A whole chaos run, short: the three minutes of it are `make chaos`."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from chaos import __main__ as command
from chaos import run
from chaos.__main__ import main
from chaos.accounts import Accounts
from chaos.faults import FAULTS
from chaos.lab import NotReady
from chaos.plan import LASTING, OF, Kind, Planned, plan
from chaos.report import WORDS
from chaos.run import Options, Outcome, Say
from chaos.truth import Compared
from deploy.kafka import distribution
from deploy.local.process import StartError
from sinks.clickhouse.audit import Audit


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


def ended_with(outcome: Outcome | Exception, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a run that found this, or raised it."""

    def found(_options: Options, _say: Say) -> Outcome:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(command, "run", found)
    return main(["--seed", "1"])


def an_outcome(*, planned: int, done: int, lost: int = 0, stalled: str = "") -> Outcome:
    faults = [Planned(10.0 * number, Kind.POISON, 1.0, 0, 0.5) for number in range(planned)]
    accounts = Accounts(100, 100 - lost, 0, 0, lost, 0, 0, 0)
    compared = Compared({}, 0, [])
    return Outcome(
        Options(1, 180),
        faults,
        dict.fromkeys(faults[:done], "something"),
        load_seconds=180.0,
        stalled=stalled,
        accounts=accounts,
        audit=Audit(),
        compared=compared,
    )


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (an_outcome(planned=8, done=8), 0),
        (an_outcome(planned=8, done=6), 0),
        (an_outcome(planned=8, done=5), 3),
        (an_outcome(planned=8, done=8, lost=1), 1),
        (an_outcome(planned=8, done=0, lost=1), 1),
        (an_outcome(planned=8, done=8, stalled="no progress"), 1),
        (NotReady("the workers are not ready"), 3),
        (RuntimeError("a defect of the run itself"), 3),
    ],
)
def test_exit_code_1_says_that_something_was_lost_and_nothing_else(
    outcome: Outcome | Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ended_with(outcome, monkeypatch) == code


MENDING_SECONDS = 0.2


@dataclass
class Noted:
    """A fault that notes when it begins and ends. To mend takes a while."""

    planned: Planned
    notes: list[str]

    def begin(self) -> str:
        self.notes.append(f"{self.planned.kind} begins")
        return "it"

    def end(self) -> None:
        threading.Event().wait(MENDING_SECONDS)
        self.notes.append(f"{self.planned.kind} ends")


def played(monkeypatch: pytest.MonkeyPatch, make: Callable[[Planned], Noted], *faults: Planned) -> Outcome:
    """What comes of a plan whose faults do nothing, all at the same time. No lab is needed for it."""
    monkeypatch.setattr(run, "FAULTS", dict.fromkeys(Kind, lambda _lab, planned, _load: make(planned)))
    outcome = Outcome(Options(1, 180), list(faults))
    director = run._Director(MagicMock(), MagicMock(), MagicMock(), outcome, lambda _: None)
    director._never.set()  # nothing is waited for
    director.play(time.monotonic(), 180)
    return outcome


LEADER = Planned(10.0, Kind.LEADER_KILLED, 1.0, 0, 0.5)
BROKER = Planned(11.0, Kind.BROKER_STOPPED, 1.0, 0, 0.5)
WORKER = Planned(12.0, Kind.WORKER_KILLED, 1.0, 0, 0.5)


def test_what_is_still_being_mended_is_not_harmed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that was told to stop while it started again ended with a fatal error of its own."""
    notes: list[str] = []
    outcome = played(monkeypatch, lambda planned: Noted(planned, notes), LEADER, BROKER)
    assert [note.split()[1] for note in notes] == ["begins", "ends", "begins", "ends"]
    assert (len(outcome.done), outcome.failed) == (2, [])


def test_faults_of_different_things_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    played(monkeypatch, lambda planned: Noted(planned, notes), LEADER, WORKER)
    assert [note.split()[1] for note in notes] == ["begins", "begins", "ends", "ends"]


def test_a_fault_that_would_last_into_the_quiet_is_left_out_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = played(monkeypatch, lambda planned: Noted(planned, []), WORKER, LEADER._replace(seconds=170.0))
    assert (list(outcome.done), len(outcome.failed)) == ([WORKER], 1)
    assert "was being mended until too late" in outcome.failed[0]


def test_a_fault_that_could_not_be_done_is_told_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(planned: Planned) -> Noted:
        if planned is LEADER:
            raise StartError("broker 1 does not serve")
        return Noted(planned, [])

    outcome = played(monkeypatch, make, LEADER, BROKER)
    assert (list(outcome.done), len(outcome.failed)) == ([BROKER], 1)
    assert "broker 1 does not serve" in outcome.failed[0]


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
