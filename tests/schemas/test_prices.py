"""What a model call costs: exact, by the price of its time, and unknown where anything is missing."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.prices import LARGEST_COST, OwnPrice, OwnPrices, Rate, Rates, cost, per_token, provider_of
from schemas.units import NANO, OutOfRange


def usd(amount: str) -> Rate:
    return Rate(per_token(Decimal(amount)))


def usage(tokens_in: int | None, tokens_out: int | None, read: int = 0, write: int = 0, thought: int = 0) -> dict:
    return {
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "cache_read_tokens": read,
        "cache_write_tokens": write,
        "reasoning_tokens": thought,
    }


SIMPLE = Rates(usd("2"), usd("8"))
FULL = Rates(usd("3"), usd("15"), usd("0.3"), usd("3.75"), usd("20"), request=5 * NANO)


@pytest.mark.parametrize(
    ("rates", "counts", "nano"),
    [
        (SIMPLE, usage(1_000_000, 1_000_000), 10 * NANO),
        (SIMPLE, usage(1, 0), 2_000),
        (SIMPLE, usage(0, 0), 0),
        (SIMPLE, usage(10, 10, read=4, write=3, thought=9), 100_000),
        (
            FULL,
            usage(10, 10, read=4, write=3, thought=9),
            5_000 + 4 * 300 + 3 * 3_750 + 3 * 3_000 + 9 * 20_000 + 15_000,
        ),
    ],
    ids=["a million", "one", "none", "parts without a price of their own", "parts with their own"],
)
def test_cached_and_reasoning_tokens_are_parts_of_the_whole(rates: Rates, counts: dict, nano: int) -> None:
    assert cost(rates, counts) == nano


@pytest.mark.parametrize(
    ("rates", "counts"),
    [
        (SIMPLE, usage(None, 1)),
        (SIMPLE, usage(1, None)),
        (Rates(usd("2"), None), usage(1, 1)),
        (Rates(None, usd("2")), usage(1, 1)),
        (Rates(None, usd("2"), usd("1")), usage(2, 1, read=1)),
        (SIMPLE, usage(10, 1, read=6, write=5)),
        (FULL, usage(10, 1, read=11)),
        (FULL, usage(10, 1, thought=2)),
        (SIMPLE, usage(2**53, 2**53)),
    ],
    ids=[
        "input not told", "output not told", "no price of output", "no price of input", "no price of the rest",
        "parts above the whole", "a part above the whole", "more reasoning than output", "more than an event can hold",
    ],
)  # fmt: skip
def test_what_cannot_be_known_is_unknown_not_0(rates: Rates, counts: dict) -> None:
    assert cost(rates, counts) is None


def test_a_free_model_costs_nothing() -> None:
    assert cost(Rates(usd("0"), usd("0")), usage(5, 5)) == 0
    assert cost(Rates(usd("2"), None), usage(5, 0)) == 10_000


def test_above_a_step_all_tokens_have_its_price() -> None:
    rates = Rates(Rate(per_token(Decimal(1)), ((200, per_token(Decimal(2))), (400, per_token(Decimal(3))))), usd("0"))
    assert [cost(rates, usage(n, 0)) for n in (200, 201, 400, 401)] == [200_000, 402_000, 800_000, 1_203_000]


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.decimals(0, 2_000, places=9), st.decimals(0, 2_000, places=9))
def test_it_is_the_exact_sum_rounded_half_to_even(n: int, m: int, given_rate: Decimal, answered_rate: Decimal) -> None:
    exact = (Fraction(given_rate) * n + Fraction(answered_rate) * m) * NANO / 1_000_000
    rates = Rates(Rate(per_token(given_rate)), Rate(per_token(answered_rate)))
    rounded = int((Decimal(exact.numerator) / Decimal(exact.denominator)).to_integral_value(ROUND_HALF_EVEN))
    assert cost(rates, usage(n, m)) == (rounded if exact <= LARGEST_COST else None) == round(exact)


@pytest.mark.parametrize("price", ["-1", "0.0000000001", "NaN", "Infinity"])
def test_a_price_that_cannot_be_held_exactly_is_refused(price: str) -> None:
    with pytest.raises(OutOfRange, match="at most 9 decimals"):
        per_token(Decimal(price))


# --- a user's own list ---------------------------------------------------------------------------


def test_the_most_specific_line_in_force_decides() -> None:
    old, new, family, anywhere, of_provider = (Rates(usd(str(n)), None) for n in range(1, 6))
    own = OwnPrices(
        [
            OwnPrice("", "gpt-4.1*", 0, family),
            OwnPrice("", "gpt-4.1-mini", 0, anywhere),
            OwnPrice("openai", "gpt-4.1", 100, old),
            OwnPrice("openai", "gpt-4.1", 200, new),
            OwnPrice("azure", "gpt-4.1-mini", 0, of_provider),
        ]
    )
    assert own.rates("openai", "gpt-4.1", 99) is family
    assert own.rates("openai", "gpt-4.1", 100) is own.rates("openai", "gpt-4.1", 199) is old
    assert own.rates("openai", "gpt-4.1", 200) is new
    assert own.rates("", "gpt-4.1", 200) is family
    assert own.rates("openai", "gpt-4.1-mini", 0) is own.rates("", "gpt-4.1-mini", 0) is anywhere
    assert own.rates("azure", "gpt-4.1-mini", 0) is of_provider
    assert own.rates("openai", "gpt-4", 200) is None


@pytest.mark.parametrize(
    ("provider", "model", "found"),
    [
        ("openai", "GPT-4.1", ("openai", "gpt-4.1")),
        ("gcp.vertex_ai", "gemini-3-pro", ("google", "gemini-3-pro")),
        ("", "google/gemini-3-pro-preview", ("google", "gemini-3-pro-preview")),
        ("langchain", "anthropic/claude-sonnet-4-5", ("anthropic", "claude-sonnet-4-5")),
        ("openrouter", "google/gemini-3-pro-preview", ("openrouter", "google/gemini-3-pro-preview")),
        ("openai", "Qwen/Qwen3-Coder", ("openai", "qwen/qwen3-coder")),
        ("", "gpt-4.1", ("", "gpt-4.1")),
        ("langchain", "gpt-4.1", ("langchain", "gpt-4.1")),
        ("", "acme/house-model", ("", "acme/house-model")),
        ("strands-agents", "deployment-7", ("azure", "gpt-4o")),
        ("openai", "deployment-7", ("azure", "gpt-4o")),
    ],
)
def test_the_provider_is_told_by_alias_attribute_or_head_of_the_name(
    provider: str, model: str, found: tuple[str, str]
) -> None:
    assert provider_of(provider, model, {"deployment-7": "azure/gpt-4o"}) == found
