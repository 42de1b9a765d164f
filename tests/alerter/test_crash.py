"""Stopped at any moment, between any two rows: no alert is lost, none is doubled, none is falsely resolved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alerter.compose import Composer
from pipeline.alerter.delivery import Delivery
from pipeline.alerter.held import held
from pipeline.alerter.settings import AlerterSettings
from pipeline.notify.audience import Wanted
from pipeline.notify.notification import Notification, Status
from pipeline.slo.counts import Row, Series
from pipeline.slo.windows import Severity
from schemas.units import MINUTE_US
from sinks.objectives import ACKNOWLEDGE, SILENCE, ActionRow, TransitionRow
from tests.alerter.world import (
    BrittleStore,
    Crash,
    FixedCounts,
    FixedObjectives,
    Inbox,
    engine,
    first_state,
    objective,
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


KINDS = st.sampled_from([ACKNOWLEDGE, SILENCE])


@st.composite
def actions(draw: st.DrawFn) -> list[ActionRow]:
    """What people do, and when. Every silence has ended at the end."""
    made = []
    for number in range(draw(st.integers(0, 4))):
        key, kind = draw(st.sampled_from(sorted(OBJECTIVES.by_key))), draw(KINDS)
        at, length = draw(st.integers(1, END - 1)), draw(st.integers(1, 40))
        made.append(ActionRow(f"a{number}", key, kind, "Bob", "why", at * MINUTE_US, min(at + length, END)))
    return made


def run(
    counts: FixedCounts, crashes: Sequence[tuple[int, int]], done: Sequence[ActionRow] = ()
) -> tuple[BrittleStore, Inbox]:
    """Minute by minute to the end, through all the crashes; then a life without, until everybody was told."""
    store, inbox, left = BrittleStore(), Inbox(), list(crashes)
    first_state(store, OBJECTIVES)
    store.append(done)
    minute = 0
    while minute <= END or left:
        rows, pause = left.pop(0) if left else (None, 0)
        with life(store, inbox, rows) as delivery:
            evaluator = engine(store, OBJECTIVES, counts)
            while minute <= END:
                while evaluator.tick(minute).behind:
                    pass
                delivery.run(minute)
                inbox.deliver(delivery)
                minute += 1
            delivery.run(END)
            break
        minute = min(minute + pause, END)
    with life(store, inbox, None) as delivery:
        engine(store, OBJECTIVES, counts).tick(END)
        delivery.run(END)
        inbox.deliver(delivery)
        delivery.run(END)
    return store, inbox


def composed(line: TransitionRow) -> Notification:
    return Composer(AlerterSettings(), lambda *_: []).compose(line, None)


@contextmanager
def life(store: BrittleStore, inbox: Inbox, rows: int | None) -> Iterator[Delivery]:
    """A process that ends after so many rows. It tells nothing twice, and nothing that it can know to be told."""
    written = store.notifications({line.id for line in store.transitions()})
    known = {row.transition for row in written if row.delivered}
    before = len(inbox.got)
    store.crash_after(rows)
    try:
        yield Delivery(store, inbox, composed)
    except Crash:
        inbox.die()
    told = [notification.transition_id for notification in inbox.got[before:]]
    assert len(set(told)) == len(told)
    assert not known & set(told)


def believed(inbox: Inbox, wanted: Wanted) -> dict[str, Severity]:
    """What fires, for all that a receiver was told."""
    known: dict[str, Severity] = {}
    for view in (wanted.view(notification, END) for notification in inbox.got):
        if view is not None:
            known.pop(view.key, None)
            if view.status is Status.FIRING and view.severity is not None:
                known[view.key] = view.severity
    return known


def history(store: BrittleStore) -> list[TransitionRow]:
    return store.transitions()[::-1]


@settings(max_examples=40)
@given(SERIES, CRASHES, actions())
def test_a_crash_anywhere_changes_neither_history_nor_states(
    series: dict[str, Series], crashes: list[tuple[int, int]], done: list[ActionRow]
) -> None:
    crashed, _ = run(FixedCounts(series), crashes, done)
    straight, _ = run(FixedCounts(series), [], done)
    assert history(crashed) == history(straight)
    assert crashed.states() == straight.states()


@settings(max_examples=40)
@given(SERIES, CRASHES, actions())
def test_everybody_is_told_of_everything_and_of_nothing_else(
    series: dict[str, Series], crashes: list[tuple[int, int]], done: list[ActionRow]
) -> None:
    """A crash before the receipt is written down repeats the same words, under the same id; `life` looks at that."""
    store, inbox = run(FixedCounts(series), crashes, done)
    stored = [line.id for line in history(store) if line.notifies]
    first = list(dict.fromkeys(notification.transition_id for notification in inbox.got))
    assert sorted(first) == sorted(stored)
    for key in OBJECTIVES.by_key:
        mine = [line.id for line in history(store) if line.notifies and line.key == key]
        assert [each for each in first if each in mine] == mine


@settings(max_examples=100)
@given(SERIES, CRASHES, actions())
def test_what_each_receiver_believes_at_the_end_is_what_fires(
    series: dict[str, Series], crashes: list[tuple[int, int]], done: list[ActionRow]
) -> None:
    """Whatever was silenced, acknowledged, and lost in crashes; for one that hears of all, of pages, of tickets."""
    store, inbox = run(FixedCounts(series), crashes, done)
    levels = {key: held(row).alert.level for key, row in store.states().items()}
    for severities in (frozenset(Severity), {Severity.PAGE}, {Severity.TICKET}):
        firing = {key: level for key, level in levels.items() if level in severities}
        assert believed(inbox, Wanted(severities=frozenset(severities))) == firing


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
