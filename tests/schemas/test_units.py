"""Exact units: conversions that round once or refuse, and buckets that are the same everywhere."""

from __future__ import annotations

import itertools
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.units import MICRO, NANO, OutOfRange, bucket, bucket_bounds, millionths, nano_dollars, quantile, weight


@given(nano=st.integers(0, 10**18))
def test_money_written_as_text_is_exact(nano: int) -> None:
    assert nano_dollars(f"{nano // NANO}.{nano % NANO:09}") == nano


@given(usd=st.floats(0, 1e6))
def test_money_written_as_a_float_is_within_the_rounding_of_floats(usd: float) -> None:
    exact = (Decimal(usd) * NANO).to_integral_value(ROUND_HALF_EVEN)
    assert abs(nano_dollars(usd) - exact) <= max(1, exact * Decimal(2) ** -52)


@pytest.mark.parametrize(
    ("usd", "nano"), [(0, 0), (0.1, 10**8), ("2.5e-9", 2), ("3.5e-9", 4), ("1e-30", 0), (10**9, 10**18), (" 1 ", NANO)]
)
def test_money_is_rounded_to_the_nearest_even_nano_dollar(usd: float | str, nano: int) -> None:
    assert nano_dollars(usd) == nano


@pytest.mark.parametrize(
    "usd",
    [
        float("nan"),
        float("inf"),
        -0.01,
        1e9 + 1,
        "NaN",
        "sNaN",
        "-Infinity",
        "-1",
        "1e10",
        "",
        "ten",
        True,
        None,
        [1],
        b"1",
    ],
)
def test_what_is_no_sum_of_money_is_refused(usd: object) -> None:
    with pytest.raises(OutOfRange):
        nano_dollars(usd)  # type: ignore[arg-type]


@given(value=st.integers(-(10**12), 10**12))
def test_millionths_written_as_text_are_exact(value: int) -> None:
    assert millionths(str(Decimal(value) / MICRO), -1_000_000, 1_000_000) == value


def test_a_weight_is_one_over_the_probability() -> None:
    assert [weight(p) for p in (MICRO, MICRO // 2, 50_000, 100)] == [MICRO, 2 * MICRO, 20 * MICRO, 10_000 * MICRO]
    assert weight(333_333) == 3_000_003


@given(value=st.integers(0, 2**60))
def test_a_value_lies_in_its_bucket_and_the_bucket_is_narrow(value: int) -> None:
    low, high = bucket_bounds(bucket(value))
    assert low <= value <= high
    assert high - low <= low / 64


def test_buckets_follow_each_other_without_gap() -> None:
    bounds = [bucket_bounds(index) for index in range(2_000)]
    assert bounds[0] == (0, 0)
    assert all(high + 1 == low for (_, high), (low, _) in itertools.pairwise(bounds))


@given(values=st.lists(st.integers(0, 10**9), min_size=1), q=st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_within_a_bucket_of_the_value_of_that_rank(values: list[int], q: float) -> None:
    histogram: dict[int, int] = {}
    for value in values:
        histogram[bucket(value)] = histogram.get(bucket(value), 0) + 1
    rank = max(1, -(-int(q * 100) * len(values) // 100))
    exact = sorted(values)[rank - 1]
    found = quantile(histogram, q)
    assert found is not None
    assert bucket(found) == bucket(exact)


def test_nothing_has_no_quantile() -> None:
    assert quantile({}, 0.5) is None
