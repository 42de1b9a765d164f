"""What a run prints: one line of JSON with the names that were asked for, and the whole story as Markdown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.accounts import Accounts
from chaos.plan import Kind, Planned
from chaos.recovery import Recovered, percentile
from chaos.report import json_line, markdown
from chaos.run import Options, Outcome
from chaos.truth import Compared
from sinks.clickhouse.audit import Audit

DONE = {
    Planned(10.0, Kind.WORKER_KILLED, 2.0, 0, 0.5): "worker-1",
    Planned(20.0, Kind.POISON, 1.0, 0, 0.5): "5 messages",
    Planned(30.0, Kind.WORKER_KILLED, 3.0, 1, 0.5): "worker-2",
}
NOT_DONE = Planned(40.0, Kind.LEADER_KILLED, 3.0, 1, 0.5)
RECOVERED = [Recovered(fault, seconds) for fault, seconds in zip(DONE, (7.5, 1.0, 6.5), strict=True)]
GOOD = Accounts(
    sent=110, landed=90, duplicates=15, dead_letters=5, lost=0, lost_poison=0, unsent=0, unpoisoned=0
)  # fmt: skip


def outcome(accounts: Accounts = GOOD, audit: Audit | None = None, differences: int = 0) -> Outcome:
    return Outcome(
        Options(7, 180),
        [*DONE, NOT_DONE],
        done=DONE,
        recovered=RECOVERED,
        load_seconds=180.0,
        accounts=accounts,
        audit=audit or Audit(duplicates=20),
        compared=Compared({"windows": 3, "tasks": 9, "events": 90}, differences, ["windows, partition 0: a row"]),
    )


def test_the_line_of_a_run_that_survived() -> None:
    assert json.loads(json_line(outcome())) == {
        "seed": 7,
        "seconds": 180,
        "sent": 110,
        "landed": 90,
        "duplicates": 15,
        "dead_letters": 5,
        "faults": {"worker_killed": 2, "poison": 1},
        "planned": 4,
        "differences": 0,
        "recovery_s": {"p50": 6.5, "p99": 7.5},
    }
    assert outcome().survived


@pytest.mark.parametrize(
    "bad",
    [
        outcome(GOOD._replace(lost=1)),
        outcome(GOOD._replace(lost_poison=1)),
        outcome(GOOD._replace(unsent=1)),
        outcome(GOOD._replace(unpoisoned=1)),
        outcome(audit=Audit(total=1)),
        outcome(audit=Audit(skipped_windows=1)),
        outcome(differences=1),
    ],
)
def test_whatever_is_wrong_is_a_difference(bad: Outcome) -> None:
    assert json.loads(json_line(bad))["differences"] == 1
    assert not bad.survived
    assert "**1 differences.**" in markdown(bad)


def test_a_run_with_too_few_faults_says_nothing_and_one_with_a_difference_always_does() -> None:
    few, wrong = outcome(), outcome(differences=1)
    assert few.decided
    for each in (few, wrong):
        each.plan = [*each.plan, NOT_DONE._replace(at=50.0)]
    assert (few.least, few.decided, wrong.decided) == (4, False, True)
    assert "**Undecided: 3 of 5 faults were done.**" in markdown(few)
    assert "**1 differences.**" in markdown(wrong)


def test_a_run_in_which_no_stale_owner_wrote_says_nothing() -> None:
    given = outcome()
    paused = [NOT_DONE._replace(at=at, kind=Kind.WORKER_PAUSED) for at in (40.0, 60.0)]
    given.plan, given.done = paused, dict.fromkeys(paused, "worker-1")
    given.stale_writers = 1
    assert given.decided
    given.stale_writers = 0
    assert not given.decided
    assert "of 2 paused workers none woke as a stale owner that wrote" in markdown(given)


def test_brokers_that_ended_by_themselves_are_told() -> None:
    given = outcome()
    assert "Brokers ended" not in markdown(given)
    given.broker_deaths = 2
    assert "Brokers ended by themselves, or did not get ready, and were started again: 2." in markdown(given)


def test_a_run_that_stalls_has_not_survived() -> None:
    stalled = outcome()
    stalled.stalled = "no progress"
    assert not stalled.survived
    assert "no progress" in markdown(stalled)


def test_the_report_tells_the_faults_and_how_long_recovery_took() -> None:
    text = markdown(outcome())
    assert "| kill -9 of a worker | 2 | 6.5 s | 7.5 s |" in text
    assert "| **all** | **3** | 6.5 s | 7.5 s |" in text
    assert "p50 6.5 s, p99 7.5 s" in text
    assert "**Nothing was lost and nothing differs.**" in text
    assert "| 30.0 s | kill -9 of a worker | worker-2 | 3.0 s | 6.5 s |" in text
    assert "| 40.0 s | kill -9 of the leader of a partition | not done | 3.0 s |  |" in text
    assert "--seconds 180 --seed 7" in text


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)) == (50.0, 99.0, 100.0)
    assert percentile([], 0.5) is None


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_at_least_that_share_does_not_exceed_a_percentile(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6
