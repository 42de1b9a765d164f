"""Stopped at any moment, between any two rows: no alert is lost, none is doubled, none is falsely resolved."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alerter.delivery import Delivery
from pipeline.alerter.held import held
from pipeline.slo.counts import Row, Series
from sinks.objectives import TransitionRow
from tests.alerter.world import (
    BrittleStore,
    Crash,
    FixedCounts,
    FixedObjectives,
    Inbox,
    engine,
    first_state,
    objective,
    plain,
)

END = 70
OBJECTIVES = FixedObjectives(objective("a"), objective("b"))
STRETCHES = st.lists(
    st.tuples(st.integers(1, 30), st.sampled_from([(0, 0), (3, 0), (0, 2), (1, 1), (9, 1)])), min_size=1, max_size=6
)
CRASHES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 15)), max_size=6)
"""After how many rows the process ends, and for how many minutes nothing runs then."""


@st.composite
def series(draw: st.DrawFn) -> Series:
    rows: list[Row] = []
    for length, (good, bad) in draw(STRETCHES):
        rows += [Row(len(rows) + at, bad, good + bad, good + bad) for at in range(length)]
    return Series(rows)


SERIES = st.tuples(series(), series()).map(lambda pair: {"a": pair[0], "b": pair[1]})


def run(counts: FixedCounts, crashes: Sequence[tuple[int, int]]) -> tuple[BrittleStore, Inbox]:
    """Minute by minute to the end, through all the crashes; then a life without, until everybody was told."""
    store, inbox, left = BrittleStore(), Inbox(), list(crashes)
    first_state(store, OBJECTIVES)
    minute = 0
    while minute <= END or left:
        rows, pause = left.pop(0) if left else (None, 0)
        store.crash_after(rows)
        evaluator, delivery = engine(store, OBJECTIVES, counts), Delivery(store, inbox, plain)
        try:
            while minute <= END:
                while evaluator.tick(minute).behind:
                    pass
                delivery.run(minute)
                inbox.deliver(delivery)
                minute += 1
            delivery.run(END)
            break
        except Crash:
            inbox.die()
            minute = min(minute + pause, END)
    store.crash_after(None)
    engine(store, OBJECTIVES, counts).tick(END)
    delivery = Delivery(store, inbox, plain)
    delivery.run(END)
    inbox.deliver(delivery)
    delivery.run(END)
    return store, inbox


def history(store: BrittleStore) -> list[TransitionRow]:
    return store.transitions()[::-1]


@settings(max_examples=40)
@given(SERIES, CRASHES)
def test_a_crash_anywhere_changes_neither_history_nor_states(
    series: dict[str, Series], crashes: list[tuple[int, int]]
) -> None:
    crashed, _ = run(FixedCounts(series), crashes)
    straight, _ = run(FixedCounts(series), [])
    assert history(crashed) == history(straight)
    assert crashed.states() == straight.states()


@settings(max_examples=40)
@given(SERIES, CRASHES)
def test_everybody_is_told_of_everything_and_of_nothing_else(
    series: dict[str, Series], crashes: list[tuple[int, int]]
) -> None:
    """A crash between telling and writing down that somebody was told repeats the same words, under the same id."""
    store, inbox = run(FixedCounts(series), crashes)
    stored = [line.id for line in history(store) if line.notifies]
    first = list(dict.fromkeys(notification.transition_id for notification in inbox.got))
    assert sorted(first) == sorted(stored)
    for key in OBJECTIVES.by_key:
        mine = [line.id for line in history(store) if line.notifies and line.key == key]
        assert [each for each in first if each in mine] == mine
    assert len(inbox.got) <= len(first) + 2 * len(crashes) * len(first)
    if not crashes:
        assert len(inbox.got) == len(first)


def consistent(store: BrittleStore) -> None:
    """What people were told of each alert is what its state is."""
    for key in OBJECTIVES.by_key:
        told = [line.change for line in history(store) if line.key == key and line.change in ("fired", "resolved")]
        state = held(store.states()[key]).alert
        assert told.count("fired") - told.count("resolved") == (state.level is not None)
        assert told.count("fired") == state.episode


@settings(max_examples=40)
@given(SERIES, st.integers(0, END - 2), st.integers(12, END), st.lists(st.integers(1, END), max_size=3))
def test_an_outage_of_the_pipeline_changes_no_beginning_and_no_end_of_an_alert(
    series: dict[str, Series], last: int, length: int, restarts: list[int]
) -> None:
    """From minute `last` on nothing lands; once it has, the same is told, of the same minutes."""
    store, counts = BrittleStore(), FixedCounts(series)
    first_state(store, OBJECTIVES)
    evaluator = engine(store, OBJECTIVES, counts)
    for minute in range(1, END + 1):
        away = last < minute < min(last + length, END)
        counts.complete_until = last if away else None
        if minute in restarts:
            evaluator = engine(store, OBJECTIVES, counts)
        evaluator.tick(minute)
    straight, _ = run(FixedCounts(series), [])
    assert levels(store) == levels(straight)
    consistent(store)


def levels(store: BrittleStore) -> list[tuple[str, str, int]]:
    """What happened to the levels of alerts, and when."""
    changes = ("fired", "resolved", "escalated", "eased")
    return sorted((line.key, line.change, line.at) for line in history(store) if line.change in changes)


@settings(max_examples=40)
@given(st.lists(st.tuples(SERIES, st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=8))
def test_what_was_told_before_a_crash_is_known_after_it_though_the_counts_have_changed(
    lives: list[tuple[dict[str, Series], int, int]],
) -> None:
    """Events land late: each life sees other counts, also of minutes that were evaluated before."""
    store, minute = BrittleStore(), 0
    first_state(store, OBJECTIVES)
    for counts, rows, pause in lives:
        store.crash_after(rows)
        evaluator = engine(store, OBJECTIVES, FixedCounts(counts))
        with suppress(Crash):
            while minute < END:
                minute += 1
                evaluator.tick(minute)
        minute = min(minute + pause, END)
    store.crash_after(None)
    engine(store, OBJECTIVES, FixedCounts(lives[-1][0])).tick(END)
    consistent(store)


@settings(max_examples=40)
@given(SERIES, SERIES, st.integers(0, 6), st.integers(0, 2))
def test_two_alerters_that_see_different_counts_at_the_same_time_tell_one_story(
    mine: dict[str, Series], theirs: dict[str, Series], every: int, late: int
) -> None:
    """The whole tick of another happens between any two rows of ours, with counts that are behind or ahead of ours."""
    store = BrittleStore()
    first_state(store, OBJECTIVES)
    ours, other = (engine(store, OBJECTIVES, FixedCounts(each)) for each in (mine, theirs))
    written, busy = 0, False
    for minute in range(END + 1):

        def interrupted(minute: int = minute) -> None:
            nonlocal written, busy
            written += 1
            if not busy and written % (every + 1) == 0:
                busy = True
                other.tick(max(minute - late, 0))
                busy = False

        store.before_row = interrupted
        ours.tick(minute)
    store.before_row = lambda: None
    for _ in range(3):
        ours.tick(END)
    consistent(store)
