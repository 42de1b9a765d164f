"""What becomes of an alert is recorded here: the lines of its history, and which of them people are told.

During a silence nobody is told anything new. But whoever knows that something fires is told that it has ended, silence
or not: to close what is open is no noise. What has changed otherwise is told when the silence ends.
"""

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
from pipeline.slo.windows import Severity


def record(before: AlertState, after: AlertState, now: int) -> tuple[AlertState, tuple[Transition, ...]]:
    """The state to keep, and what changed, oldest first; `after` is what was found in the minute `now`."""
    unsilenced = before.silence is not None and before.silence.until <= now
    if unsilenced:
        after = after.model_copy(update={"silence": None})
    found, lines = after.reasons, list[Transition]()
    change = _change(before, after)
    if change is None:
        after = after.model_copy(update={"since": before.since, "reasons": before.reasons})
    else:
        lines.append(Transition.between(before, after, change, now, notifies=_tells(change, after)))
    if unsilenced:
        unheard = after.level is not None and not any(line.notifies for line in lines)
        still = found if unheard else ()
        lines.append(_by_person(after, Change.UNSILENCED, now, "the silence has ended", *still, notifies=unheard))
    if any(line.notifies for line in lines):
        after = after.model_copy(update={"told": after.level})
    return after, tuple(lines)


def withdraw(state: AlertState, now: int, why: str) -> tuple[AlertState, tuple[Transition, ...]]:
    """The alert ends because its objective is no longer in force: nothing has got better."""
    ended = {"phase": Phase.RESOLVED, "level": None, "since": now, "active": (), "fired_at": None, "acknowledged": None}
    reasons = (Reason(why=Why.WITHDRAWN, text=why),)
    after, lines = record(state, state.model_copy(update={**ended, "waiting": (), "reasons": reasons}), now)
    return after.model_copy(update={"evaluated": now}), lines


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
    """Keep evaluating, but tell nobody anything new before the minute `until`.

    Raises:
        ValueError: `until` is not after `now`.
    """
    if until <= now:
        raise ValueError(f"the silence would end at minute {until}, not after {now}")
    after = state.model_copy(update={"silence": Silence(by=by, why=why, since=now, until=until)})
    return after, _by_person(after, Change.SILENCED, now, f"silenced by {by}: {why}")


def _tells(change: Change, after: AlertState) -> bool:
    """`after.told` is still what people knew before the change."""
    return change in NOTIFIED and (after.silence is None or (change is Change.RESOLVED and after.told is not None))


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


def _by_person(
    state: AlertState, change: Change, now: int, text: str, *still: Reason, notifies: bool = False
) -> Transition:
    """The line of an overlay: what fires stays as it is; `still` is why it does."""
    reasons = (Reason(why=Why.PERSON, text=text), *still)
    return Transition.between(state, state.model_copy(update={"reasons": reasons}), change, now, notifies)
