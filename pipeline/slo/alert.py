"""The state of an alert: a pure function of its state before, the counts, and the minute.

One alert per objective, at one level at a time: a page hides its ticket. When the data cannot say, the alert
freezes: it neither fires nor resolves, and says why. Evaluating a minute again changes nothing, so replicas may
repeat each other and a restart loses nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pipeline.slo.alert_state import (
    NOTIFIED,
    Acknowledgement,
    AlertState,
    Change,
    Phase,
    Reason,
    Silence,
    Transition,
    Why,
)
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
    """When the data cannot say: no events in the longest window, low coverage, or counts `max_behind` minutes old."""

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
    after = _settle(state, verdicts, now)
    unsilenced = state.silence is not None and state.silence.until <= now
    if unsilenced:
        after = after.model_copy(update={"silence": None})
    transitions = []
    change = _change(state, after)
    if change is None:
        after = after.model_copy(update={"since": state.since, "reasons": state.reasons})
    else:
        transitions.append(Transition.between(state, after, change, now, change in NOTIFIED and after.silence is None))
    if unsilenced:
        still_unheard = change is None and after.level is not None
        transitions.append(_by_person(after, Change.UNSILENCED, now, "the silence has ended", notifies=still_unheard))
    return after.model_copy(update={"evaluated": now, "waiting": tuple(waiting.items())}), tuple(transitions)


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


def acknowledge(state: AlertState, by: str, now: int, comment: str = "") -> tuple[AlertState, Transition]:
    """Someone has taken the alert. Ends when it resolves, or when a ticket becomes a page.

    Raises:
        ValueError: nothing is firing.
    """
    if state.level is None:
        raise ValueError(f"{state.key} is not firing: there is nothing to acknowledge")
    after = state.model_copy(update={"acknowledged": Acknowledgement(by=by, at=now, comment=comment)})
    return after, _by_person(
        after, Change.ACKNOWLEDGED, now, f"acknowledged by {by}" + (f": {comment}" if comment else "")
    )


def silence(state: AlertState, by: str, why: str, now: int, until: int) -> tuple[AlertState, Transition]:
    """Keep evaluating, but notify nobody before the minute `until`.

    Raises:
        ValueError: `until` is not after `now`.
    """
    if until <= now:
        raise ValueError(f"the silence would end at minute {until}, not after {now}")
    after = state.model_copy(update={"silence": Silence(by=by, why=why, since=now, until=until)})
    return after, _by_person(after, Change.SILENCED, now, f"silenced by {by}: {why}")


def _judge(
    observation: Observation, state: AlertState, now: int, waiting: dict[str, int], freezes: bool
) -> Iterator[_Verdict]:
    """One verdict for each severity that the observation has pairs for."""
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
    counts, span = longest.long, spell_minutes(longest.pair.long)
    if not counts.total:
        return Reason(why=Why.NO_EVENTS, text=f"{observation.name}: nothing to judge in the last {span}")
    floor = observation.coverage_floor
    if counts.total * floor.denominator < floor.numerator * counts.eligible:
        share = 100 * counts.total // counts.eligible
        text = f"{observation.name}: only {share}% of {counts.eligible} judged in {span}, floor {float(floor):.0%}"
        return Reason(why=Why.LOW_COVERAGE, text=text)
    return None


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


def _change(before: AlertState, after: AlertState) -> Change | None:
    """What happened, if anything that belongs into the history did."""
    if before.level is not after.level:
        return _change_of_level(before.level, after.level)
    if after.phase is Phase.FROZEN:
        same = before.phase is Phase.FROZEN and {r.why for r in before.reasons} == {r.why for r in after.reasons}
        return None if same else Change.FROZEN
    if before.phase is after.phase:
        return None
    if before.phase is Phase.FROZEN:
        return Change.THAWED
    return Change.PENDING if after.phase is Phase.PENDING else Change.CLEARED


def _change_of_level(before: Severity | None, after: Severity | None) -> Change:
    if before is None:
        return Change.FIRED
    if after is None:
        return Change.RESOLVED
    return Change.ESCALATED if after is Severity.PAGE else Change.EASED


def _by_person(state: AlertState, change: Change, now: int, text: str, *, notifies: bool = False) -> Transition:
    """The line of an overlay: what fires stays as it is."""
    with_reason = state.model_copy(update={"reasons": (Reason(why=Why.PERSON, text=text),)})
    return Transition.between(state, with_reason, change, now, notifies)
