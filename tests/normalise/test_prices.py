"""The price list: the package's own reckoning is the oracle, the user's lines come first, unknown stays unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from genai_prices.data import providers
from genai_prices.types import StartDateConstraint, TimeOfDateConstraint
from genai_prices.types import Usage as PackageUsage
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import ConfigError, Settings, load
from pipeline.prices import KNOWN_FROM, PriceList, _rates, list_version, prices_of
from schemas.mapping.records import Price
from schemas.prices import PROVIDERS, cost
from schemas.units import MICRO, NANO

NOW = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp()) * MICRO
COUNTS = {"cache_read_tokens": None, "cache_write_tokens": None, "reasoning_tokens": None}
MILLION = {"input_tokens": 1_000_000, "output_tokens": 1_000_000, **COUNTS}
THOUSAND = {"input_tokens": 1_000, "output_tokens": 1_000, **COUNTS}

PRICED = [
    (provider, model, price)
    for provider in providers
    for model in provider.models
    for price in ([c.prices for c in model.prices] if isinstance(model.prices, list) else [model.prices])
    if price.input_mtok is not None and price.output_mtok is not None
]


def test_every_price_of_the_list_can_be_held() -> None:
    assert len(PRICED) > 1_500
    for _, _, price in PRICED:
        assert _rates(price).input is not None


@given(
    st.sampled_from(PRICED),
    st.integers(0, 400_000),
    st.integers(0, 100_000),
    st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100)),
)
def test_it_reckons_as_the_package_does(priced: Any, n: int, m: int, shares: tuple[int, int, int]) -> None:
    _, _, price = priced
    read = n * shares[0] // 200
    write, thought = n * shares[1] // 200, m * shares[2] // 100
    oracle = price.calc_price(
        PackageUsage(
            input_tokens=n, output_tokens=m, cache_read_tokens=read, cache_write_tokens=write,
            output_reasoning_tokens=thought,
        )
    )  # fmt: skip
    counts = {
        "input_tokens": n, "output_tokens": m, "cache_read_tokens": read, "cache_write_tokens": write,
        "reasoning_tokens": thought,
    }  # fmt: skip
    got = cost(_rates(price), counts)
    assert got is not None
    assert abs(Decimal(got) - oracle["total_price"] * NANO) <= Decimal("0.5")


def priced(provider: str, model: str, at: int = NOW, counts: Any = MILLION, **settings: Any) -> Price | None:
    return prices_of(Settings(**settings)).price(provider, model, at, counts)


def changes() -> list[tuple[str, str, int, Any, Any]]:
    """Every dated change of a price in the list: (provider, model, since, before, after)."""
    found = []
    for provider in providers:
        for model in provider.models:
            dated = model.prices if isinstance(model.prices, list) else []
            if any(isinstance(c.constraint, TimeOfDateConstraint) for c in dated):
                continue
            for before, after in pairwise(dated):
                if isinstance(after.constraint, StartDateConstraint):
                    day = datetime.combine(after.constraint.start_date, datetime.min.time(), UTC)
                    found.append((provider.id, model.id, int(day.timestamp()) * MICRO, before.prices, after.prices))
    return found


def test_a_call_has_the_price_of_its_time() -> None:
    listed, compared = PriceList(), 0
    for provider, model, since, before, after in changes():
        by_id = next(p for p in providers if p.id == provider).find_model(model)
        if since > KNOWN_FROM and by_id is not None and by_id.id == model:
            assert listed.rates(provider, model, since) == _rates(after)
            assert listed.rates(provider, model, since - 1) == _rates(before)
            compared += 1
    assert compared > 100


def test_the_off_peak_price_is_by_the_time_of_day() -> None:
    assert any(isinstance(c.constraint, TimeOfDateConstraint) for _, m, _ in PRICED if isinstance(m.prices, list)
               for c in m.prices)  # fmt: skip
    day = datetime(2026, 1, 10, tzinfo=UTC)
    hours = [int((day + timedelta(hours=h)).timestamp()) * MICRO for h in range(24)]
    assert (
        len({PriceList().rates("deepseek", "deepseek-chat", at) for at in hours[:1] + hours[12:13] + hours[20:]}) == 2
    )


def test_a_known_model_of_a_told_provider_has_a_cost() -> None:
    assert priced("openai", "gpt-4.1-mini-2025-04-14") == Price(2 * NANO, agreed=False)
    assert priced("gcp.gemini", "gemini-2.5-flash") == Price(2_800_000_000, agreed=False)
    assert priced("", "google/gemini-3-pro-preview", counts=THOUSAND) == Price(14_000_000, agreed=False)


@pytest.mark.parametrize(
    ("provider", "model", "at"),
    [
        ("", "gpt-4.1-mini", NOW),
        ("langchain", "claude-sonnet-4-5", NOW),
        ("openai", "claude-sonnet-4-5", NOW),
        ("openai", "gpt-4.1-mini-of-our-own", NOW),
        ("openai", "ft:gpt-4.1-mini:acme::1", NOW),
        ("openai", "", NOW),
        ("ibm.watsonx.ai", "granite", NOW),
        ("openai", "gpt-4.1-mini", KNOWN_FROM - 1),
    ],
    ids=["untold", "a framework", "of another", "unknown", "fine-tuned", "no model", "not listed", "old"],
)  # fmt: skip
def test_what_the_list_does_not_say_is_unknown(provider: str, model: str, at: int) -> None:
    assert priced(provider, model, at) is None


def test_every_provider_that_is_known_by_name_is_in_the_list() -> None:
    assert set(PROVIDERS.values()) <= {provider.id for provider in providers}


OWN = {"provider": "openai", "model": "gpt-4.1*", "input": 1, "output": 1, "valid_from": "2026-01-01"}


def test_the_users_own_price_wins_from_its_first_day_on() -> None:
    first = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * MICRO
    assert priced("openai", "gpt-4.1-mini", first, prices=[OWN]) == Price(2 * NANO, agreed=True)
    assert priced("openai", "gpt-4.1-mini", first - 1, prices=[OWN]) == Price(2 * NANO, agreed=False)
    assert priced("azure.ai.openai", "gpt-4.1-mini", first, prices=[OWN]) == Price(2 * NANO, agreed=False)


def test_a_house_model_needs_no_provider() -> None:
    house = {"model": "House-7B", "input": "0.1", "output": 0.2}
    assert priced("", "house-7b", 0, prices=[house]) == Price(300_000_000, agreed=True)
    assert priced("vllm", "house-7b", 0, prices=[house]) == Price(300_000_000, agreed=True)


def test_an_alias_says_what_a_deployment_is() -> None:
    aliases = {"deployment-7": "azure/gpt-4.1-mini"}
    assert priced("", "deployment-7", model_aliases=aliases) == Price(2 * NANO, agreed=False)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("prices: [{model: m, input: -1, output: 1}]", "not below 0"),
        ("prices: [{model: m, input: 0.00000000001, output: 1}]", "at most 9 decimals"),
        ("prices: [{model: m, input: 1}]", "output"),
        ("prices: [{model: m, input: 1, output: 1, valid_from: soon}]", "valid_from"),
        ("model_aliases: {deployment-7: gpt-4o}", "write provider/model"),
        ("feedback: {csat: {low: 5, high: 1}}", "must be below high"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(tmp_path: Any, text: str, what: str) -> None:
    file = tmp_path / "trueup.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=what):
        load(file)


def test_names_from_outside_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.prices.MODELS_HELD", 10)
    listed = PriceList()
    for n in range(100):
        assert listed.rates("openai", f"no-model-{n}", NOW) is None
    assert len(listed._models) <= 10
    assert listed.rates("openai", "gpt-4.1", NOW) is not None


def test_without_the_package_a_cost_is_unknown_and_own_prices_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.prices.find_spec", lambda _: None)
    assert list_version() == ""
    assert priced("openai", "gpt-4.1") is None
    assert priced("openai", "gpt-4.1", prices=[OWN]) == Price(2 * NANO, agreed=True)
