"""The state of an alert: a pure function of its state before, the counts, and the minute.

One alert per objective, at one level at a time: a page hides its ticket. When the data cannot say, the alert
freezes: it neither fires nor resolves, and says why. Evaluating a minute again changes nothing, so replicas may
repeat each other and a restart loses nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pipeline.slo.alert_record import record
from pipeline.slo.alert_state import AlertState, Phase, Reason, Transition, Why
from pipeline.slo.burn import Reading, Rule, describe, read
from pipeline.slo.counts import Series
from pipeline.slo.durations import spell_minutes
from pipeline.slo.windows import Severity


@dataclass(frozen=True, slots=True)
class Observation:
    """One indicator of an objective: `reported`, or `verified`, which is mature only `lag` minutes behind."""

    name: str
    series: Series
    rule: Rule
    lag: int = 0
    coverage_floor: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Freezing:
    """When the data cannot say: low coverage, counts `max_behind` minutes old, or no events in the longest window, of
    what fires in any window.
    """

    enabled: bool = True
    max_behind: int = 10


DEFAULT_FREEZING = Freezing()


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What one observation says of one severity. `active` is None if it cannot say."""

    name: str
    severity: Severity
    active: bool | None
    pending: bool
    reasons: tuple[Reason, ...]


def evaluate(
    state: AlertState,
    observations: Sequence[Observation],
    now: int,
    *,
    complete_until: int | None = None,
    freezing: Freezing = DEFAULT_FREEZING,
) -> tuple[AlertState, tuple[Transition, ...]]:
    """The alert after the minute `now`, and what changed, oldest first.

    `complete_until` is the last minute whose counts have landed, None for all of them. A minute before the
    last evaluated one changes nothing.
    """
    if state.evaluated is not None and now < state.evaluated:
        return state, ()
    behind = 0 if complete_until is None else now - complete_until
    if freezing.enabled and behind > freezing.max_behind:
        late = f"the counts are {behind}m behind, more than {freezing.max_behind}m"
        text = late if complete_until else "a partition of the log has never been counted: does a worker read it?"
        stale = Reason(why=Why.BEHIND, text=text)
        verdicts = [verdict for each in observations for verdict in _stale(each, stale)]
        waiting = dict(state.waiting)
    else:
        waiting = {}
        verdicts = [
            verdict
            for observation in observations
            for verdict in _judge(observation, state, now, waiting, freezing.enabled)
        ]
    after, transitions = record(state, _settle(state, verdicts, now), now)
    return after.model_copy(update={"evaluated": now, "waiting": tuple(waiting.items())}), transitions


def catch_up(
    state: AlertState,
    observations: Sequence[Observation],
    now: int,
    *,
    complete_until: int | None = None,
    freezing: Freezing = DEFAULT_FREEZING,
) -> tuple[AlertState, tuple[Transition, ...]]:
    """Evaluate every minute up to `now` that has not been, so that the history does not depend on restarts.

    The last one evaluated is evaluated again, because events may have come to it since.
    """
    transitions: list[Transition] = []
    for minute in range(now if state.evaluated is None else state.evaluated, now + 1):
        state, changed = evaluate(state, observations, minute, complete_until=complete_until, freezing=freezing)
        transitions.extend(changed)
    return state, tuple(transitions)


def _judge(
    observation: Observation, state: AlertState, now: int, waiting: dict[str, int], freezes: bool
) -> Iterator[_Verdict]:
    """One verdict for each severity that the observation has pairs for.

    What fires goes on as long as some pair has nothing to judge: silence is not recovery.
    """
    readings = read(observation.series, now - observation.lag, observation.rule)
    for severity in Severity:
        mine = [reading for reading in readings if reading.pair.severity is severity]
        if not mine:
            continue
        name = f"{observation.name}/{severity}"
        unclear = _unclear(observation, mine) if freezes else None
        if unclear:
            waiting.update((pair, since) for pair, since in state.waiting if pair.startswith(name))
            yield _Verdict(name, severity, None, False, (unclear,))
            continue
        firing = [
            reading
            for at, reading in enumerate(mine)
            if _has_lasted(f"{name}/{at}", reading, now, dict(state.waiting), waiting)
            or (reading.crossed and name in state.active)
        ]
        silent = [reading for reading in mine if not reading.short.total]
        if silent and not firing and freezes and name in state.active:
            yield _Verdict(name, severity, None, False, (_nothing(observation, silent),))
            continue
        pending = [] if firing else [reading for reading in mine if reading.crossed]
        why = Why.BURNING if firing else Why.WAITING
        reasons = tuple(_reason(why, observation, reading) for reading in firing or pending)
        yield _Verdict(name, severity, bool(firing), bool(pending), reasons)


def _stale(observation: Observation, reason: Reason) -> list[_Verdict]:
    silent = [each for each in Severity if any(pair.severity is each for pair in observation.rule.pairs)]
    return [_Verdict(f"{observation.name}/{each}", each, None, False, (reason,)) for each in silent]


def _has_lasted(name: str, reading: Reading, now: int, before: dict[str, int], waiting: dict[str, int]) -> bool:
    """Whether the pair fires and has done so for its duration; `waiting` remembers since when."""
    if not reading.fires or not reading.pair.after:
        return reading.fires
    waiting[name] = before.get(name, now)
    return now - waiting[name] >= reading.pair.after


def _unclear(observation: Observation, readings: Sequence[Reading]) -> Reason | None:
    """Why these counts cannot say, if they cannot."""
    longest = max(readings, key=lambda reading: reading.pair.long)
    counts = longest.long
    if not counts.total:
        return _nothing(observation, [longest])
    floor = observation.coverage_floor
    if counts.total * floor.denominator < floor.numerator * counts.eligible:
        share = 100 * counts.total // counts.eligible
        judged = f"only {share}% of {counts.eligible} judged in {spell_minutes(longest.pair.long)}"
        text = f"{observation.name}: {judged}, floor {float(floor):.0%}"
        return Reason(why=Why.LOW_COVERAGE, text=text)
    return None


def _nothing(observation: Observation, silent: Sequence[Reading]) -> Reason:
    """That there is nothing in the windows of these pairs: neither in the long one, nor, without a guard, the short."""
    longest = max(reading.pair.short if reading.long.total else reading.pair.long for reading in silent)
    return Reason(why=Why.NO_EVENTS, text=f"{observation.name}: nothing to judge in the last {spell_minutes(longest)}")


def _reason(why: Why, observation: Observation, reading: Reading) -> Reason:
    text = f"{observation.name}: {describe(reading, observation.rule.target)}"
    if why is Why.WAITING:
        text += f"; needs {reading.required} bad events" if not reading.fires else f"; for {reading.pair.after}m"
    return Reason(why=why, text=text)


def _settle(state: AlertState, verdicts: Sequence[_Verdict], now: int) -> AlertState:
    """The state that follows from the verdicts; an observation that cannot say stays as it was."""
    active = [each for each in verdicts if each.active or (each.active is None and each.name in state.active)]
    level = next((severity for severity in Severity if any(each.severity is severity for each in active)), None)
    deciding = [each for each in active if each.severity is level] or verdicts
    unknown = [each for each in deciding if each.active is None]
    firing = [each for each in deciding if each.active]
    pending = [each for each in deciding if each.pending]
    if unknown and not firing:
        phase, why = Phase.FROZEN, unknown
    elif firing:
        phase, why = Phase.FIRING, firing
    elif pending:
        phase, why = Phase.PENDING, pending
    else:
        phase, why = (Phase.RESOLVED if state.episode else Phase.INACTIVE), []
    begins = level is not None and state.level is None
    louder = level is Severity.PAGE and state.level is Severity.TICKET
    return state.model_copy(
        update={
            "phase": phase,
            "level": level,
            "since": now,
            "reasons": tuple(dict.fromkeys(reason for each in why for reason in each.reasons)),
            "active": tuple(each.name for each in active),
            "episode": state.episode + begins,
            "fired_at": now if begins else state.fired_at if level else None,
            "acknowledged": state.acknowledged if level and not louder else None,
        }
    )
