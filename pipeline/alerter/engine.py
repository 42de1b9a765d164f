"""One tick of the alerter: read what is stored, evaluate, store the transitions and then the states.

Nothing is remembered between ticks but what can be read again: an alerter that stops anywhere goes on where what is
stored ends, and two of them repeat each other harmlessly. A transition holds the state after it, so the two can never
tell different stories: whatever was told is known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from pipeline.alerter.advance import Landed, Step, Subject, advance, follow
from pipeline.alerter.health import judge
from pipeline.alerter.held import Addressed, Held, held
from pipeline.alerter.quiet import quiet
from pipeline.slo.alert import Freezing, Observation
from pipeline.slo.alert_record import withdraw
from pipeline.slo.alert_state import AlertState, Change
from pipeline.slo.objective import Objective
from pipeline.slo.observe import Measured, observations
from sinks.objectives import ActionRow, ObjectiveStore, StateRow, TransitionRow

EVALUATIONS = 5_000
"""Most evaluations in one tick: what was missed for long is caught up with in several, each of them stored."""


class Counts(Protocol):
    """The counts of objectives."""

    def refresh(self, objectives: Sequence[Objective], now: int) -> None:
        """Bring the counts up to date. May block, and raise Transient."""

    @property
    def complete_until(self) -> int | None:
        """The last minute whose counts have all landed; None: all that there are."""

    def measured(self, objective: Objective) -> Measured:
        """The counts of one objective."""

    def remaining(self, objective: Objective, now: int) -> float | None:
        """The signed share of its budget that is left, adjustments included; None without events."""


class InForce(Protocol):
    """The objectives in force."""

    def objectives(self) -> Mapping[str, Objective]:
        """By alert key. May block, and raise Transient."""

    @property
    def unreadable(self) -> frozenset[str]:
        """Workflows some of whose objectives cannot be read: their alerts stay as they are."""

    def why_ended(self, subject: Subject) -> str:
        """Why an objective is no longer in force, for people."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How to evaluate. `catch_up`: minutes that are caught up with at most after a stop; older ones are skipped."""

    freezing: Freezing = Freezing()  # noqa: RUF009 - frozen
    catch_up: int = 1_440


@dataclass(frozen=True, slots=True)
class Ticked:
    """What a tick did. `behind`: minutes are left that were missed; tick again.

    `failed`: what could not be evaluated, and why; its alert stays as it is.
    """

    objectives: int
    transitions: tuple[TransitionRow, ...]
    behind: bool
    failed: Mapping[Subject, Exception] = field(default_factory=dict)


class Engine:
    """Evaluates all objectives. Not for several threads."""

    def __init__(self, store: ObjectiveStore, in_force: InForce, counts: Counts, policy: Policy) -> None:
        self._store, self._in_force, self._counts, self._policy = store, in_force, counts, policy

    def tick(self, now: int) -> Ticked:
        """Evaluate every objective up to the minute `now`. Raises Transient; then nothing is lost: tick again."""
        objectives = self._in_force.objectives()
        self._counts.refresh(list(objectives.values()), now)
        stored = {key: held(row) for key, row in self._store.states().items()}
        actions, done = defaultdict[str, list[ActionRow]](list), self._store.actions()
        for action in done:
            actions[action.key].append(action)
        most = max(EVALUATIONS // max(len(objectives), 1), 1)
        behind, rows, news = False, list[StateRow](), list[TransitionRow]()
        failed = dict[Subject, Exception]()
        for key, objective in objectives.items():
            before = self._resumed(stored.get(key) or Held(alert=AlertState(key=key)), now)
            until = min(now, (before.alert.evaluated if before.alert.evaluated is not None else now) + most)
            try:
                evaluated = [self._follow(objective, before, actions[key], until)]
                evaluated += self._silent(objective, stored, done, now)
            except Exception as error:  # noqa: BLE001 - one owner's objective must not stop those of all others
                failed[_subject(objective)] = error
                continue
            behind = behind or until < now
            for after, lines in evaluated:
                news += lines
                rows += [after.row()] if after != stored.get(after.alert.key) else []
        for subject, before in self._ended(objectives, stored):
            minute = max(now, before.alert.evaluated or now)
            alert, told = withdraw(before.alert, minute, self._in_force.why_ended(subject))
            after, steps = follow(before, alert, told)
            news += [step.row(subject) for step in steps]
            rows.append(after.row())
        self._store.append(news)
        self._store.append(rows)
        return Ticked(len(objectives), tuple(news), behind, failed)

    def _follow(
        self, objective: Objective, before: Held, actions: Sequence[ActionRow], until: int
    ) -> tuple[Held, list[TransitionRow]]:
        """The alert of an objective after the minute `until`, and the lines of its history that lead there."""
        measured = self._counts.measured(objective)
        before = before.model_copy(update={"lag": measured.lag})
        after, steps = advance(before, Observer(objective, measured), actions, until, self._landed)
        if not steps:
            return after, []
        left = self._counts.remaining(objective, until)
        return _told(objective, _subject(objective), after.model_copy(update={"remaining": left}), steps)

    def _silent(
        self, objective: Objective, stored: Mapping[str, Held], actions: Sequence[ActionRow], now: int
    ) -> Iterator[tuple[Held, list[TransitionRow]]]:
        """The alert that there is nothing to judge, where it is asked for: like those of the pipeline."""
        if objective.alerting.no_data is None:
            return
        finding = quiet(objective, self._counts.measured(objective), now, self._landed)
        for made, after, steps in judge([finding] if finding else [], stored, actions, now):
            yield _told(objective, made.subject, after, steps)

    @property
    def _landed(self) -> Landed:
        return Landed(self._counts.complete_until, self._policy.freezing)

    def _resumed(self, state: Held, now: int) -> Held:
        """The state to go on from: not further back than is caught up with."""
        evaluated, earliest = state.alert.evaluated, now - self._policy.catch_up
        if evaluated is None or evaluated >= earliest:
            return state
        return state.model_copy(update={"alert": state.alert.model_copy(update={"evaluated": earliest})})

    def _ended(self, objectives: Mapping[str, Objective], states: Mapping[str, Held]) -> list[tuple[Subject, Held]]:
        """Alerts that fire although their objective was taken back; those that cannot be read go on firing."""
        in_force = objectives.keys() | {each.no_data_key for each in objectives.values() if each.alerting.no_data}
        firing = [state for key, state in states.items() if state.alert.level and key not in in_force]
        known = [(self._subject(state.alert.key), state) for state in firing]
        unreadable = self._in_force.unreadable
        return [(each, state) for each, state in known if each.workflow and each.workflow not in unreadable]

    def _subject(self, key: str) -> Subject:
        """What an alert was about, by its history. An alert that fires has one."""
        line = self._store.transitions(key=key, limit=1)[0]
        return Subject(line.workflow, line.slo, line.objective)


def _subject(objective: Objective) -> Subject:
    return Subject(objective.workflow.name, objective.slo, objective.name)


def _told(
    objective: Objective, subject: Subject, after: Held, steps: Sequence[Step]
) -> tuple[Held, list[TransitionRow]]:
    """The state and its lines, with whom they are for: whoever that was when the alert began."""
    addressed, lines = after.addressed, []
    for step in steps:
        if step.transition.change is Change.FIRED:
            addressed = Addressed.of(objective)
        known = {"remaining": after.remaining, "addressed": addressed}
        lines.append(replace(step, after=step.after.model_copy(update=known)).row(subject))
    return after.model_copy(update={"addressed": addressed}), lines


@dataclass(frozen=True, slots=True)
class Observer:
    """What an objective's alert looks at in a minute. Slices depend on the minute, plain counts do not."""

    objective: Objective
    measured: Measured

    def __call__(self, minute: int) -> tuple[Observation, ...]:
        return observations(self.objective, self.measured, minute)
