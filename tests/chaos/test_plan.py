"""The plan of a chaos run follows from its seed, and leaves time to recover."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.plan import LASTING, LEAST_SECONDS, OF, QUIET, SESSION_TIMEOUT, SETTLE, WARM_UP, Kind, plan

seeds = st.integers(0, 2**31)
lengths = st.integers(LEAST_SECONDS, 1_000)
clusters = st.sampled_from((1, 3))


@given(seeds, lengths, clusters)
def test_the_same_seed_makes_the_same_plan(seed: int, seconds: int, brokers: int) -> None:
    assert plan(seed, seconds, brokers) == plan(seed, seconds, brokers)


@given(seeds, st.integers(180, 1_000))
def test_every_kind_is_in_three_minutes(seed: int, seconds: int) -> None:
    assert {each.kind for each in plan(seed, seconds, 3)} == set(Kind)
    assert {each.kind for each in plan(seed, seconds, 1)} == set(Kind) - {Kind.LEADER_KILLED}


@given(seeds, lengths, clusters)
def test_a_plan_starts_with_load_and_ends_in_quiet(seed: int, seconds: int, brokers: int) -> None:
    for each in plan(seed, seconds, brokers):
        assert each.at >= WARM_UP
        assert each.end <= seconds - min(QUIET, seconds / 4)


@given(seeds, lengths, clusters)
def test_the_same_thing_is_not_harmed_again_before_it_has_settled(seed: int, seconds: int, brokers: int) -> None:
    faults = plan(seed, seconds, brokers)
    for thing in OF.values():
        those = [each for each in faults if OF[each.kind] == thing]
        assert all(after.at - before.end >= SETTLE - 1e-6 for before, after in pairwise(those))


@given(seeds, lengths, clusters)
def test_faults_last_as_long_as_their_kind_does(seed: int, seconds: int, brokers: int) -> None:
    for each in plan(seed, seconds, brokers):
        least, most = LASTING[each.kind]
        assert least <= each.seconds <= most


def test_a_pause_outlasts_the_session() -> None:
    assert LASTING[Kind.WORKER_PAUSED][0] > SESSION_TIMEOUT


def test_other_seeds_make_other_plans() -> None:
    assert len({tuple(plan(seed, 180, 3)) for seed in range(20)}) == 20


def test_a_run_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        plan(1, LEAST_SECONDS - 1, 3)
