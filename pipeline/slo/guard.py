"""How many bad events a window needs before it may fire, so that low traffic does not wake anybody for nothing.

For an agent that spends `reference_burn` of its budget, bad and good events are taken as independent Poisson
arrivals. A pair begins to fire at, or within the short window after, the arrival of a bad event. So the expected
number of alerts is at most the expected number of bad events at whose arrival the long window holds at least
`required` bad events, so few good ones that their share is above the limit, and the most recent events are bad
enough. docs/slo-defaults.md has the formula and compares it with simulated months.

The arithmetic here is floating point because it only chooses an integer; alerts compare integers.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate

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
        by_others = {
            at: _alerts_by_others(pair, target, traffic, guard)
            for at, pair in enumerate(pairs)
            if pair.severity is severity
        }
        expected = {at: _beginning(alerts, required[at]) for at, alerts in by_others.items()}
        while sum(expected.values()) > allowed:
            worst = max(expected, key=lambda at: expected[at])
            required[worst] += 1
            expected[worst] = _beginning(by_others[worst], required[worst])
    return tuple(required)


def expected_alerts(pair: Pair, target: Fraction, traffic: int, guard: Guard, required: int) -> float:
    """Upper bound of the alerts that `pair` begins per 30 days, for an agent at `guard.reference_burn`.

    `traffic` is events per 30 days. Holds while bad events come independently of each other and of the hour.
    """
    return _beginning(_alerts_by_others(pair, target, traffic, guard), required)


def _beginning(by_others: Sequence[float], required: int) -> float:
    """The alerts that begin where a bad event needs `required` - 1 others."""
    return sum(by_others[max(required - 1, 0) :])


def _alerts_by_others(pair: Pair, target: Fraction, traffic: int, guard: Guard) -> list[float]:
    """Upper bound of the alerts per 30 days, by how many other bad events the long window holds: 0, 1, 2, ..."""
    bad_rate = float((1 - target) * guard.reference_burn)
    limit = float(pair.threshold * (1 - target))
    in_window = traffic * pair.long / MINUTES_PER_MONTH
    bad_mean = in_window * bad_rate
    if bad_mean > _CROWDED or limit >= 1:
        return []
    # The newest bad event may be as old as the short window; good events from before it may have left by then.
    good_mean = in_window * (1 - bad_rate) * (1 - pair.short / pair.long)
    # With many events in the short window it is not stretched, and says nothing about the last few events.
    stretched = guard.recent and in_window * pair.short / pair.long < 1 and good_mean < _MANY_GOOD
    good_chances = _poisson_chances(good_mean) if good_mean <= _NEARLY_NORMAL else []
    at_most = list(accumulate(good_chances))
    alerts = []
    for others, chance in enumerate(_poisson_chances(bad_mean)):
        most_good = math.ceil((others + 1) * (1 / limit - 1) - 1e-9) - 1
        if stretched:
            good = sum(
                good_chance * _recent_are_bad(others, good, guard.recent, limit)
                for good, good_chance in enumerate(good_chances[: most_good + 1])
            )
        elif at_most:
            good = at_most[min(most_good, len(at_most) - 1)] if most_good >= 0 else 0.0
        else:
            good = 0.5 * math.erfc((good_mean - most_good - 0.5) / math.sqrt(2 * good_mean))
        alerts.append(traffic * bad_rate * chance * good)
    return alerts


def _recent_are_bad(others: int, good: int, recent: int, limit: float) -> float:
    """Chance that of the last `recent` events, or of all if they are fewer, a share above `limit` is bad.

    The newest of them is bad, the order of the others is random.
    """
    drawn = min(recent - 1, others + good)
    ways = math.comb(others + good, drawn)
    least_bad = math.floor((drawn + 1) * limit + 1e-9) + 1
    enough = range(max(least_bad - 1, 0), drawn + 1)
    return sum(math.comb(others, bad) * math.comb(good, drawn - bad) for bad in enough) / ways


def _poisson_chances(mean: float) -> list[float]:
    """The probabilities of 0, 1, 2, ... until what is left cannot matter. `mean` is at most a few hundred."""
    chances = [math.exp(-mean)]
    while chances[-1] > _NEGLIGIBLE or len(chances) <= mean:
        chances.append(chances[-1] * mean / len(chances))
    return chances
