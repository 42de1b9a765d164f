"""Pauses between attempts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.notify.backoff import Backoff

FIRST, LONGEST = 0.5, 30.0
BACKOFF = Backoff(FIRST, LONGEST, longest_asked=300.0)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_pause_is_between_half_of_the_whole_one_and_the_whole(attempts: int, chance: float) -> None:
    whole = min(LONGEST, FIRST * 2 ** min(attempts - 1, 100))
    assert whole / 2 <= BACKOFF.pause(attempts, lambda: chance) <= whole


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_never_shrink_with_the_same_chance(attempts: int, chance: float) -> None:
    assert BACKOFF.pause(attempts + 1, lambda: chance) >= BACKOFF.pause(attempts, lambda: chance)


@pytest.mark.parametrize(("after", "seconds"), [(None, 0), (-1.0, 0), (0.0, 0), (7.5, 7.5), (1e9, 300)])
def test_what_a_receiver_asks_for_is_given_up_to_a_limit(after: float | None, seconds: float) -> None:
    assert BACKOFF.asked(after) == seconds
