"""What a model call costs, from its tokens and a price list. Exact integer arithmetic, no float."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from schemas.units import NANO, OutOfRange

Usage = Mapping[str, int | None]
"""`input_tokens` (cached ones included), `output_tokens` (reasoning included), and the parts of these:
`cache_read_tokens`, `cache_write_tokens`, `reasoning_tokens`. None: not told."""

_FEMTO_PER_NANO: Final = 10**6
LARGEST_COST: Final = NANO * NANO
"""Nano-dollars: what an event can hold. A cost beyond comes of broken token counts and is unknown."""


class Rate(NamedTuple):
    """Femto-dollars (10^-15 USD) per token."""

    base: int
    steps: tuple[tuple[int, int], ...] = ()
    """(input tokens, rate): in a call with more input than this, the rate of all its tokens. Ascending."""

    def of(self, input_tokens: int) -> int:
        """The rate in a call with this much input."""
        rate = self.base
        for start, above in self.steps:
            if input_tokens > start:
                rate = above
        return rate


class Rates(NamedTuple):
    """What a model costs. None: the list does not say; a part without a rate of its own costs what the whole does."""

    input: Rate | None
    output: Rate | None
    cache_read: Rate | None = None
    cache_write: Rate | None = None
    reasoning: Rate | None = None
    request: int = 0
    """Femto-dollars for each call, whatever its size."""


def per_token(usd_per_million: Decimal) -> int:
    """Femto-dollars per token. Raises OutOfRange below 0, and for what a whole number of them cannot say."""
    femto = usd_per_million * NANO
    if not femto.is_finite() or femto < 0 or femto != femto.to_integral_value():
        raise OutOfRange(f"{usd_per_million} USD per million tokens: a price has at most 9 decimals and is not below 0")
    return int(femto)


def cost(rates: Rates, usage: Usage) -> int | None:
    """Nano-dollars of a call, rounded half to even; None where a count or a rate is missing, or the counts disagree."""
    whole, answer = usage["input_tokens"], usage["output_tokens"]
    if whole is None or answer is None:
        return None
    read, write, thought = usage["cache_read_tokens"], usage["cache_write_tokens"], usage["reasoning_tokens"]
    asked = _side(whole, whole, rates.input, (read, rates.cache_read), (write, rates.cache_write))
    answered = _side(answer, whole, rates.output, (thought, rates.reasoning))
    if asked is None or answered is None:
        return None
    nano, rest = divmod(asked + answered + rates.request, _FEMTO_PER_NANO)
    if rest * 2 > _FEMTO_PER_NANO or (rest * 2 == _FEMTO_PER_NANO and nano % 2):
        nano += 1
    return nano if nano <= LARGEST_COST else None


def _side(tokens: int, size: int, rate: Rate | None, *parts: tuple[int | None, Rate | None]) -> int | None:
    """Femto-dollars of the input or of the output of a call with `size` input tokens."""
    if sum(count or 0 for count, _ in parts) > tokens:
        return None  # somebody counts without the cached tokens
    total = 0
    for count, own in parts:
        if count and own is not None:
            tokens -= count
            total += own.of(size) * count
    if rate is None:
        return None if tokens else total
    return total + rate.of(size) * tokens


# --- a user's own prices -------------------------------------------------------------------------


class OwnPrice(NamedTuple):
    """A line of a user's price list."""

    provider: str
    """"" for any, and for calls that name none."""
    model: str
    """As the telemetry has it; `*` at its end stands for anything."""
    valid_from: int
    """Microseconds since the epoch."""
    rates: Rates


class OwnPrices:
    """Finds a user's own price: of the lines that fit, the most specific model, then the latest one in force."""

    def __init__(self, prices: Iterable[OwnPrice] = ()) -> None:
        self._prices = sorted(prices, key=_precedence, reverse=True)

    def rates(self, provider: str, model: str, at: int) -> Rates | None:
        """The rates of a call at `at` (µs) of a `provider` as `provider_of` names it; None: the list does not say."""
        for price in self._prices:
            if price.valid_from <= at and price.provider in ("", provider) and _fits(price.model, model):
                return price.rates
        return None


def _precedence(price: OwnPrice) -> tuple[bool, int, bool, int]:
    return not price.model.endswith("*"), len(price.model), bool(price.provider), price.valid_from


def _fits(pattern: str, model: str) -> bool:
    return model.startswith(pattern[:-1]) if pattern.endswith("*") else model == pattern


# --- who answers ---------------------------------------------------------------------------------

PROVIDERS: Final = {
    # OpenTelemetry GenAI, well-known values of gen_ai.provider.name and, before 1.37, of gen_ai.system
    "anthropic": "anthropic",
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "gemini": "google",
    "vertex_ai": "google",
    "groq": "groq",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "openai": "openai",
    "perplexity": "perplexity",
    "x_ai": "x-ai",
    "xai": "x-ai",
    # OpenInference, values of llm.provider and llm.system
    "aws": "aws",
    "azure": "azure",
    "google": "google",
    "mistralai": "mistral",
    "vertexai": "google",
    # LiteLLM, the head of `provider/model`
    "bedrock": "aws",
    "cerebras": "cerebras",
    "cloudflare": "cloudflare",
    "databricks": "databricks",
    "fireworks_ai": "fireworks",
    "mistral": "mistral",
    "moonshot": "moonshotai",
    "novita": "novita",
    "openrouter": "openrouter",
    "ovhcloud": "ovhcloud",
    "together_ai": "together",
    "voyage": "voyageai",
    "x-ai": "x-ai",
    "zai": "zai",
    # Pydantic AI
    "fireworks": "fireworks",
    "google-gla": "google",
    "google-vertex": "google",
    "moonshotai": "moonshotai",
    "together": "together",
}
"""Who sends the bill, by the names that conventions and libraries give them. A framework's name is none."""


def provider_of(provider: str, model: str, aliases: Mapping[str, str]) -> tuple[str, str]:
    """(provider, model) to look prices up with, in lower case; "" for a provider that is not told.

    The user's alias of the model tells it (`openai/gpt-4.1`), else an attribute, else the head of the model's name.
    """
    alias = aliases.get(model)
    if alias is not None:
        provider, model = "", alias
    known = PROVIDERS.get(provider.lower(), "")
    if not known and "/" in model:
        head, tail = model.split("/", 1)
        if head.lower() in PROVIDERS:
            return PROVIDERS[head.lower()], tail.lower()
    return known or provider.lower(), model.lower()
