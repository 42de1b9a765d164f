"""Counts per minute: those of the windows, whatever order changes come in, and by the minute of the news."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.fold.facts import facts as contribution
from pipeline.objectives.book import Basis, Book, Counted, Delays, Scope
from pipeline.objectives.counting import lag, measured, needs
from pipeline.objectives.rules import WEIGHTED, Sought
from pipeline.slo.counts import Row
from pipeline.slo.maturity import Maturity
from pipeline.slo.metrics import METRICS, Kind
from pipeline.slo.objective import Cap
from pipeline.slo.observe import observations
from schemas.rows import TaskRow
from tests.alerter.world import objective
from tests.objectives.samples import NOW, facts, row, rows, us, verified

CLAIMS = Scope("claims")
RATES = [metric.name for metric in METRICS.values() if metric.kind is Kind.RATE]
SINCE = NOW - 100_000

NUMERATORS = {
    "completion_rate": (("claimed_success",), ("tasks_finished", "tasks_abandoned")),
    "verified_success_rate": (("verdict_success",), ("verdict_known",)),
    "discrepancy_rate": (("discrepancies",), ("claimed_success_known",)),
    "override_rate": (("overridden",), ("tasks_finished",)),
    "escalation_rate": (("escalated",), ("tasks_finished",)),
    "complaint_rate": (("complaints",), ("tasks_finished",)),
    "action_error_rate": (("action_errors",), ("actions",)),
    "verification_coverage": (("verdict_known",), ("tasks_finished",)),
    "cost_coverage": (("cost_known",), ("tasks_finished",)),
    "feedback_coverage": (("answered",), ("tasks_finished",)),
}
"""As docs/metrics.md has them, in counts of windows. Underclaims need a difference: see its own test."""


def counted(metric: str, basis: Basis = Basis.TASK, scope: Scope = CLAIMS, cap: Cap | None = None) -> Counted:
    return Counted(scope, Sought(metric, cap), basis)


def book(*wanted: Counted, tasks: list[TaskRow] | None = None, since: int = SINCE) -> Book:
    made = Book(wanted, (), since)
    made.take(facts(task) for task in tasks or ())
    return made


def total(made: Book, wanted: Counted) -> tuple[int, int]:
    counts = made.series(wanted).between(0, NOW + 1)
    return counts.bad, counts.total


HISTORIES = st.lists(st.sampled_from("abcd").flatmap(rows), max_size=12)
ALL = [
    counted(metric, basis, scope)
    for metric in RATES
    for basis in Basis
    for scope in (CLAIMS, Scope("claims", frozenset({"motor", "unclassified"})))
]


@given(HISTORIES, st.integers(0, 12))
def test_what_changed_step_by_step_is_what_was_counted_at_once(history: list[TaskRow], split: int) -> None:
    book_of_steps, last = Book(ALL, (), SINCE), {task.task_id: task for task in history}
    for part in (history[:split], history[split:], history[-3:]):
        book_of_steps.take(facts(task) for task in part)
        for each in ALL:
            book_of_steps.series(each)
    at_once = book(*ALL, tasks=list(last.values()))
    for each in ALL:
        assert list(book_of_steps.series(each)) == list(at_once.series(each))
    assert len(book_of_steps) == len(at_once)


@given(st.lists(st.integers(0, 10**6).map(str).flatmap(rows), unique_by=lambda task: task.task_id, max_size=8))
def test_by_the_minute_of_the_task_the_counts_are_those_of_its_windows(tasks: list[TaskRow]) -> None:
    wanted = {metric: counted(metric) for metric in NUMERATORS}
    made = book(*wanted.values(), tasks=tasks)
    windows = [
        window
        for task in tasks
        if task.stage != "control" and task.workflow == "claims" and (window := contribution(task))
    ]
    for metric, (top, bottom) in NUMERATORS.items():
        for minute in range(NOW - 5, NOW + 1):
            here = [window.counts for window in windows if window.key.minute == minute * 60]
            numerator = sum(counts.get(name, 0) for counts in here for name in top)
            denominator = sum(counts.get(name, 0) for counts in here for name in bottom)
            found = made.series(wanted[metric]).between(minute, minute + 1)
            good = METRICS[metric].numerator_is_good
            assert (found.good if good else found.bad, found.total) == (numerator, denominator), metric


@given(st.lists(st.integers(0, 10**6).map(str).flatmap(rows), unique_by=lambda task: task.task_id, max_size=8))
def test_weighted_counts_are_those_of_a_report(tasks: list[TaskRow]) -> None:
    wanted = {metric: counted(metric, Basis.WEIGHT) for metric in WEIGHTED}
    made = book(*wanted.values(), tasks=tasks)
    of: Counter[str] = Counter()
    for task in tasks:
        part = contribution(task) if task.stage != "control" and task.workflow == "claims" else None
        of.update(part.counts if part else {})
    claimed = of["weight_claimed_success_known"]
    bad, judged = total(made, wanted["verified_success_rate"])
    assert (judged - bad, judged) == (of["weight_success"], of["weight_known"])
    assert total(made, wanted["discrepancy_rate"]) == (of["weight_discrepancies"], claimed)
    assert total(made, wanted["underclaim_rate"]) == (of["weight_underclaims"], of["weight_known"] - claimed)


@pytest.mark.parametrize(
    ("metric", "task", "news", "bad"),
    [
        ("completion_rate", row(), NOW, 0),
        ("completion_rate", row(claim_seen=us(NOW + 3)), NOW + 3, 0),
        ("completion_rate", row(status="abandoned", claim="", given_up_seen=us(NOW + 60)), NOW + 60, 1),
        ("verified_success_rate", row(**verified("failure", NOW + 900)), NOW + 900, 1),
        ("verified_success_rate", row(claim_seen=us(NOW + 9), **verified("success", NOW + 2)), NOW + 9, 0),
        ("discrepancy_rate", row(**verified("failure", NOW + 7)), NOW + 7, 1),
        ("override_rate", row(interventions={"corrected": 1}, intervened_seen=us(NOW + 40)), NOW + 40, 1),
        ("override_rate", row(interventions={"approved": 1}, intervened_seen=us(NOW + 40)), NOW, 0),
        ("escalation_rate", row(interventions={"escalated": 1}, intervened_seen=us(NOW + 4)), NOW + 4, 1),
        ("complaint_rate", row(answered=1, complaint=1, answered_seen=us(NOW + 5)), NOW + 5, 1),
        ("complaint_rate", row(answered=1, answered_seen=us(NOW + 5)), NOW, 0),
        ("action_error_rate", row(actions=3, action_errors=1), NOW, 1),
        ("cost_coverage", row(), NOW, 1),
    ],
)
def test_news_is_counted_in_the_minute_in_which_it_became_known(
    metric: str, task: TaskRow, news: int, bad: int
) -> None:
    wanted = counted(metric, Basis.NEWS)
    (found,) = book(wanted, tasks=[task]).series(wanted)
    assert (found.minute, found.bad) == (news, bad)


def test_a_task_of_which_no_arrival_was_stored_is_news_in_its_own_minute() -> None:
    """Rows written before arrivals were kept have none."""
    wanted = counted("completion_rate", Basis.NEWS)
    assert [found.minute for found in book(wanted, tasks=[row(claim_seen=0)]).series(wanted)] == [NOW]


def test_without_a_verdict_there_is_no_news_and_a_task_that_could_have_one() -> None:
    by_task, by_news = counted("verified_success_rate"), counted("verified_success_rate", Basis.NEWS)
    made = book(by_task, by_news, tasks=[row("a"), row("b", **verified("inconclusive", NOW))])
    assert list(made.series(by_task)) == [Row(NOW, 0, 0, 2)]
    assert list(made.series(by_news)) == []


def test_a_verdict_that_is_taken_back_moves_its_news_and_its_count() -> None:
    by_task, by_news = counted("verified_success_rate"), counted("verified_success_rate", Basis.NEWS)
    made = book(by_task, by_news, tasks=[row(**verified("success", NOW + 1))])
    assert list(made.series(by_news)) == [Row(NOW + 1, 0, 1, 1)]
    made.take([facts(row(**verified("failure", NOW + 2)))])
    assert list(made.series(by_news)) == [Row(NOW + 2, 1, 1, 1)]
    assert list(made.series(by_task)) == [Row(NOW, 1, 1, 1)]


def test_a_sampled_verdict_is_one_event_for_an_alert_and_counts_with_its_weight_in_a_budget() -> None:
    plain, weighted = counted("verified_success_rate"), counted("verified_success_rate", Basis.WEIGHT)
    tasks = [row("a", **verified("failure", NOW, 10_000_000)), row("b", **verified("success", NOW, 1_000_000))]
    made = book(plain, weighted, tasks=tasks)
    assert list(made.series(plain)) == [Row(NOW, 1, 2, 2)]
    assert list(made.series(weighted)) == [Row(NOW, 10_000_000, 11_000_000, 11_000_000)]
    assert (made.total(plain), made.total(weighted)) == (2, 11_000_000)


def test_verdicts_of_a_sample_are_known_as_such_as_long_as_there_are_any() -> None:
    promised = objective("a", "verified_success_rate")
    made = book(*needs(promised).counted, tasks=[row("a", **verified("failure", NOW)), row("b")])
    assert not measured(made, promised, 9).sampled
    made.take([facts(row("b", **verified("success", NOW, 2_000_000)))])
    assert measured(made, promised, 9).sampled
    made.take([facts(row("b", **verified("success", NOW)))])
    assert not measured(made, promised, 9).sampled


def test_an_underclaim_is_a_task_that_succeeded_and_did_not_say_so() -> None:
    wanted = counted("underclaim_rate")
    tasks = [
        row("right", claim="failure", **verified("success", NOW)),
        row("wrong", claim="gave_up", **verified("failure", NOW)),
        row("unknown", claim="failure"),
        row("other", **verified("success", NOW)),
    ]
    assert list(book(wanted, tasks=tasks).series(wanted)) == [Row(NOW, 1, 2, 3)]


USD = 1_000_000_000


@pytest.mark.parametrize(
    ("metric", "cap", "good", "bad"),
    [
        ("cost_per_task", Cap("lte", Decimal("0.40")), {"root_cost": 400_000_000}, {"root_cost": 400_000_001}),
        ("cost_per_task", Cap("lt", Decimal("0.40")), {"root_cost": 399_999_999}, {"root_cost": 400_000_000}),
        ("cycle_time", Cap("lte", Decimal(20)), {"start_at": us(NOW, 10)}, {"start_at": us(NOW, 10) - 1}),
        (
            "satisfaction",
            Cap("gte", Decimal("0.8")),
            {"answered": 1, "satisfaction": 800_000},
            {"answered": 1, "satisfaction": 799_999},
        ),
        ("quality_score", Cap("gte", Decimal("0.7")), {"scores": {"": 700_000}}, {"scores": {"": 699_999, "other": 1}}),
        ("quality_score", Cap("lt", Decimal("-2.5")), {"scores": {"": -2_500_001}}, {"scores": {"": -2_500_000}}),
    ],
)
def test_caps_are_counted_task_by_task_and_exactly(
    metric: str, cap: Cap, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    wanted = counted(metric, cap=cap)
    unknown = row("c", start_at=0)
    found = book(wanted, tasks=[row("a", **good), row("b", **bad), unknown]).series(wanted)
    assert list(found) == [Row(NOW, 1, 2, 3)]


def test_a_score_is_that_of_the_evaluator_who_was_asked_and_of_no_other() -> None:
    wanted = Counted(CLAIMS, Sought("quality_score", Cap("gte", Decimal(1)), "judge"), Basis.TASK)
    tasks = [row("a", scores={"judge": 999_999, "b": 5 * 10**6}), row("b", scores={"b": 0}), row("c")]
    assert list(book(wanted, tasks=tasks).series(wanted)) == [Row(NOW, 1, 1, 3)]


def test_scores_mature_after_what_the_owner_says_and_alert_by_the_minute_of_the_task() -> None:
    plain = objective("a", "quality_score")
    promised = replace(plain, alerting=replace(plain.alerting, maturity=Maturity(minutes=60)))
    made = book(*needs(promised).counted, tasks=[])
    assert lag(made, promised, NOW) == 60
    (watched,) = observations(promised, measured(made, promised, 60), NOW)
    assert (watched.name, watched.lag) == ("verified", 60)


def test_the_cost_of_a_category_is_known_only_where_the_whole_cost_is() -> None:
    wanted = Counted(CLAIMS, Sought("cost_per_task", Cap("lte", Decimal(1)), "human"), Basis.TASK)
    tasks = [
        row("a", root_cost=5 * USD, costs={"human": USD}),
        row("b", root_cost=0, costs={"human": USD + 1}),
        row("c", root_cost=0),
        row("d", costs={"human": USD}),
    ]
    assert list(book(wanted, tasks=tasks).series(wanted)) == [Row(NOW, 1, 3, 4)]


def test_an_objective_counts_its_own_case_types_and_no_process_without_the_agent() -> None:
    wanted = counted("completion_rate", scope=Scope("claims", frozenset({"motor"})))
    tasks = [row("a"), row("b", case_type="home"), row("c", case_type=""), row("d", stage="control")]
    assert total(book(wanted, tasks=tasks), wanted) == (0, 1)


def test_tasks_of_other_workflows_are_not_kept() -> None:
    made = book(counted("completion_rate"), tasks=[row("a"), row("b", workflow="refunds"), row("c", status="open")])
    assert len(made) == 1


def test_a_late_verdict_on_a_task_before_the_beginning_is_news_but_no_count_of_its_minute() -> None:
    by_task, by_news = counted("verified_success_rate"), counted("verified_success_rate", Basis.NEWS)
    made = book(by_task, by_news, tasks=[row(minute=NOW - 10, **verified("failure", NOW))], since=NOW - 5)
    assert list(made.series(by_task)) == []
    assert list(made.series(by_news)) == [Row(NOW, 1, 1, 1)]


def test_many_changed_minutes_at_once_are_counted_as_one_by_one() -> None:
    wanted = counted("completion_rate")
    tasks = [row(str(at), minute=NOW - at) for at in range(200)]
    made = book(wanted)
    for task in tasks:
        made.take([facts(task)])
        made.series(wanted)
    assert list(made.series(wanted)) == list(book(wanted, tasks=tasks).series(wanted))


def test_how_long_verdicts_and_feedback_take_is_measured() -> None:
    verdicts, feedback = Delays(CLAIMS), Delays(CLAIMS, of_feedback=True)
    made = Book([counted("completion_rate")], [verdicts, feedback], SINCE)
    made.take(
        facts(task)
        for task in (
            row("a", **verified("success", NOW + 9)),
            row("b", **verified("failure", NOW + 9)),
            row("c", **verified("inconclusive", NOW + 9)),
            row("d", **verified("success", NOW - 3)),
            row("e", answered=1, answered_seen=us(NOW + 2)),
        )
    )
    assert sorted(made.verdicts(verdicts)) == [(NOW, NOW, 1), (NOW, NOW + 9, 2)]
    assert sorted(made.verdicts(feedback)) == [(NOW, NOW + 2, 1)]
    made.take([facts(row("a"))])
    assert sorted(made.verdicts(verdicts)) == [(NOW, NOW, 1), (NOW, NOW + 9, 1)]
