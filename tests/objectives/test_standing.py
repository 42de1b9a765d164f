"""Where an objective stands: against what was promised and what is, with adjustments, coverage and weights."""

from __future__ import annotations

from fractions import Fraction

import pytest

from pipeline.objectives.adjust import adjustment, effects
from pipeline.objectives.book import Book
from pipeline.objectives.counting import book_of
from pipeline.objectives.history import History
from pipeline.objectives.standing import Standing, as_json, standings, watched
from pipeline.slo.alert_state import AlertState
from schemas.rows import TaskRow
from sinks.objectives import AdjustmentRow
from tests.objectives.documents import capped, history, service, slo, version
from tests.objectives.samples import NOW, facts, row, verified

DAY = 1_440


def counted(found: History, *tasks: TaskRow) -> Book:
    book = book_of(watched(found), NOW)
    book.take(facts(task) for task in tasks)
    return book


def standing(found: History, *tasks: TaskRow, adjustments: tuple[AdjustmentRow, ...] = ()) -> Standing:
    (only,) = standings(found, counted(found, *tasks), adjustments, {}, NOW)
    return only


def tasks(good: int, bad: int, minute: int = NOW) -> list[TaskRow]:
    right = [row(f"{minute}-good-{n}", minute) for n in range(good)]
    return right + [row(f"{minute}-bad-{n}", minute, claim="failure") for n in range(bad)]


def adjusted(start: int, end: int, slo: str = "", objective: str = "") -> AdjustmentRow:
    return AdjustmentRow("a", "claims", slo, objective, start, end, "Bob", "outage of the bank", 1)


MOVED = history(
    version(1, "2026-01-10", service() + slo(target="0.9")), version(2, "2026-04-10", service() + slo(target="0.5"))
)


def test_attainment_is_judged_against_the_committed_and_the_current_target() -> None:
    found = standing(MOVED, *tasks(7, 3))
    assert (found.measure.met, found.committed.met, found.missed) == (True, False, True)
    told = as_json(found)
    assert (told["current"]["target"], told["committed"]["target"]) == (0.5, 0.9)
    assert told["current"]["budget"]["value"] == told["committed"]["budget"]["value"] == 0.7
    assert (told["committed"]["version"], told["committed"]["before_launch"]) == (1, True)
    assert [(move["what"], move["by"], move["at"]) for move in told["moved"]] == [
        ("target", "Ada", "2026-04-10T00:00:00Z")
    ]


@pytest.mark.parametrize(
    "later",
    [slo("other"), slo(target="0.5").replace("right", "fine"), slo("renamed", "0.5"), ""],
    ids=["removed", "renamed", "its SLO renamed", "nothing left"],
)
def test_a_promise_that_was_removed_or_renamed_is_still_measured_and_missed(later: str) -> None:
    found = history(version(1, "2026-01-10", service() + slo()), version(2, "2026-04-10", service() + later))
    (gone,) = [
        each
        for each in standings(found, counted(found, *tasks(7, 3)), (), {}, NOW)
        if each.measure.objective.display_name == "success: right"
    ]
    told = as_json(gone)
    assert (gone.missed, told["missed"], told["commitment"], told["current"]) == (True, True, "removed", None)
    assert (told["committed"]["target"], told["committed"]["met"], told["committed"]["version"]) == (0.9, False, 1)
    assert [(move["what"], move["after"]) for move in told["moved"]] == [("standing", "removed")]


def test_what_was_removed_before_the_launch_or_only_a_draft_is_not_shown() -> None:
    draft = slo(annotations="trueup.dev/commitment: draft")
    for first, day in ((slo(), "2026-02-10"), (draft, "2026-04-10")):
        found = history(version(1, "2026-01-10", service() + first), version(2, day, service() + slo("other")))
        assert found.shown == [("other", "right")]


def test_the_committed_window_and_cap_are_counted_too_where_they_were_moved() -> None:
    found = history(
        version(1, "2026-01-10", service() + capped(value="0.40")),
        version(2, "2026-04-10", service() + capped(value="0.60")),
    )
    now = standing(found, row("a", root_cost=500_000_000), row("b", root_cost=300_000_000))
    assert (now.measure.account.adjusted.bad, now.committed.account.adjusted.bad) == (0, 1)  # type: ignore[union-attr]


def test_the_remaining_budget_is_signed() -> None:
    budget = as_json(standing(history(version(1, "2026-01-10", service() + slo())), *tasks(5, 5)))["current"]["budget"]
    assert (budget["remaining"], budget["bad"], budget["allowed_bad"]) == (-4.0, 5, 1)
    assert 0.2 < budget["low"] < 0.5 < budget["high"] < 0.8


def test_without_events_nothing_is_known_and_nothing_is_missed() -> None:
    found = standing(MOVED)
    told = as_json(found)
    assert (found.measure.met, found.missed) == (None, False)
    assert (told["current"]["budget"]["value"], told["current"]["budget"]["remaining"]) == (None, None)
    assert told["coverage"]["value"] is None


def test_tasks_before_the_period_do_not_count() -> None:
    found = standing(MOVED, *tasks(1, 0), *tasks(0, 9, minute=NOW - 30 * DAY))
    assert found.measure.account is not None
    assert found.measure.account.adjusted.total == 1


def test_a_draft_is_measured_and_misses_nothing() -> None:
    draft = slo(annotations="trueup.dev/commitment: draft")
    found = standing(history(version(1, "2026-01-10", service() + draft)), *tasks(1, 9))
    assert (found.measure.met, found.missed, as_json(found)["committed"]) == (False, False, None)


def test_verdicts_of_a_sample_count_with_their_weights_and_coverage_says_how_many_there_are() -> None:
    found = history(version(1, "2026-01-10", service() + slo(metric="verified_success_rate")))
    heavy, light = row("a", **verified("failure", NOW, 9_000_000)), row("b", **verified("success", NOW, 1_000_000))
    told = as_json(standing(found, heavy, light, row("c"), row("d")))
    assert told["current"]["budget"]["value"] == 0.1
    assert (told["current"]["budget"]["numerator"], told["current"]["budget"]["denominator"]) == (1, 10)
    assert told["current"]["budget"]["low"] is None
    assert told["coverage"] == {"value": 0.5, "numerator": 2, "denominator": 4}


def test_verdicts_that_were_all_asked_for_have_an_interval() -> None:
    found = history(version(1, "2026-01-10", service() + slo(metric="verified_success_rate")))
    told = as_json(standing(found, *(row(str(n), **verified("success", NOW)) for n in range(4))))
    assert told["current"]["budget"]["low"] == pytest.approx(0.51, abs=0.01)


def test_an_adjustment_drops_good_and_bad_and_keeps_the_raw_counts() -> None:
    found = history(version(1, "2026-01-10", service() + slo()))
    made = [*tasks(8, 0), *tasks(2, 6, minute=NOW - 100)]
    told = as_json(standing(found, *made, adjustments=(adjusted(NOW - 100, NOW - 99),)))["current"]
    assert (told["budget"]["value"], told["raw"]["value"]) == (1.0, 0.625)
    (shown,) = told["adjustments"]
    assert (shown["by"], shown["why"]) == ("Bob", "outage of the bank")


@pytest.mark.parametrize(
    ("slo_name", "objective", "applied"), [("", "", 1), ("success", "", 1), ("success", "right", 1), ("other", "", 0)]
)
def test_an_adjustment_is_for_what_it_names(slo_name: str, objective: str, applied: int) -> None:
    found = history(version(1, "2026-01-10", service() + slo()))
    row = adjusted(NOW - 5, NOW, slo_name, objective)
    account = standing(found, *tasks(1, 0), adjustments=(row,)).measure.account
    assert account is not None
    assert len(account.applied) == applied


def test_the_effect_of_an_adjustment_is_told() -> None:
    found = history(version(1, "2026-01-10", service() + slo()))
    row = adjusted(NOW - 100, NOW - 99)
    now = standing(found, *tasks(8, 0), *tasks(2, 6, minute=NOW - 100), adjustments=(row,))
    (told,) = effects(row, [now])
    assert (told["dropped good"], told["dropped bad"], told["remaining"]) == (2, 6, 1)
    assert told["without it"] == pytest.approx(-2.75)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": 9, "end": 9}, "the span is empty"),
        ({"by": " "}, "says who"),
        ({"why": ""}, "why"),
        ({"slo": "nothing"}, "choose of success/right"),
        ({"objective": "right"}, "give --slo"),
        ({"end": 31 * DAY + 6}, "an adjustment for each part"),
        ({"start": 31 * DAY, "end": 31 * DAY + 1}, "prolong it"),
    ],
)
def test_an_adjustment_that_makes_no_sense_is_refused(changes: dict[str, object], message: str) -> None:
    given = {"slo": "", "objective": "", "start": 5, "end": 9, "by": "Bob", "why": "outage"} | changes
    with pytest.raises(ValueError, match=message):
        adjustment("claims", now=1, names={("success", "right")}, **given)  # type: ignore[arg-type]


def test_the_alert_of_an_objective_is_shown_with_it() -> None:
    found = history(version(1, "2026-01-10", service() + slo()))
    key = next(iter(found.latest.objectives.values())).key
    (now,) = standings(found, counted(found), (), {key: AlertState(key=key, episode=3)}, NOW)
    assert now.alert.episode == 3
    assert Fraction(now.measure.objective.target) == Fraction("0.9")
