"""The agents' own account: what it counts, and what it finds different in a report."""

from __future__ import annotations

import pytest

from pipeline.demo.figures import Claim
from pipeline.demo.job import Feedback, Intervention, Later, Verdict
from pipeline.demo.ledger import COUNTED, Ledger
from tests.demo.samples import MILLION, counted, job

GROUP = ("flight-changes", "3.1")


def ledger_of(*later: Later, claim: Claim | None = "success") -> dict[str, int]:
    ledger = Ledger({"service agent": 36})
    ledger.add(job(*later, claim=claim))
    return ledger.counts[GROUP]


def verdict(word: str, after: float = 1, probability: float = 0.5, times: int = 1) -> Verdict:
    return Verdict(after, word, probability, times, 20_000_000)  # type: ignore[arg-type]


def test_work_is_counted_call_by_call() -> None:
    counts = ledger_of()
    assert counts["actions"] == 3
    assert (counts["model_calls"], counts["tool_calls"], counts["tool_errors"]) == (1, 2, 1)
    assert (counts["input_tokens"], counts["output_tokens"]) == (1_000, 50)
    assert counts["cost_nano"] == counts["cost_model_nano"] == 2_500_000


def test_a_task_without_a_claim_is_abandoned_and_costs_nothing() -> None:
    counts = ledger_of(claim=None)
    assert counts["tasks_abandoned"] == 1
    assert counts["tasks_finished"] == counts["cost_known"] == 0
    assert counts["actions"] == 3


@pytest.mark.parametrize(
    ("claim", "word", "expected"),
    [("success", "failure", (1, 0, 1)), ("success", "success", (0, 0, 1)), ("escalated", "success", (0, 1, 0))],
)
def test_a_verdict_is_held_against_the_claim(claim: Claim, word: str, expected: tuple[int, int, int]) -> None:
    counts = ledger_of(verdict(word), claim=claim)
    assert (counts["discrepancies"], counts["underclaims"], counts["claimed_success_known"]) == expected
    assert counts["weight_known"] == 2 * MILLION


def test_the_latest_verdict_counts_and_each_is_paid() -> None:
    counts = ledger_of(verdict("failure", 1), verdict("success", 2))
    assert (counts["verdict_known"], counts["verdict_success"], counts["discrepancies"]) == (1, 1, 0)
    assert counts["cost_operations_nano"] == 40_000_000


def test_a_verdict_that_is_delivered_twice_counts_once() -> None:
    assert ledger_of(verdict("success", times=2)) == ledger_of(verdict("success"))


def test_an_inconclusive_verdict_is_none() -> None:
    assert ledger_of(verdict("inconclusive"))["verdict_known"] == 0


def test_a_humans_minutes_have_their_roles_price() -> None:
    counts = ledger_of(Intervention(1, "corrected", 2.5, "service agent"))
    assert counts["overridden"] == 1
    assert counts["cost_human_nano"] == 1_500_000_000


@pytest.mark.parametrize(("kind", "name"), [("escalated", "escalated"), ("approved", "approved")])
def test_escalations_and_approvals_are_no_overrides(kind: str, name: str) -> None:
    counts = ledger_of(Intervention(1, kind, 1, "service agent"))  # type: ignore[arg-type]
    assert (counts["overridden"], counts[name]) == (0, 1)


def test_feedback_is_counted_in_millionths() -> None:
    counts = ledger_of(Feedback(1, 0.35, complaint=True))
    assert (counts["answered"], counts["complaints"], counts["satisfaction_micro"]) == (1, 1, 350_000)


def test_a_report_that_says_the_same_has_no_difference() -> None:
    ledger = Ledger({"service agent": 36})
    ledger.add(job(verdict("success")))
    assert ledger.differences([counted(GROUP, **ledger.counts[GROUP])]) == []


@pytest.mark.parametrize("name", COUNTED)
def test_a_report_that_is_off_by_one_is_found(name: str) -> None:
    ledger = Ledger({"service agent": 36})
    ledger.add(job(verdict("success")))
    told = ledger.counts[GROUP]
    (difference,) = ledger.differences([counted(GROUP, **{**told, name: told[name] + 1})])
    assert difference == (*GROUP, name, told[name], told[name] + 1)


def test_groups_that_only_one_side_knows_are_found() -> None:
    ledger = Ledger({"service agent": 36})
    ledger.add(job())
    found = ledger.differences([counted((GROUP[0], "unknown"), tasks_finished=2)])
    assert (GROUP[0], "unknown", "tasks_finished", 0, 2) in found
    assert (*GROUP, "tasks_finished", 1, 0) in found


def test_what_somebody_else_sends_to_the_demos_stack_is_no_difference() -> None:
    ledger = Ledger({"service agent": 36})
    ledger.add(job())
    ours, others = counted(GROUP, **ledger.counts[GROUP]), counted(("an example", "1"), tasks_finished=2)
    assert ledger.differences([ours, others]) == []
