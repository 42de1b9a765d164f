"""What was committed before launch is the reference; what was changed after it is shown as moved."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.objectives.history import History, histories
from schemas.units import MINUTE_US
from tests.objectives.documents import capped, history, moment, service, slo, version

NAME = ("success", "right")


def promised(found: History, name: tuple[str, str] = NAME) -> tuple[Fraction, int, bool | None]:
    reference = found.reference(name)
    assert reference is not None
    return reference.objective.target, reference.version.version, reference.before_launch


def moved(found: History, name: tuple[str, str] = NAME) -> list[tuple[str, str, str, str]]:
    return [(move.what, move.before, move.after, move.by) for move in found.moves(name)]


def test_the_last_commitment_before_launch_is_the_reference() -> None:
    found = history(
        version(1, "2026-01-10", service() + slo(target="0.99")),
        version(2, "2026-02-10", service() + slo(target="0.95")),
        version(3, "2026-04-10", service() + slo(target="0.9"), by="Bob", why="too hard"),
    )
    assert promised(found) == (Fraction("0.95"), 2, True)
    (move,) = found.moves(NAME)
    assert (move.what, move.before, move.after) == ("target", "95%", "90%")
    assert (move.by, move.why, move.at) == ("Bob", "too hard", moment("2026-04-10"))


def test_before_the_launch_nothing_that_changes_is_moved() -> None:
    found = history(
        version(1, "2026-01-10", service() + slo(target="0.99")),
        version(2, "2026-02-28", service() + slo(target="0.8")),
    )
    assert promised(found) == (Fraction("0.8"), 2, True)
    assert moved(found) == []


def test_the_day_of_the_launch_itself_is_after_it() -> None:
    found = history(
        version(1, "2026-01-10", service() + slo(target="0.99")),
        version(2, "2026-03-01", service() + slo(target="0.8")),
    )
    assert promised(found) == (Fraction("0.99"), 1, True)


def test_postponing_the_launch_before_it_moves_the_reference_and_afterwards_does_not() -> None:
    in_time = history(
        version(1, "2026-01-10", service() + slo(target="0.99")),
        version(2, "2026-02-10", service(launch="2026-05-01") + slo(target="0.99")),
        version(3, "2026-04-10", service(launch="2026-05-01") + slo(target="0.9")),
    )
    assert promised(in_time) == (Fraction("0.9"), 3, True)
    assert moved(in_time) == [("launch date", "2026-03-01", "2026-05-01", "Ada")]
    too_late = history(
        version(1, "2026-01-10", service() + slo(target="0.99")),
        version(2, "2026-03-10", service(launch="2026-05-01") + slo(target="0.99")),
        version(3, "2026-04-10", service(launch="2026-05-01") + slo(target="0.9")),
    )
    assert promised(too_late) == (Fraction("0.99"), 1, True)
    assert moved(too_late) == [
        ("launch date", "2026-03-01", "2026-05-01", "Ada"),
        ("target", "99%", "90%", "Ada"),
    ]


def test_a_launch_date_that_is_given_after_a_commitment_does_not_open_it_again() -> None:
    found = history(
        version(1, "2026-01-10", service(launch=None) + slo(target="0.99")),
        version(2, "2026-02-10", service(launch="2030-01-01") + slo(target="0.99"), by="Eve"),
        version(3, "2026-03-10", service(launch="2030-01-01") + slo(target="0.5"), by="Eve"),
    )
    assert promised(found) == (Fraction("0.99"), 1, True)
    assert moved(found) == [("launch date", "none", "2030-01-01", "Eve"), ("target", "99%", "50%", "Eve")]


def test_a_launch_date_that_is_taken_away_and_given_again_does_not_either() -> None:
    dated, undated = service(launch="2026-03-01"), service(launch=None)
    versions = [
        version(1, "2026-01-10", dated + slo(target="0.99")),
        version(2, "2026-01-20", undated + slo(target="0.95")),
        version(3, "2026-02-10", dated + slo(target="0.9")),
    ]
    assert [promised(history(*versions[:n]))[:2] for n in (1, 2, 3)] == [
        (Fraction("0.99"), 1),
        (Fraction("0.95"), 2),
        (Fraction("0.95"), 2),
    ]
    assert moved(history(*versions)) == [
        ("launch date", "2026-03-01", "none", "Ada"),
        ("target", "95%", "90%", "Ada"),
        ("launch date", "none", "2026-03-01", "Ada"),
    ]


def test_until_a_launch_that_is_to_come_a_promise_is_open() -> None:
    far = history(version(1, "2026-01-10", service(launch="2099-01-01") + slo()))
    at_once = history(version(1, "2026-01-10", service(launch=None) + slo()))
    late = history(version(1, "2026-03-10", service() + slo()))
    opened = [each.reference(NAME) for each in (far, at_once, late)]
    assert [each.open_until for each in opened if each] == [moment("2099-01-01") // MINUTE_US, None, None]


DATES = st.sampled_from([None, "2026-02-01", "2026-03-01", "2026-06-01", "2099-01-01"])


@given(st.lists(st.tuples(DATES, st.sampled_from(["0.5", "0.9", "0.99"])), min_size=1, max_size=6))
def test_what_was_final_once_is_the_reference_for_ever(applied: list[tuple[str | None, str]]) -> None:
    """A version every twenty days; nobody changes by later versions what nothing could change without being a move."""
    days = [date(2026, 1, 10) + timedelta(days=20 * at) for at in range(len(applied))]
    versions = [
        version(at + 1, str(day), service(launch=launch) + slo(target=target))
        for at, (day, (launch, target)) in enumerate(zip(days, applied, strict=True))
    ]
    final = None
    for n in range(1, len(versions) + 1):
        reference = history(*versions[:n]).reference(NAME)
        assert reference is not None
        assert final in (None, reference.version.version)
        until = moment(str(days[n])) // MINUTE_US if n < len(versions) else 0
        if reference.open_until is None or reference.open_until <= until:
            final = reference.version.version


def test_that_somebody_else_answers_for_it_is_shown() -> None:
    found = history(
        version(1, "2026-01-10", service() + slo()), version(2, "2026-04-10", service(owner="Eve") + slo(), by="Eve")
    )
    assert moved(found) == [("owner", "Ada", "Eve", "Eve")]


def test_a_guard_is_told_as_it_is_written() -> None:
    written = "min-bad-events=50, false-pages=off, false-tickets=0.5"
    given = slo(annotations=f'trueup.dev/low-traffic-guard: "{written}"')
    found = history(version(1, "2026-01-10", service() + slo()), version(2, "2026-04-10", service() + given))
    assert moved(found) == [("low-traffic guard", "default", written, "Ada")]


def test_taking_the_launch_date_away_after_the_launch_changes_nothing() -> None:
    found = history(
        version(1, "2026-01-10", service() + slo(target="0.99")),
        version(2, "2026-03-10", service(launch=None) + slo(target="0.9")),
    )
    assert promised(found) == (Fraction("0.99"), 1, True)


def test_an_objective_that_came_after_the_launch_is_held_to_its_first_commitment() -> None:
    found = history(
        version(1, "2026-01-10", service() + slo()),
        version(2, "2026-04-10", service() + slo() + slo("late", "0.8")),
        version(3, "2026-05-10", service() + slo() + slo("late", "0.7")),
    )
    assert promised(found, ("late", "right")) == (Fraction("0.8"), 2, False)
    assert moved(found, ("late", "right")) == [("target", "80%", "70%", "Ada")]


def test_without_a_launch_date_the_first_commitment_is_the_reference() -> None:
    found = history(
        version(1, "2026-01-10", service(launch=None) + slo(target="0.99")),
        version(2, "2026-02-10", service(launch=None) + slo(target="0.9")),
    )
    assert promised(found) == (Fraction("0.99"), 1, None)
    assert moved(found) == [("target", "99%", "90%", "Ada")]


def test_a_draft_promises_nothing_until_it_is_committed() -> None:
    draft = slo(target="0.99", annotations="trueup.dev/commitment: draft")
    only_draft = history(version(1, "2026-01-10", service() + draft))
    assert only_draft.reference(NAME) is None
    assert only_draft.moves(NAME) == []
    committed = history(
        version(1, "2026-01-10", service() + draft), version(2, "2026-02-10", service() + slo(target="0.9"))
    )
    assert promised(committed) == (Fraction("0.9"), 2, True)


def test_making_a_draft_of_a_promise_or_removing_it_is_moving_it() -> None:
    draft = slo(annotations="trueup.dev/commitment: draft")
    found = history(
        version(1, "2026-01-10", service() + slo() + slo("other")),
        version(2, "2026-04-10", service() + draft + slo("other")),
        version(3, "2026-05-10", service() + slo("other")),
        version(4, "2026-06-10", service() + slo() + slo("other")),
    )
    assert moved(found) == [
        ("standing", "committed", "draft", "Ada"),
        ("standing", "draft", "removed", "Ada"),
        ("standing", "removed", "committed", "Ada"),
    ]
    assert found.names == [("other", "right"), NAME]


def test_what_was_taken_back_before_the_launch_was_not_promised() -> None:
    found = history(
        version(1, "2026-01-10", service() + slo() + slo("other")),
        version(2, "2026-02-10", service() + slo("other")),
        version(3, "2026-04-10", service() + slo(target="0.5") + slo("other")),
    )
    assert promised(found) == (Fraction("0.5"), 3, False)
    assert promised(history(*(each.version for each in found.editions[:1]))) == (Fraction("0.9"), 1, True)
    assert history(*(each.version for each in found.editions[:2])).reference(NAME) is None


def test_a_version_that_cannot_be_read_removes_nothing_and_moves_nothing() -> None:
    broken = version(2, "2026-04-10", service() + slo(target="2"))
    found = histories([version(1, "2026-01-10", service() + slo()), broken])["claims"]
    assert (found.moves(NAME), found.shown, found.commitment(NAME)) == ([], [NAME], "unreadable")


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (slo(), slo(metric="verified_success_rate"), "metric"),
        (slo(), slo(window="28d"), "window"),
        (slo(), slo(annotations='trueup.dev/case-types: "motor"'), "case types"),
        (slo(), slo(annotations='trueup.dev/alert-windows: "page 2h/10m 5"'), "alert windows"),
        (slo(), slo(annotations="trueup.dev/low-traffic-guard: min-bad-events=50"), "low-traffic guard"),
        (slo(), slo(annotations='trueup.dev/low-traffic-guard: "off"'), "low-traffic guard"),
        (slo(), slo(annotations="trueup.dev/maturity: 2d"), "maturity"),
        (slo(), slo(annotations="trueup.dev/coverage-floor: 90%"), "coverage floor"),
        (capped("success").replace("cheap", "right"), capped("success", "0.5").replace("cheap", "right"), "cap"),
    ],
)
def test_whatever_makes_a_promise_easier_to_keep_is_shown(before: str, after: str, what: str) -> None:
    found = history(
        version(1, "2026-01-10", service() + before),
        version(2, "2026-04-10", service() + after),
        version(3, "2026-04-11", service() + after, by="Bob"),
    )
    assert what in [move.what for move in found.moves(NAME)]
    assert {move.by for move in found.moves(NAME)} == {"Ada"}


def test_versions_of_several_workflows_are_told_apart_and_what_cannot_be_read_is_told() -> None:
    other = version(1, "2026-01-10", service("refunds") + slo(workflow="refunds"))
    broken = version(2, "2026-02-10", service() + slo(target="2"))
    mixed = [version(1, "2026-01-10", service() + slo()), broken]
    found = histories([*mixed, type(other)("refunds", 1, "r", other.text, other.applied_at, "Bob", "x")])
    assert set(found) == {"claims", "refunds"}
    assert found["claims"].latest.problems
    assert list(found["refunds"].latest.objectives) == [NAME]
