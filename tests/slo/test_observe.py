"""Verdicts that come late: wait for most of them, page on what is reported, and see every late burst."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.slo.alert import catch_up
from pipeline.slo.alert_state import AlertState, Phase, Transition
from pipeline.slo.budget import Method, Terms
from pipeline.slo.burn import Rule
from pipeline.slo.counts import Row, Series
from pipeline.slo.durations import MINUTES_PER_DAY, MINUTES_PER_MONTH, Duration
from pipeline.slo.maturity import Maturity, Verdicts
from pipeline.slo.metrics import METRICS
from pipeline.slo.objective import Alerting, Commitment, Objective, Owner, Workflow
from pipeline.slo.observe import DEFAULT_FLOOR, Measured, observations
from pipeline.slo.periods import RollingWindow
from pipeline.slo.slices import Slicing
from pipeline.slo.windows import Severity, default_pairs

TARGET = Fraction(9, 10)
NOW = 20 * MINUTES_PER_DAY
LAG = 5 * MINUTES_PER_DAY


def objective(metric: str = "verified_success_rate", **changes: object) -> Objective:
    rule = Rule(TARGET, MINUTES_PER_MONTH, default_pairs(MINUTES_PER_MONTH, TARGET))
    made = Objective(
        workflow=Workflow("claims", "Claims", Owner("Ada")),
        slo="success",
        name="1",
        display_name="Success",
        metric=METRICS[metric],
        terms=Terms(TARGET),
        window=RollingWindow(Duration(30, "d")),
        alerting=Alerting(rule, coverage_floor=Fraction(1, 10)),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def tasks(first: int, last: int, bad_from: int | None = None) -> Series:
    """Two tasks an hour; from `bad_from` on all are bad."""
    rows = range(first, last, 30)
    return Series(Row(minute, int(bad_from is not None and minute >= bad_from), 1, 1) for minute in rows)


FINE = tasks(0, NOW)


def after(measured: Measured, made: Objective | None = None) -> tuple[AlertState, list[Transition]]:
    """The alert of the last two hours, and how it got there."""
    state, transitions = catch_up(
        AlertState(key="k", evaluated=NOW - 121), observations(made or objective(), measured, NOW - 1), NOW - 1
    )
    return state, list(transitions)


def test_a_reported_outage_pages_at_once() -> None:
    outage = tasks(0, NOW, bad_from=NOW - 120)
    measured = Measured(FINE, stand_in=outage, by_news=FINE, lag=LAG)
    state, _ = after(measured)
    assert state.level is Severity.PAGE


def test_verified_failures_open_a_ticket_once_they_are_mature() -> None:
    failing = tasks(0, NOW, bad_from=NOW - LAG - 600)
    measured = Measured(failing, stand_in=FINE, by_news=FINE, lag=LAG)
    state, _ = after(measured)
    assert state.level is Severity.TICKET
    assert state.active == ("verified/ticket",)


def test_verdicts_that_are_not_mature_do_not_count_yet() -> None:
    """The quick verdicts of young tasks are not the verdicts of young tasks."""
    young = tasks(0, NOW, bad_from=NOW - LAG + 600)
    state, _ = after(Measured(young, lag=LAG))
    assert (state.phase, state.level) == (Phase.INACTIVE, None)


def test_a_late_burst_of_bad_verdicts_alerts_although_its_tasks_are_old() -> None:
    """Thirty verdicts arrive in an hour, about tasks of two weeks ago that no window reaches any more."""
    old = Series(Row(row.minute, int(row.minute < 360), 1, 1) for row in FINE)
    burst = Series([*tasks(0, NOW - 60), *(Row(NOW - 60 + 2 * at, 1, 1, 1) for at in range(30))])
    quiet, _ = after(Measured(old, stand_in=FINE, lag=LAG))
    assert quiet.level is None
    measured = Measured(old, stand_in=FINE, by_news=burst, lag=LAG)
    state, (*_, fired) = after(measured)
    assert state.level is Severity.TICKET
    assert state.active == ("arrivals/ticket",)
    assert fired.reasons[0].text.startswith("arrivals: ")


def test_low_coverage_freezes_the_verified_ticket_but_not_the_reported_page() -> None:
    sparse = Series(Row(row.minute, row.bad, row.total, 20) for row in tasks(0, NOW, bad_from=NOW - LAG - 600))
    state, _ = after(Measured(sparse, lag=LAG))
    assert (state.phase, state.level) == (Phase.FROZEN, None)
    outage = tasks(0, NOW, bad_from=NOW - 120)
    state, _ = after(Measured(sparse, stand_in=outage, lag=LAG))
    assert (state.phase, state.level) == (Phase.FIRING, Severity.PAGE)


@pytest.mark.parametrize(
    ("metric", "written", "sampled", "floor"),
    [
        ("verified_success_rate", None, False, DEFAULT_FLOOR),
        ("verified_success_rate", None, True, 0),
        ("verified_success_rate", Fraction(1, 2), True, Fraction(1, 2)),
        ("verified_success_rate", Fraction(0), False, 0),
        ("satisfaction", None, False, 0),
        ("cost_per_task", None, False, 0),
        ("cost_per_task", Fraction(1, 2), False, Fraction(1, 2)),
    ],
)
def test_verdicts_have_a_floor_by_default_unless_they_are_few_on_purpose(
    metric: str, written: Fraction | None, sampled: bool, floor: Fraction | int
) -> None:
    made = objective(metric, alerting=replace(objective().alerting, coverage_floor=written))
    watched = observations(made, Measured(FINE, lag=LAG, sampled=sampled), NOW)
    assert [each.coverage_floor for each in watched] == [floor]


def test_until_a_lag_is_known_nothing_counts_as_mature() -> None:
    watched = observations(objective(), Measured(FINE, stand_in=FINE, by_news=FINE), NOW)
    assert [each.name for each in watched] == ["reported", "arrivals"]


def test_page_windows_that_the_owner_wrote_are_for_verdicts_too() -> None:
    chosen = replace(objective().alerting, chosen=True)
    watched = observations(objective(alerting=chosen), Measured(FINE, by_news=FINE, lag=LAG), NOW)
    assert all({pair.severity for pair in each.rule.pairs} == set(Severity) for each in watched)


def test_what_is_known_with_the_task_is_watched_once_and_at_once() -> None:
    (only,) = observations(objective("override_rate"), Measured(FINE), NOW)
    assert (only.name, only.lag, {pair.severity for pair in only.rule.pairs}) == ("reported", 0, set(Severity))


def test_abandoned_tasks_page_when_they_are_given_up() -> None:
    """An agent that dies finishes nothing: its tasks are bad in minutes that have left every short window."""
    by_task = tasks(0, NOW, bad_from=NOW - 120)
    given_up = Series([*tasks(0, NOW - 120), *(Row(NOW - 20 + 5 * at, 1, 1, 1) for at in range(4))])
    state, _ = after(Measured(by_task, by_news=given_up), objective("completion_rate"))
    assert state.level is Severity.PAGE


def test_a_draft_alerts_nobody() -> None:
    assert observations(objective(commitment=Commitment.DRAFT), Measured(FINE), NOW) == ()


def test_time_slices_burn_by_the_slice() -> None:
    """Every slice of an hour has bad tasks, but none so many that the slice is bad: nothing of the budget is spent."""
    counts = Series(Row(minute, int(minute % 3 == 0), 1, 1) for minute in range(NOW))
    by_slice = objective("completion_rate", terms=Terms(TARGET, Method.TIMESLICES, Slicing(60, Fraction(1, 2))))
    (watched,) = observations(by_slice, Measured(counts), NOW - 1)
    assert watched.series.window(NOW - 1, 180) == (0, 3, 3)
    (watched,) = observations(objective("completion_rate"), Measured(counts), NOW - 1)
    assert watched.series.window(NOW - 1, 180) == (60, 180, 180)


@pytest.mark.parametrize(("percent", "lag"), [(50, 10), (75, 10), (76, 100), (95, 100), (99, 100)])
def test_the_lag_is_the_measured_percentile(percent: int, lag: int) -> None:
    verdicts = [Verdicts(finished=0, arrived=10, tasks=3), Verdicts(finished=1, arrived=101, tasks=1)]
    assert Maturity(percent=percent).lag(verdicts, now=2000, horizon=1000) == lag


def test_young_tasks_do_not_make_the_lag_look_short() -> None:
    old = [Verdicts(0, 900, 10)]
    young = [Verdicts(5000 - at, 5001 - at, 50) for at in range(10)]
    assert Maturity().lag([*old, *young], now=5000, horizon=1000) == 900


def test_a_lag_beyond_the_horizon_is_cut_off_there() -> None:
    assert Maturity().lag([Verdicts(0, 4000, 1)], now=9000, horizon=1000) == 1000


def test_without_verdicts_there_is_no_measured_lag() -> None:
    assert Maturity().lag([], now=9000, horizon=1000) is None
    assert Maturity(minutes=60).lag([], now=9000, horizon=1000) == 60


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 9)), min_size=1), st.integers(1, 99))
def test_at_least_the_asked_share_of_verdicts_is_there_and_no_shorter_wait_would_do(
    lags: list[tuple[int, int]], percent: int
) -> None:
    verdicts = [Verdicts(at, at + lag, count) for at, (lag, count) in enumerate(lags)]
    found = Maturity(percent=percent).lag(verdicts, now=10_000, horizon=1000)
    assert found is not None
    total = sum(count for _, count in lags)

    def there(wait: int) -> int:
        return sum(count for lag, count in lags if lag <= wait)

    assert there(found) * 100 >= total * percent
    assert there(found - 1) * 100 < total * percent
