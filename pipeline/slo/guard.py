"""How many bad events a window needs before it may fire, so that low traffic does not wake anybody for nothing.

For an agent that spends `reference_burn` of its budget, bad and good events are taken as independent Poisson
arrivals. A pair begins to fire at, or within the short window after, the arrival of a bad event. So the expected
number of alerts is at most the expected number of bad events at whose arrival the long window holds at least
`required` bad events, so few good ones that their share is above the limit, and the most recent events are bad
enough. docs/slo-defaults.md has the formula and compares it with simulated months.

The arithmetic here is floating point because it only chooses an integer; alerts compare integers.
"""

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

from pipeline.slo.durations import MINUTES_PER_MONTH
from pipeline.slo.windows import Guard, Pair

# With this many bad events expected in the window, twice as many are out of reach of chance.
_CROWDED = 60.0
_MANY_GOOD = 60.0
_NEARLY_NORMAL = 300.0
_NEGLIGIBLE = 1e-14


def traffic_per_month(events: int, minutes: int) -> int:
    """Events per 30 days at the rate of `events` in `minutes`, to two significant digits so that it seldom moves."""
    if not events:
        return 0
    exact = -(-events * MINUTES_PER_MONTH // max(minutes, 1))
    unit: int = 10 ** max(len(str(exact)) - 2, 0)
    return -(-exact // unit) * unit


@lru_cache(maxsize=65536)
def required_bad(pairs: tuple[Pair, ...], target: Fraction, traffic: int, guard: Guard) -> tuple[int, ...]:
    """For each pair, how many bad events its long window must hold before it may begin to fire.

    Starts at `guard.min_bad` everywhere and raises the pair that expects the most false alerts, until all pairs
    of a severity together expect no more than the guard allows per 30 days.
    """
    required = [guard.min_bad] * len(pairs)
    for severity, allowed in guard.false_alerts:
        expected = {
            at: expected_alerts(pair, target, traffic, guard, required[at])
            for at, pair in enumerate(pairs)
            if pair.severity is severity
        }
        while sum(expected.values()) > allowed:
            worst = max(expected, key=lambda at: expected[at])
            required[worst] += 1
            expected[worst] = expected_alerts(pairs[worst], target, traffic, guard, required[worst])
    return tuple(required)


def expected_alerts(pair: Pair, target: Fraction, traffic: int, guard: Guard, required: int) -> float:
    """Upper bound of the alerts that `pair` begins per 30 days, for an agent at `guard.reference_burn`.

    `traffic` is events per 30 days. Holds while bad events come independently of each other and of the hour.
    """
    bad_rate = float((1 - target) * guard.reference_burn)
    limit = float(pair.threshold * (1 - target))
    in_window = traffic * pair.long / MINUTES_PER_MONTH
    bad_mean = in_window * bad_rate
    if bad_mean > _CROWDED or limit >= 1:
        return 0.0
    # The newest bad event may be as old as the short window; good events from before it may have left by then.
    good_mean = in_window * (1 - bad_rate) * (1 - pair.short / pair.long)
    # With many events in the short window it is not stretched, and says nothing about the last few events.
    stretched = guard.recent and in_window * pair.short / pair.long < 1 and good_mean < _MANY_GOOD
    least_bad = math.floor(guard.recent * limit + 1e-9) + 1
    good_chances = _poisson_chances(good_mean) if stretched else []
    per_arrival = 0.0
    for others, chance in _poisson_tail(max(required - 1, 0), bad_mean):
        most_good = math.ceil((others + 1) * (1 / limit - 1) - 1e-9) - 1
        if not stretched:
            per_arrival += chance * _poisson_at_most(most_good, good_mean)
            continue
        per_arrival += chance * sum(
            good_chance * _recent_are_bad(others, good, guard.recent, least_bad)
            for good, good_chance in enumerate(good_chances[: most_good + 1])
        )
    return traffic * bad_rate * per_arrival


def _recent_are_bad(others: int, good: int, recent: int, least_bad: int) -> float:
    """Chance that the last `recent` events, the newest of them bad, hold `least_bad` bad ones, in random order."""
    drawn = min(recent - 1, others + good)
    ways = math.comb(others + good, drawn)
    enough = range(max(least_bad - 1, 0), drawn + 1)
    return sum(math.comb(others, bad) * math.comb(good, drawn - bad) for bad in enough) / ways


def _poisson_tail(first: int, mean: float) -> Iterator[tuple[int, float]]:
    """(count, probability) from `first` on, until what is left cannot matter."""
    count = first
    while (chance := _poisson(count, mean)) > _NEGLIGIBLE or count < mean:
        yield count, chance
        count += 1


def _poisson_chances(mean: float) -> list[float]:
    """The probabilities of 0, 1, 2, ... until what is left cannot matter."""
    return [chance for _, chance in _poisson_tail(0, mean)]


def _poisson_at_most(count: int, mean: float) -> float:
    if mean > _NEARLY_NORMAL:
        return 0.5 * math.erfc((mean - count - 0.5) / math.sqrt(2 * mean))
    return sum(_poisson_chances(mean)[: count + 1])


def _poisson(count: int, mean: float) -> float:
    if mean == 0:
        return float(count == 0)
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
