"""The metrics, from counts. A rate has a numerator, a denominator and a 95% Wilson interval; of nothing it is None.

Sampled verdicts count with their weight, one over the probability of having been chosen; their
interval is Wilson's on Kish's effective sample size, the square of the summed weights over the sum of
their squares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from schemas.units import MICRO, NANO, quantile
from sinks.clickhouse.actions import Actions
from sinks.clickhouse.reads import Counted

Z95 = 1.959963984540054
"""The 97.5% quantile of the standard normal distribution."""


def wilson(successes: float, n: float, z: float = Z95) -> tuple[float, float] | None:
    """Wilson's score interval of `successes` out of `n`; None where n is 0. Source: Wilson 1927, JASA 22."""
    if n <= 0:
        return None
    p, square = successes / n, z * z
    centre = (p + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * math.sqrt(p * (1 - p) / n + square / (4 * n * n))
    return (0.0 if successes <= 0 else max(0.0, centre - half)), (1.0 if successes >= n else min(1.0, centre + half))


@dataclass(frozen=True)
class Rate:
    """`numerator` out of `denominator`, sums of counts."""

    name: str
    numerator: tuple[str, ...]
    denominator: tuple[str, ...]
    meaning: str


RATES = (
    Rate("completion_rate", ("claimed_success",), ("tasks_finished", "tasks_abandoned"), "claimed success"),
    Rate("verification_coverage", ("verdict_known",), ("tasks_finished",), "with a verdict"),
    Rate("override_rate", ("overridden",), ("tasks_finished",), "overridden by a human"),
    Rate("escalation_rate", ("escalated",), ("tasks_finished",), "handed over by the agent itself"),
    Rate("cost_coverage", ("cost_known",), ("tasks_finished",), "with a known cost"),
    Rate("complaint_rate", ("complaints",), ("tasks_finished",), "with a complaint"),
    Rate("feedback_coverage", ("answered",), ("tasks_finished",), "with feedback"),
    Rate("action_error_rate", ("action_errors",), ("actions",), "actions that failed"),
)


@dataclass(frozen=True)
class Weighted:
    """A rate over verdicts: weights in millionths, `square` the sum of their squares."""

    name: str
    numerator: str
    denominator: str
    minus: str | None
    square: str
    square_minus: str | None
    meaning: str


WEIGHTED = (
    Weighted(
        "verified_success_rate", "weight_success", "weight_known", None,
        "weight_squared_known", None, "verdict success, of those with a verdict",
    ),
    Weighted(
        "discrepancy_rate", "weight_discrepancies", "weight_claimed_success_known", None,
        "weight_squared_claimed_success_known", None, "verdict failure, of those that claimed success and have one",
    ),
    Weighted(
        "underclaim_rate", "weight_underclaims", "weight_known", "weight_claimed_success_known",
        "weight_squared_known", "weight_squared_claimed_success_known",
        "verdict success, of those that claimed something else and have one",
    ),
)  # fmt: skip

Metric = dict[str, Any]


def metrics(counted: Counted) -> dict[str, Metric]:
    """Every metric of a group of tasks."""
    counts = counted.counts
    found = {rate.name: _rate(rate, counts) for rate in RATES}
    found |= {rate.name: _weighted(rate, counts) for rate in WEIGHTED}
    found["cost_per_task"] = _money(counts["cost_nano"], counts["cost_known"]) | {
        "by_category": {
            category: _money(counts[f"cost_{category}_nano"], counts["cost_known"])["value"]
            for category in ("model", "tool", "human", "engineering", "operations")
        }
    }
    found["cost_per_verified_success"] = _money(counts["cost_of_verified_nano"], counts["verdict_success_cost_known"])
    found["satisfaction"] = mean(counts["satisfaction_micro"], counts["satisfaction_known"])
    found["cycle_time"] = _times(counted.cycle_us)
    found["action_latency"] = _times(counted.latency_us)
    found["quality_score"] = {
        "by_evaluator": {name: mean(total, n) for name, (n, total) in sorted(counted.scores.items())}
    }
    return found


def action_metrics(group: Actions) -> dict[str, Metric]:
    """Every metric of a group of actions. Errors are a share of all actions of the group, of a class of errors too."""
    counts, known = group.counts, group.counts["usage_known"]
    return {
        "action_error_rate": interval(counts["action_errors"], group.of_actions, group.of_actions),
        "action_latency": _times(group.latency_us),
        "usage_coverage": interval(known, counts["model_uses"], counts["model_uses"]),
        "input_tokens_per_action": _per(counts["input_tokens"], known),
        "output_tokens_per_action": _per(counts["output_tokens"], known),
    }


def _rate(rate: Rate, counts: dict[str, int]) -> Metric:
    numerator = sum(counts[name] for name in rate.numerator)
    denominator = sum(counts[name] for name in rate.denominator)
    return interval(numerator, denominator, denominator)


def _weighted(rate: Weighted, counts: dict[str, int]) -> Metric:
    numerator = counts[rate.numerator]
    denominator = counts[rate.denominator] - (counts[rate.minus] if rate.minus else 0)
    square = counts[rate.square] - (counts[rate.square_minus] if rate.square_minus else 0)
    effective = denominator * denominator / square if square else 0.0
    return interval(_plain(numerator), _plain(denominator), effective)


def interval(numerator: float, denominator: float, effective: float) -> Metric:
    """A rate with its interval on `effective` independent observations."""
    if denominator <= 0:
        return {"value": None, "numerator": numerator, "denominator": denominator, "low": None, "high": None}
    value = numerator / denominator
    bounds = wilson(value * effective, effective) or (None, None)
    return {"value": value, "numerator": numerator, "denominator": denominator, "low": bounds[0], "high": bounds[1]}


def _plain(millionths: int) -> float:
    """Millionths as a number, an integer where it is one."""
    return millionths // MICRO if millionths % MICRO == 0 else millionths / MICRO


def _money(nano: int, n: int) -> Metric:
    value = f"{Decimal(nano) / NANO / n:.9f}" if n else None
    return {"value": value, "numerator": usd(nano), "denominator": n}


def mean(micro: int, n: int) -> Metric:
    """The mean of `n` values that add up to so many millionths."""
    return {"value": micro / MICRO / n if n else None, "numerator": _plain(micro), "denominator": n}


def _per(total: int, n: int) -> Metric:
    return {"value": total / n if n else None, "numerator": total, "denominator": n}


def _times(histogram: dict[int, int]) -> Metric:
    """Quantiles in seconds of a histogram of microseconds; each within 1/128 of the true value."""
    points = {f"p{q}": quantile(histogram, q / 100) for q in (50, 95, 99)}
    seconds = {name: None if us is None else us / MICRO for name, us in points.items()}
    return {**seconds, "denominator": sum(histogram.values())}


def usd(nano: int) -> str:
    """Nano-dollars as US dollars, exactly."""
    return f"{nano // NANO}.{nano % NANO:09}"
