"""Restarted at any moment, the alert goes on as if it had not been: no alert lost, doubled or falsely resolved."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.slo.alert import Observation, catch_up, evaluate
from pipeline.slo.alert_state import AlertState, Change, Phase, Transition
from pipeline.slo.burn import Rule
from pipeline.slo.counts import Row, Series
from pipeline.slo.windows import GUARD_OFF, Guard, Pair, Severity

TARGET = Fraction(9, 10)
PAIRS = (
    Pair(Severity.PAGE, 12, 1, Fraction(5)),
    Pair(Severity.PAGE, 24, 2, Fraction(3), after=3),
    Pair(Severity.TICKET, 36, 3, Fraction(2)),
)
GUARDS = st.sampled_from([GUARD_OFF, Guard(3, 3, Fraction(1, 2), ((Severity.PAGE, Fraction(1, 5)),))])
END = 150
STRETCHES = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([(0, 0), (3, 0), (0, 2), (1, 1), (9, 1)])), min_size=1, max_size=8
)


@st.composite
def series(draw: st.DrawFn) -> Series:
    rows: list[Row] = []
    for length, (good, bad) in draw(STRETCHES):
        rows += [Row(len(rows) + at, bad, good + bad, 2 * (good + bad)) for at in range(length)]
    return Series(rows)


@st.composite
def observed(draw: st.DrawFn) -> list[Observation]:
    rule = Rule(TARGET, 1000, PAIRS, draw(GUARDS))
    late = Observation("verified", draw(series()), rule.only(Severity.TICKET), lag=20, coverage_floor=Fraction(1, 2))
    return [Observation("reported", draw(series()), rule), late]


def straight(observations: list[Observation]) -> tuple[AlertState, list[Transition]]:
    state, transitions = catch_up(AlertState(key="k", evaluated=0), observations, END)
    return state, list(transitions)


@settings(max_examples=150, deadline=None)
@given(observed(), st.lists(st.integers(0, END - 1), max_size=6))
def test_restarting_anywhere_gives_the_same_state_and_history(
    observations: list[Observation], stops: list[int]
) -> None:
    state = AlertState(key="k", evaluated=0)
    history: list[Transition] = []
    for stop in [*sorted(stops), END]:
        state, transitions = catch_up(AlertState.model_validate_json(state.model_dump_json()), observations, stop)
        history += transitions
    assert (state, history) == straight(observations)


@settings(max_examples=100, deadline=None)
@given(observed(), st.integers(0, END - 1), st.integers(0, 20))
def test_work_done_twice_after_a_crash_is_told_the_same_way(
    observations: list[Observation], stored: int, lost: int
) -> None:
    """A crash after notifying and before storing: what is told again is word for word what was told before."""
    before, _ = catch_up(AlertState(key="k", evaluated=0), observations, stored)
    _, first = catch_up(before, observations, min(stored + lost, END))
    _, second = catch_up(before, observations, END)
    assert second[: len(first)] == first


@settings(max_examples=100, deadline=None)
@given(observed())
def test_the_history_is_a_chain_and_ends_in_the_state(observations: list[Observation]) -> None:
    state, history = straight(observations)
    phase, level, open_episode = Phase.INACTIVE, None, False
    for each in history:
        assert (each.from_phase, each.from_level) == (phase, level)
        phase, level = each.phase, each.level
        if each.change is Change.FIRED:
            assert not open_episode
            open_episode = True
        if each.change is Change.RESOLVED:
            assert open_episode
            open_episode = False
        assert open_episode == (level is not None)
        assert each.reasons or each.change in (Change.RESOLVED, Change.CLEARED, Change.THAWED)
    assert (phase, level) == (state.phase, state.level)


@settings(max_examples=100, deadline=None)
@given(observed())
def test_nothing_fires_or_resolves_while_the_pipeline_is_behind(observations: list[Observation]) -> None:
    state, _ = straight(observations)
    after, transitions = evaluate(state, observations, END + 20, complete_until=END)
    assert after.level is state.level
    assert after.active == state.active
    assert {each.change for each in transitions} <= {Change.FROZEN}


@settings(max_examples=150, deadline=None)
@given(series(), GUARDS)
def test_a_silent_stream_never_resolves_what_fires(counts: Series, guard: Guard) -> None:
    """No data is not good data: what ends after the last event ends by a good one that is in a window of each pair."""
    observations = [Observation("reported", counts, Rule(TARGET, 1000, PAIRS, guard))]
    last = max((row.minute for row in counts if row.total), default=0)
    state, _ = catch_up(AlertState(key="k", evaluated=0), observations, last)
    later, transitions = catch_up(state, observations, last + 200)
    assert later.phase is Phase.FROZEN
    for each in transitions:
        if each.change in (Change.EASED, Change.RESOLVED):
            pairs = [pair for pair in PAIRS if pair.severity is each.from_level]
            assert all(counts.window(each.at, pair.long).good for pair in pairs)
