"""One alert, from where it was to now: people's actions and minutes, in their order. Reads no clock and no store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.alerter.held import Held, identity
from pipeline.slo.alert import Freezing, Observation, evaluate
from pipeline.slo.alert_record import acknowledge, silence
from pipeline.slo.alert_state import AlertState, Transition
from schemas.units import MINUTE_US
from sinks.objectives import SILENCE, ActionRow, TransitionRow


@dataclass(frozen=True, slots=True)
class Subject:
    """What an alert is about, for its history. `workflow` is empty for the pipeline's own alerts."""

    workflow: str
    slo: str
    objective: str


@dataclass(frozen=True, slots=True)
class Landed:
    """How far the counts are complete (a minute; None: to the end), and when to freeze."""

    until: int | None
    freezing: Freezing

    def lacks(self, minute: int) -> bool:
        """Whether the counts are too far behind to evaluate a minute."""
        return self.freezing.enabled and self.until is not None and minute - self.until > self.freezing.max_behind


@dataclass(frozen=True, slots=True)
class Step:
    """A transition, and the state after it."""

    id: str
    transition: Transition
    started: int
    after: Held

    def row(self, subject: Subject) -> TransitionRow:
        """The line of the history."""
        state, transition = self.after.row(), self.transition
        return TransitionRow(
            self.id,
            transition.key,
            subject.workflow,
            subject.slo,
            subject.objective,
            transition.at,
            transition.change.value,
            int(transition.notifies),
            self.started,
            transition.model_dump_json(),
            state.progress,
            state.evaluated,
            state.revision,
            state.state,
        )


def advance(
    before: Held,
    observe: Callable[[int], Sequence[Observation]],
    actions: Iterable[ActionRow],
    now: int,
    landed: Landed,
) -> tuple[Held, list[Step]]:
    """The alert after the minute `now`, and what changed, oldest first.

    Minutes that were missed are evaluated one by one, and the last one again: events may have come to it since. Those
    that the counts are behind of wait until they are there; meanwhile the alert is frozen.
    `actions` may hold those that are in the state already. One that has nothing to act on, as an acknowledgement of
    what does not fire any more, changes nothing.
    """
    held, steps, known = before, list[Step](), list(actions)
    first = now if held.alert.evaluated is None else held.alert.evaluated
    for minute in range(first, now + 1):
        if landed.lacks(minute):
            held, made = _freeze(held, observe, known, now, landed)
            return held, [*steps, *made]
        held, made = _evaluate(held, observe, known, minute, landed)
        steps += made
    return held, steps


def _evaluate(
    before: Held,
    observe: Callable[[int], Sequence[Observation]],
    actions: Sequence[ActionRow],
    minute: int,
    landed: Landed,
) -> tuple[Held, list[Step]]:
    held, acted = act(before, actions, minute)
    alert, transitions = evaluate(
        held.alert, observe(minute), minute, complete_until=landed.until, freezing=landed.freezing
    )
    held, made = follow(held, alert, transitions)
    return held, [*acted, *made]


def _freeze(
    before: Held,
    observe: Callable[[int], Sequence[Observation]],
    actions: Sequence[ActionRow],
    now: int,
    landed: Landed,
) -> tuple[Held, list[Step]]:
    """Say that the counts cannot tell. The minutes that pass meanwhile are evaluated once their counts are there."""
    held, acted = act(before, actions, now)
    alert, transitions = evaluate(held.alert, observe(now), now, complete_until=landed.until, freezing=landed.freezing)
    evaluated = now if held.alert.evaluated is None else held.alert.evaluated
    held, made = follow(held, alert.model_copy(update={"evaluated": evaluated}), transitions)
    return held, [*acted, *made]


def act(before: Held, actions: Iterable[ActionRow], minute: int) -> tuple[Held, list[Step]]:
    """The alert after what people have done up to and including a minute, and is not in the state yet."""
    held, steps = before, list[Step]()
    for action in actions:
        if action.id not in before.taken and action.at // MINUTE_US <= minute:
            held, made = _act(held, action, minute)
            steps += made
    return held, steps


def follow(held: Held, alert: AlertState, transitions: Iterable[Transition]) -> tuple[Held, list[Step]]:
    """The next state, and the steps that lead there."""
    if alert == held.alert:
        return held, []
    after = held.model_copy(update={"alert": alert, "revision": held.revision + 1})
    started = alert.fired_at or held.alert.fired_at or 0
    return after, [Step(identity(each, after.revision), each, started, after) for each in transitions]


def _act(held: Held, action: ActionRow, minute: int) -> tuple[Held, list[Step]]:
    # What was done before the alerter came to it counts from the minute that it has come to.
    taken = held.model_copy(update={"taken": (*held.taken, action.id), "revision": held.revision + 1})
    if taken.alert.evaluated is None:
        taken = taken.model_copy(update={"alert": taken.alert.model_copy(update={"evaluated": minute})})
    try:
        if action.kind == SILENCE:
            # It replaces the silence that there is; where it is over already, it ends that one.
            until = max(action.until, minute + 1) if taken.alert.silence else action.until
            alert, transition = silence(taken.alert, action.by, action.why, minute, until)
        else:
            alert, transition = acknowledge(taken.alert, action.by, minute, action.why)
    except ValueError:
        return taken, []
    after = taken.model_copy(update={"alert": alert})
    return after, [Step(identity(transition, after.revision, action.id), transition, alert.fired_at or 0, after)]
