"""The prices in force: the user's own, and the dated list of the `genai-prices` package
(docs/decisions/0005-prices.md). It is data that the package brings; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from typing import Any, Final

from pipeline.config import OwnPriceSettings, Settings
from schemas.mapping.records import Price
from schemas.prices import OwnPrice, OwnPrices, Rate, Rates, Usage, cost, per_token, provider_of
from schemas.units import MICRO

PACKAGE: Final = "genai-prices"
KNOWN_FROM: Final = int(datetime(2025, 6, 1, tzinfo=UTC).timestamp()) * MICRO
"""The list records changes of prices since then. For a call before, it would give a later price, so it is not asked."""
MODELS_HELD: Final = 10_000


def list_version() -> str:
    """The version of the price list; empty where it is not installed."""
    return metadata.version(PACKAGE) if find_spec("genai_prices") else ""


class PriceList:
    """The list of the package. It is read when the first price is asked for: that takes half a second and 35 MB."""

    def __init__(self) -> None:
        self._installed = bool(list_version())
        self._models: dict[tuple[str, str], Any] = {}
        self._rates: dict[int, Rates] = {}

    def rates(self, provider: str, model: str, at: int) -> Rates | None:
        """The rates of a call at `at` (µs); None where the list does not say."""
        if not provider or not model or at < KNOWN_FROM or not self._installed:
            return None
        found = self._found(provider, model)
        if found is None or isinstance(found, Rates):
            return found
        price = found.get_prices(datetime.fromtimestamp(at / MICRO, UTC))
        key = id(price)  # it lives as long as the list
        if key not in self._rates:
            self._rates[key] = _rates(price)
        return self._rates[key]

    def _found(self, provider: str, model: str) -> Any:
        """The rates of a model; the package's description of it where they change with time; None: not in the list."""
        key = (provider, model)
        if key not in self._models:
            if len(self._models) >= MODELS_HELD:
                self._models.clear()  # names come from outside
            held = self._providers.get(provider)
            found = held.find_model(model, all_providers=list(self._providers.values())) if held else None
            changes = found is not None and isinstance(found.prices, list)
            self._models[key] = found if found is None or changes else _rates(found.prices)
        return self._models[key]

    @cached_property
    def _providers(self) -> dict[str, Any]:
        from genai_prices.data import providers

        return {provider.id: provider for provider in providers}


def _rates(price: Any) -> Rates:
    """What the list says of tokens. Audio, images and searches are not told apart in telemetry of today."""
    return Rates(
        _rate(price.input_mtok),
        _rate(price.output_mtok),
        _rate(price.cache_read_mtok),
        _rate(price.cache_write_mtok),
        _rate(price.output_reasoning_mtok),
        _femto(price.requests_kcount * 1000) if price.requests_kcount else 0,
    )


def _rate(price: Any) -> Rate | None:
    if price is None:
        return None
    steps = getattr(price, "tiers", ())
    return Rate(_femto(getattr(price, "base", price)), tuple((step.start, _femto(step.price)) for step in steps))


def _femto(price: Decimal) -> int:
    """A few prices of the list have the noise of a float in the 17th digit."""
    return per_token(round(price, 9))


class PricesInForce:
    """The user's own prices first, then the list. Implements `schemas.mapping.records.Prices`."""

    def __init__(self, own: OwnPrices, aliases: Mapping[str, str], listed: PriceList) -> None:
        self._own, self._aliases, self._list = own, aliases, listed

    def price(self, provider: str, model: str, at: int, usage: Usage) -> Price | None:
        """What a call at `at` (µs) cost; None: not known."""
        provider, model = provider_of(provider, model, self._aliases)
        rates = self._own.rates(provider, model, at)
        agreed = rates is not None
        if rates is None:
            rates = self._list.rates(provider, model, at)
        nano = None if rates is None else cost(rates, usage)
        return None if nano is None else Price(nano, agreed)


def prices_of(settings: Settings) -> PricesInForce:
    """The prices that a configuration puts in force."""
    own = OwnPrices(_own_price(price) for price in settings.prices)
    return PricesInForce(own, settings.model_aliases, PriceList())


def _own_price(price: OwnPriceSettings) -> OwnPrice:
    provider, model = provider_of(price.provider, price.model, {})
    start = datetime.combine(price.valid_from, time(), UTC).timestamp() if price.valid_from else 0
    prices = (price.input, price.output, price.cache_read, price.cache_write, price.reasoning)
    given, answered, read, written, thought = (None if usd is None else Rate(per_token(usd)) for usd in prices)
    return OwnPrice(provider, model, int(start) * MICRO, Rates(given, answered, read, written, thought))
