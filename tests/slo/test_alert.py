"""What an alert does: one level at a time, frozen when the data cannot say, and every change with its reason."""

from collections.abc import Sequence
from fractions import Fraction

import pytest

from pipeline.slo.alert import Freezing, Observation, catch_up, evaluate
from pipeline.slo.alert_record import acknowledge, silence
from pipeline.slo.alert_state import AlertState, Change, Phase, Transition, Why, alert_key
from pipeline.slo.burn import Rule
from pipeline.slo.counts import Row, Series
from pipeline.slo.windows import GUARD_OFF, Guard, Pair, Severity, default_pairs

TARGET = Fraction(9, 10)
PAGE = Pair(Severity.PAGE, 60, 5, Fraction(5))  # above 50% bad
TICKET = Pair(Severity.TICKET, 120, 10, Fraction(2))  # above 20% bad
RULE = Rule(TARGET, 10_000, (PAGE, TICKET), GUARD_OFF)
MIN_THREE = Guard(3, 0, Fraction(1, 2), ())
NEW = AlertState(key="k")


def series(*stretches: tuple[int, int, int]) -> Series:
    """(minutes, good, bad) one after another, from minute 0; the counts are per minute."""
    rows: list[Row] = []
    for length, good, bad in stretches:
        rows += [Row(len(rows) + at, bad, good + bad, good + bad) for at in range(length)]
    return Series(rows)


def watch(counts: Series, rule: Rule = RULE) -> list[Observation]:
    return [Observation("reported", counts, rule)]


def history(
    observations: Sequence[Observation], until: int, state: AlertState = NEW
) -> tuple[AlertState, list[tuple[int, Change]]]:
    state, transitions = catch_up(state.model_copy(update={"evaluated": 0}), observations, until)
    return state, [(each.at, each.change) for each in transitions]


def test_a_burst_fires_as_a_ticket_becomes_a_page_eases_and_resolves() -> None:
    counts = series((120, 10, 0), (60, 0, 10), (300, 10, 0))
    state, changes = history(watch(counts), 479)
    # 20% of 120 minutes are bad after 25; 50% of 60 after 31; the short windows end it.
    assert changes == [
        (144, Change.FIRED),
        (150, Change.ESCALATED),
        (182, Change.EASED),
        (187, Change.RESOLVED),
    ]
    assert (state.phase, state.level, state.episode) == (Phase.RESOLVED, None, 1)


def test_one_level_at_a_time() -> None:
    """While the page fires, its ticket is not told apart; it appears when the page clears."""
    state, _ = history(watch(series((120, 10, 0), (60, 0, 10))), 179)
    assert state.level is Severity.PAGE
    assert state.active == ("reported/page", "reported/ticket")


def test_a_transition_says_what_and_why() -> None:
    _, transitions = catch_up(NEW.model_copy(update={"evaluated": 0}), watch(series((120, 10, 0), (60, 0, 10))), 150)
    page = transitions[-1]
    assert page.notifies
    assert (page.from_level, page.level) == (Severity.TICKET, Severity.PAGE)
    assert page.reasons[0].why is Why.BURNING
    assert page.reasons[0].text == (
        "reported: 310 of 600 bad in 1h, 50 of 50 most recently: budget spent 5.17x too fast (limit 5x)"
    )


def test_the_guard_withholds_and_says_so() -> None:
    rule = Rule(TARGET, 10_000, (PAGE,), MIN_THREE)
    counts = Series([Row(100, 1, 1, 1), Row(101, 1, 1, 1)])
    state, (pending,) = evaluate(NEW, watch(counts, rule), 101)
    assert (state.phase, state.level) == (Phase.PENDING, None)
    assert pending.change is Change.PENDING
    assert not pending.notifies
    assert pending.reasons[0].text.endswith("needs 3 bad events")
    state, (cleared,) = evaluate(state, watch(Series([*counts, Row(102, 0, 9, 9)]), rule), 102)
    assert (cleared.change, state.phase) == (Change.CLEARED, Phase.INACTIVE)


def test_a_pair_with_a_duration_waits_for_it() -> None:
    rule = Rule(TARGET, 10_000, (Pair(Severity.PAGE, 60, 5, Fraction(5), after=7),), GUARD_OFF)
    _, changes = history(watch(series((60, 1, 0), (60, 0, 9)), rule), 119)
    assert changes == [(66, Change.PENDING), (73, Change.FIRED)]


def test_a_pair_with_a_duration_starts_again_after_a_gap() -> None:
    rule = Rule(TARGET, 10_000, (Pair(Severity.PAGE, 10, 1, Fraction(5), after=7),), GUARD_OFF)
    _, changes = history(watch(series((6, 0, 9), (1, 9, 0), (20, 0, 9)), rule), 26)
    assert [at for at, change in changes if change is Change.FIRED] == [14]


def test_without_events_it_neither_fires_nor_resolves() -> None:
    counts = series((120, 10, 0), (60, 0, 10))
    rule = Rule(TARGET, 10_000, (PAGE,), Guard(0, 3, Fraction(1, 2), ()))
    state, changes = history(watch(counts, rule), 400)
    assert changes[-1] == (239, Change.FROZEN)
    assert (state.phase, state.level) == (Phase.FROZEN, Severity.PAGE)
    assert state.reasons[0].why is Why.NO_EVENTS
    assert state.reasons[0].text == "reported: nothing to judge in the last 1h"
    good_again = Series([*counts, *(Row(401 + at, 0, 1, 1) for at in range(5))])
    state, (resolved,) = evaluate(state, watch(good_again, rule), 405)
    assert (resolved.change, state.phase) == (Change.RESOLVED, Phase.RESOLVED)
    bad_again = Series([*counts, *(Row(401 + at, 1, 1, 1) for at in range(5))])
    state, (thawed,) = evaluate(history(watch(counts, rule), 400)[0], watch(bad_again, rule), 405)
    assert (thawed.change, state.phase, state.episode) == (Change.THAWED, Phase.FIRING, 1)
    assert not thawed.notifies


@pytest.mark.parametrize(
    ("target", "a_day", "failures"), [("0.9", 50, 3), ("0.9", 50, 4), ("0.95", 200, 8), ("0.99", 1000, 8)]
)
def test_an_agent_that_is_stopped_after_it_failed_has_not_recovered(target: str, a_day: int, failures: int) -> None:
    """The default rule, twenty good days, failures in a row, and then nothing: whoever stopped it has not mended it."""
    month, began, gap = 30 * 1440, 20 * 1440, 1440 // a_day
    rows = [Row(minute, 0, 1, 1) for minute in range(0, began, gap)]
    rows += [Row(began + gap * number, 1, 1, 1) for number in range(1, failures + 1)]
    rule = Rule(Fraction(target), month, default_pairs(month, Fraction(target)))
    state = AlertState(key="k", evaluated=began)
    state, transitions = catch_up(state, watch(Series(rows), rule), rows[-1].minute + 4 * 1440)
    told = [each.change for each in transitions if each.notifies]
    assert told[-1] in (Change.FIRED, Change.ESCALATED)
    assert (state.phase, state.level) == (Phase.FROZEN, Severity.PAGE)


def test_without_a_guard_an_empty_short_window_is_no_recovery_either() -> None:
    counts = series((120, 10, 0), (60, 0, 10))
    state, changes = history(watch(counts), 400)
    assert (state.level, changes[-1][1]) == (Severity.PAGE, Change.FROZEN)
    state, (resolved,) = evaluate(state, watch(Series([*counts, Row(401, 0, 1, 1)])), 401)
    assert resolved.change is Change.RESOLVED


@pytest.mark.parametrize(("eligible", "frozen"), [(49, False), (50, False), (51, True)])
def test_coverage_under_its_floor_freezes(eligible: int, frozen: bool) -> None:
    counts = Series([Row(100, 10, 10, eligible)])
    observation = Observation("verified", counts, RULE, coverage_floor=Fraction(1, 5))
    state, (changed,) = evaluate(NEW, [observation], 100)
    assert (state.phase is Phase.FROZEN) == frozen
    assert (state.level is None) == frozen
    if frozen:
        assert changed.reasons[0].why is Why.LOW_COVERAGE
        assert changed.reasons[0].text == "verified: only 19% of 51 judged in 1h, floor 20%"


def test_a_pipeline_that_is_behind_freezes() -> None:
    observations = watch(series((120, 0, 10)))
    state, (frozen,) = evaluate(NEW, observations, 119, complete_until=108)
    assert (frozen.change, state.level) == (Change.FROZEN, None)
    assert frozen.reasons[0].text == "the counts are 11m behind, more than 10m"
    state, (fired,) = evaluate(state, observations, 120, complete_until=110)
    assert fired.change is Change.FIRED
    state, (frozen,) = evaluate(state, watch(series((120, 0, 10), (60, 10, 0))), 179, complete_until=120)
    assert (state.phase, state.level) == (Phase.FROZEN, Severity.PAGE)


def test_a_new_reason_to_freeze_is_recorded() -> None:
    state, _ = evaluate(NEW, watch(Series()), 5)
    state, (again,) = evaluate(state, watch(Series()), 20, complete_until=0)
    assert (again.change, again.reasons[0].why) == (Change.FROZEN, Why.BEHIND)
    assert evaluate(state, watch(Series()), 30, complete_until=0)[1] == ()


def test_freezing_can_be_switched_off() -> None:
    state, transitions = evaluate(NEW, watch(Series()), 5, complete_until=-100, freezing=Freezing(enabled=False))
    assert (state.phase, transitions) == (Phase.INACTIVE, ())


def test_an_observation_that_cannot_say_holds_only_its_own_alert() -> None:
    """The verified ticket stays while no verdicts come, whatever the reported indicator says."""
    bad = series((120, 0, 10))
    both = [Observation("reported", bad, RULE), Observation("verified", bad, RULE)]
    state, _ = evaluate(NEW, both, 119)
    fine = Series([*bad, *(Row(120 + at, 0, 90, 90) for at in range(300))])
    silent = [Observation("reported", fine, RULE), Observation("verified", bad, RULE)]
    state, transitions = evaluate(state, silent, 419)
    assert state.active == ("verified/page", "verified/ticket")
    assert [each.change for each in transitions] == [Change.FROZEN]


def test_one_indicator_can_fire_while_another_cannot_say() -> None:
    both = [Observation("reported", series((120, 0, 10)), RULE), Observation("verified", Series(), RULE)]
    state, _ = evaluate(NEW, both, 119)
    assert (state.phase, state.level) == (Phase.FIRING, Severity.PAGE)


def test_evaluating_a_minute_again_changes_nothing() -> None:
    observations = watch(series((120, 0, 10)))
    state, _ = evaluate(NEW, observations, 119)
    assert evaluate(state, observations, 119) == (state, ())
    assert evaluate(state, observations, 50) == (state, ())


def test_events_that_come_to_the_current_minute_are_seen_at_once() -> None:
    """The alerter looks every few seconds, not once a minute."""
    before = series((120, 9, 0))
    state, _ = catch_up(NEW, watch(before), 119)
    state, transitions = catch_up(state, watch(Series([*list(before)[:-1], Row(119, 5000, 5009, 5009)])), 119)
    assert [(each.at, each.change) for each in transitions] == [(119, Change.FIRED)]


def test_acknowledging_ends_with_the_episode() -> None:
    state, _ = evaluate(NEW, watch(series((120, 0, 10))), 119)
    state, told = acknowledge(state, "ada", 120, "looking")
    assert (told.change, told.notifies, told.reasons[0].text) == (
        Change.ACKNOWLEDGED,
        False,
        "acknowledged by ada: looking",
    )
    assert state.acknowledged is not None
    assert state.acknowledged.by == "ada"
    state, _ = evaluate(state, watch(series((120, 0, 10), (60, 90, 0))), 179)
    assert state.acknowledged is None


def test_a_ticket_that_becomes_a_page_must_be_acknowledged_again() -> None:
    state, _ = catch_up(NEW.model_copy(update={"evaluated": 0}), watch(series((120, 10, 0), (60, 0, 10))), 145)
    state, _ = acknowledge(state, "ada", 146)
    state, (escalated,) = catch_up(state, watch(series((120, 10, 0), (60, 0, 10))), 150)
    assert escalated.change is Change.ESCALATED
    assert state.acknowledged is None


def test_nothing_to_acknowledge_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to acknowledge"):
        acknowledge(NEW, "ada", 1)


def test_silenced_alerts_are_recorded_but_not_told() -> None:
    state, told = silence(NEW, "ada", "rehearsal", 100, 200)
    assert told.change is Change.SILENCED
    state, (fired,) = evaluate(state, watch(series((120, 0, 10))), 119)
    assert (fired.change, fired.notifies) == (Change.FIRED, False)


def test_when_a_silence_ends_what_still_fires_is_told() -> None:
    observations = watch(series((300, 0, 10)))
    state, _ = silence(NEW, "ada", "rehearsal", 100, 200)
    state, _ = evaluate(state, observations, 119)
    state, (ended,) = evaluate(state, observations, 200)
    assert (ended.change, ended.notifies, ended.level) == (Change.UNSILENCED, True, Severity.PAGE)
    assert state.silence is None


def test_when_a_silence_ends_with_the_alert_only_the_end_is_told() -> None:
    observations = watch(series((120, 0, 10), (180, 90, 0)))
    state, _ = silence(NEW, "ada", "rehearsal", 100, 200)
    state, _ = evaluate(state, observations, 119)
    _, transitions = evaluate(state, observations, 200)
    assert [(each.change, each.notifies) for each in transitions] == [
        (Change.RESOLVED, True),
        (Change.UNSILENCED, False),
    ]


def page_that_eases_and_ends(silent: tuple[int, int]) -> list[tuple[int, Change, Severity | None, Severity | None]]:
    """What is told of a page in 150 that eases in 182 and ends in 187: when, what, what people knew, what they know."""
    counts = watch(series((120, 10, 0), (60, 0, 10), (300, 10, 0)))
    state, transitions = catch_up(NEW.model_copy(update={"evaluated": 0}), counts, silent[0])
    state, _ = silence(state, "ada", "rehearsal", *silent)
    state, later = catch_up(state, counts, 479)
    assert state.told is state.level
    return [(each.at, each.change, each.told, each.level) for each in (*transitions, *later) if each.notifies]


def test_what_ends_in_a_silence_is_told_to_whoever_was_told_that_it_began() -> None:
    fired = (144, Change.FIRED, None, Severity.TICKET)
    paged = (150, Change.ESCALATED, Severity.TICKET, Severity.PAGE)
    assert page_that_eases_and_ends((160, 400)) == [fired, paged, (187, Change.RESOLVED, Severity.PAGE, None)]
    assert page_that_eases_and_ends((145, 400)) == [fired, (187, Change.RESOLVED, Severity.TICKET, None)]
    assert page_that_eases_and_ends((100, 400)) == []


def test_what_eased_or_grew_in_a_silence_is_told_when_the_silence_ends() -> None:
    *_, eased, _ = page_that_eases_and_ends((160, 185))
    assert eased == (185, Change.UNSILENCED, Severity.PAGE, Severity.TICKET)
    _, grown, *_ = page_that_eases_and_ends((145, 170))
    assert grown == (170, Change.UNSILENCED, Severity.TICKET, Severity.PAGE)


def test_the_end_of_a_silence_says_how_fast_the_budget_burns_by_then() -> None:
    state, _ = silence(NEW, "ada", "rehearsal", 100, 160)
    counts = watch(series((120, 10, 0), (60, 0, 10)))
    _, transitions = catch_up(state.model_copy(update={"evaluated": 0}), counts, 179)
    (told,) = (each for each in transitions if each.notifies)
    assert [reason.text for reason in told.reasons] == [
        "the silence has ended",
        "reported: 410 of 600 bad in 1h, 50 of 50 most recently: budget spent 6.83x too fast (limit 5x)",
    ]


def test_an_alert_that_freezes_in_the_minute_in_which_its_silence_ends_is_told() -> None:
    state, _ = silence(NEW, "ada", "rehearsal", 100, 200)
    state, _ = evaluate(state, watch(series((120, 0, 10))), 119)
    _, transitions = evaluate(state, watch(series((120, 0, 10))), 200, complete_until=119)
    assert [(each.change, each.notifies) for each in transitions] == [
        (Change.FROZEN, False),
        (Change.UNSILENCED, True),
    ]


def test_a_silence_ends_after_it_begins() -> None:
    with pytest.raises(ValueError, match="not after 5"):
        silence(NEW, "ada", "why", 5, 5)


def test_state_and_history_are_json() -> None:
    state, transitions = evaluate(NEW, watch(series((120, 0, 10))), 119)
    assert AlertState.model_validate_json(state.model_dump_json()) == state
    assert Transition.model_validate_json(transitions[0].model_dump_json()) == transitions[0]


def test_the_key_is_stable_and_tells_objectives_apart() -> None:
    assert alert_key("claims", "success", "1") == "9b1db5c94abcab4b"
    assert len({alert_key("a", "b", "c"), alert_key("ab", "", "c"), alert_key("a", "bc", "")}) == 3
