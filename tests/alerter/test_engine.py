"""One tick after another: people's actions, objectives that come and go, freezing, catching up, and its speed."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from time import process_time

import pytest
from msgspec import structs

from pipeline.alerter.compose import Composer
from pipeline.alerter.held import held
from pipeline.alerter.settings import AlerterSettings
from pipeline.notify.audience import Wanted
from pipeline.slo.alert_state import AlertState, Transition
from pipeline.slo.burn import Rule
from pipeline.slo.counts import Row, Series
from pipeline.slo.objective import Alerting, NoData, Objective
from pipeline.slo.observe import Measured
from pipeline.slo.windows import Severity, default_pairs
from schemas.units import MINUTE_US
from sinks.objectives import ACKNOWLEDGE, SILENCE, ActionRow, MemoryObjectives
from tests.alerter.world import TARGET, FixedCounts, FixedObjectives, engine, objective

ONE = objective("a")
BAD = Series(Row(minute, 2, 2, 2) for minute in range(200))
RECOVERED = Series(Row(minute, 2 * (minute < 20), 2, 2) for minute in range(200))


class Run:
    """An alerter that ticks, minute by minute."""

    def __init__(self, series: Series, *, complete_until: int | None = None) -> None:
        self.store = MemoryObjectives()
        self.objectives = FixedObjectives(ONE)
        self.counts = FixedCounts({"a": series}, complete_until)
        self.engine = engine(self.store, self.objectives, self.counts)

    def to(self, minute: int, since: int = 0) -> AlertState:
        for now in range(since, minute + 1):
            self.engine.tick(now)
        return self.state

    @property
    def state(self) -> AlertState:
        return held(self.store.states()[ONE.key]).alert

    def changes(self) -> list[str]:
        return [line.change for line in reversed(self.store.transitions())]

    def act(self, kind: str, minute: int, until: int = 0, name: str = "x") -> None:
        self.store.append([ActionRow(name, ONE.key, kind, "Bob", "on it", minute * MINUTE_US, until)])


def test_an_alert_fires_and_resolves_and_its_history_says_of_what() -> None:
    run = Run(RECOVERED)
    assert run.to(60).level is None
    assert run.changes() == ["fired", "eased", "resolved"]
    fired, *_ = reversed(run.store.transitions())
    assert (fired.workflow, fired.slo, fired.objective, fired.notifies) == ("claims", "a", "1", 1)
    assert {line.started for line in run.store.transitions()} == {fired.at}


def test_what_was_left_of_the_budget_is_kept_with_every_transition() -> None:
    run = Run(RECOVERED)
    run.to(60)
    assert {held(line.after).remaining for line in run.store.transitions()} == {0.5}


def test_an_acknowledgement_is_taken_once_and_ends_with_the_alert() -> None:
    run = Run(RECOVERED)
    run.to(5)
    run.act(ACKNOWLEDGE, 5)
    assert run.to(8, since=5).acknowledged is not None
    assert run.to(60, since=9).acknowledged is None
    assert run.changes() == ["fired", "acknowledged", "eased", "resolved"]


def test_an_acknowledgement_of_what_does_not_fire_any_more_changes_nothing() -> None:
    run = Run(Series(Row(minute, 0, 2, 2) for minute in range(50)))
    run.to(5)
    run.act(ACKNOWLEDGE, 5)
    run.to(9, since=5)
    assert run.changes() == []
    assert held(run.store.states()[ONE.key]).taken == ("x",)


def test_a_silenced_alert_is_evaluated_and_tells_nobody_until_the_silence_ends() -> None:
    run = Run(BAD)
    run.act(SILENCE, 0, until=30)
    run.to(40)
    told = {line.change: line.notifies for line in run.store.transitions()}
    assert told == {"silenced": 0, "fired": 0, "unsilenced": 1}


def test_a_silence_is_ended_by_one_that_is_over_even_if_the_alerters_clock_is_ahead() -> None:
    run = Run(BAD)
    run.act(SILENCE, 0, until=30)
    run.to(10)
    run.act(SILENCE, 7, until=8, name="end")
    run.to(12, since=10)
    assert run.changes() == ["silenced", "fired", "silenced", "unsilenced"]
    assert run.state.silence is None
    run.act(SILENCE, 7, until=8, name="nothing to end")
    assert run.to(14, since=12).silence is None


def test_an_action_of_the_future_waits_for_its_minute() -> None:
    run = Run(BAD)
    run.act(SILENCE, 9, until=30)
    assert run.to(8).silence is None
    assert run.to(9, since=9).silence is not None


def test_while_counts_are_behind_an_alert_freezes_and_thaws_when_they_are_there() -> None:
    run = Run(RECOVERED)
    run.to(10)
    run.counts.complete_until = 10
    assert (run.to(40, since=11).phase, run.state.level) == ("frozen", "page")
    run.counts.complete_until = None
    assert run.to(60, since=41).level is None
    assert run.changes()[:2] == ["fired", "frozen"]
    assert "resolved" in run.changes()


def test_what_happened_while_counts_were_behind_is_told_once_they_are_there() -> None:
    """Nothing lands for forty minutes; then it turns out that all was bad for a while, and is not any more."""
    run = Run(Series(Row(minute, 0, 2, 2) for minute in range(20)))
    run.to(15)
    run.counts.complete_until = 15
    assert run.to(60, since=16).phase == "frozen"
    assert run.state.evaluated == 25
    run.counts.complete_until = None
    run.counts.series = {"a": Series(Row(minute, 2 * (30 <= minute < 40), 2, 2) for minute in range(90))}
    assert run.to(61, since=61).level is None
    assert run.changes()[0] == "frozen"
    told = [(line.change, line.notifies) for line in reversed(run.store.transitions()) if line.notifies]
    assert (told[0], told[-1]) == (("fired", 1), ("resolved", 1))
    (fired,) = (line for line in run.store.transitions() if line.change == "fired")
    assert 30 <= fired.at < 45


def test_an_alert_that_begins_while_counts_are_behind_waits_for_them() -> None:
    run = Run(BAD, complete_until=0)
    assert run.to(55, since=50).phase == "frozen"
    run.counts.complete_until = None
    assert run.to(56, since=56).level is not None


def test_an_objective_that_is_removed_ends_its_alert() -> None:
    run = Run(BAD)
    run.to(10)
    run.objectives.by_key = {}
    run.to(12, since=11)
    assert run.changes() == ["fired", "resolved"]
    assert run.state.level is None
    ended = run.store.transitions()[0]
    assert (ended.at, ended.notifies) == (11, 1)
    assert [(why.why, why.text) for why in run.state.reasons] == [("withdrawn", "Eve removed a")]


def test_an_objective_that_is_removed_while_its_alert_is_silenced_ends_it_for_those_who_were_told() -> None:
    run = Run(BAD)
    run.to(10)
    run.act(SILENCE, 10, until=100)
    run.to(11, since=11)
    run.objectives.by_key = {}
    run.to(12, since=12)
    last = run.store.transitions()[0]
    assert (last.change, last.notifies) == ("resolved", 1)


def test_two_workflows_page_two_teams_and_who_was_told_of_the_beginning_is_told_of_the_end() -> None:
    receivers = {"payments": Wanted(labels={"team": "payments"}), "on-call": Wanted(name="on-call")}
    paid = replace(objective("a"), labels={"team": "payments"})
    paged = replace(ONE, slo="b", alerting=replace(ONE.alerting, targets=((Severity.PAGE, "on-call"),)))
    told: dict[str, list[tuple[str, str]]] = {}
    run = Run(BAD)
    run.counts.series |= {"b": BAD}
    run.objectives.by_key = {each.key: each for each in (paid, paged)}
    run.to(10)
    run.objectives.by_key = {}
    run.to(12, since=11)
    composer = Composer(AlerterSettings(), lambda *_: [], frozenset(receivers))
    for name, wanted in receivers.items():
        notes = [composer.compose(line, None) for line in reversed(run.store.transitions())]
        told[name] = [(note.slo, note.status) for note in notes if wanted.view(note, 0)]
    assert told["payments"] == [("a", "firing"), ("a", "resolved")]
    assert [each for each in told["on-call"] if each[0] == "b"] == [("b", "firing"), ("b", "resolved")]


def test_an_objective_that_cannot_be_read_keeps_its_alert() -> None:
    """A newer version of Trueup wrote it, or retention was lowered: that is no recovery."""
    run = Run(BAD)
    run.to(10)
    run.objectives.by_key, run.objectives.unreadable = {}, frozenset({"claims"})
    run.to(12, since=11)
    assert run.changes() == ["fired"]


class Silence:
    """An objective that asks for a ticket after half an hour without anything to judge; good tasks until minute 50."""

    def __init__(self) -> None:
        self.run = Run(Series(Row(minute, 0, 2, 2) for minute in range(51)))
        self.objective = replace(ONE, alerting=replace(ONE.alerting, no_data=NoData(30, Severity.TICKET)))
        self.run.objectives.by_key = {ONE.key: self.objective}

    def to(self, minute: int, since: int) -> list[tuple[int, str, str | None, int]]:
        self.run.to(minute, since=since)
        lines = reversed(self.run.store.transitions(key=self.objective.no_data_key))
        return [(line.at, line.change, held(line.after).alert.level, line.notifies) for line in lines]


def test_an_objective_that_falls_silent_opens_a_ticket_where_that_is_asked_for() -> None:
    silence = Silence()
    assert silence.to(79, since=40) == []
    assert silence.to(95, since=80) == [(80, "fired", "ticket", 1)]
    assert silence.run.state.level is None
    silence.run.counts.series = {"a": Series(Row(minute, 0, 2, 2) for minute in (*range(51), 97))}
    assert silence.to(99, since=97)[1:] == [(97, "resolved", None, 1)]
    assert {line.objective for line in silence.run.store.transitions(told=True)} == {"1 (no data)"}


def test_what_nobody_asked_for_nobody_is_told_of() -> None:
    silence = Silence()
    silence.run.objectives.by_key = {ONE.key: ONE}
    assert silence.to(200, since=40) == []


def test_silence_of_the_pipeline_or_before_any_task_is_no_silence_of_the_agents() -> None:
    silence = Silence()
    silence.run.counts.complete_until = 60
    assert silence.to(95, since=80) == []
    silence.run.counts.complete_until = None
    silence.run.counts.series = {"a": Series()}
    assert silence.to(99, since=96) == []


def test_an_alert_of_silence_can_be_silenced_and_ends_with_its_objective() -> None:
    silence = Silence()
    quiet = ActionRow("s", silence.objective.no_data_key, SILENCE, "Bob", "holidays", 75 * MINUTE_US, 85)
    silence.run.store.append([quiet])
    assert silence.to(84, since=75)[-1] == (80, "fired", "ticket", 0)
    silence.run.objectives.by_key = {}
    assert "resolved" in [change for _, change, _, _ in silence.to(91, since=85)]


def with_fields_of_tomorrow(value: object) -> object:
    """Stored JSON in which every object has a field more, and every reason is of a new kind."""
    if isinstance(value, list):
        return [with_fields_of_tomorrow(each) for each in value]
    if not isinstance(value, dict):
        return value
    maps = ("labels", "targets")
    inner = {name: each if name in maps else with_fields_of_tomorrow(each) for name, each in value.items()}
    return {**inner, **({"why": "tomorrow"} if "text" in inner else {}), "tomorrow": {"is": ["another", "day"]}}


def test_what_an_alerter_of_a_later_version_stored_is_gone_on_from_and_can_be_told() -> None:
    """In a rolling update the two run side by side, and a rollback starts where the later one ended."""
    here, there = Run(RECOVERED), Run(RECOVERED)
    for run in (here, there):
        run.to(10)
        run.act(SILENCE, 10, until=14)
        run.to(12, since=10)
    before = len(here.changes())
    row, line = there.store.states()[ONE.key], there.store.transitions()[-1]
    later = [json.dumps(with_fields_of_tomorrow(json.loads(text))) for text in (row.state, line.transition, line.state)]
    there.store = MemoryObjectives()
    there.store.append([structs.replace(row, state=later[0])])
    there.engine = engine(there.store, there.objectives, there.counts)
    told = structs.replace(line, transition=later[1], state=later[2])
    reasons = [reason.text for reason in Transition.model_validate_json(line.transition).reasons]
    told_of = Composer(AlerterSettings(), lambda *_: [])
    assert told_of.compose(told, ONE) == told_of.compose(line, ONE)
    assert reasons[0] in told_of.compose(told, ONE).text
    assert there.to(60, since=13) == here.to(60, since=13)
    assert here.changes()[before:] == there.changes()


def test_an_objective_that_cannot_be_evaluated_keeps_its_alert_and_stops_no_other() -> None:
    class Broken(FixedCounts):
        def measured(self, asked: Objective) -> Measured:
            if self.broken and asked.slo == "a":
                raise OverflowError("date value out of range")
            return super().measured(asked)

        broken = False

    run, other = Run(RECOVERED), objective("b")
    run.objectives = FixedObjectives(ONE, other)
    run.counts = Broken({"a": RECOVERED, "b": RECOVERED})
    run.engine = engine(run.store, run.objectives, run.counts)
    assert run.to(10).level == "page"
    run.counts.broken = True
    ticks = [run.engine.tick(now) for now in range(11, 61)]
    assert (run.state.level, run.state.evaluated) == ("page", 10)
    assert held(run.store.states()[other.key]).alert.level is None
    assert {(subject.slo, str(error)) for tick in ticks for subject, error in tick.failed.items()} == {
        ("a", "date value out of range")
    }
    run.counts.broken = False
    last = run.engine.tick(61)
    assert not last.failed
    assert run.state == held(run.store.states()[other.key]).alert.model_copy(update={"key": ONE.key})


def test_minutes_that_were_missed_are_evaluated_in_several_ticks_each_of_them_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.alerter.engine.EVALUATIONS", 10)
    run = Run(RECOVERED)
    run.to(0)
    ticks = 1
    while run.engine.tick(60).behind:
        ticks += 1
    assert ticks == 6
    straight = Run(RECOVERED)
    straight.to(60)
    assert run.store.transitions() == straight.store.transitions()


def test_minutes_older_than_what_is_caught_up_with_are_skipped() -> None:
    run = Run(Series(Row(minute, 2 * (5 <= minute < 20), 2, 2) for minute in range(200)))
    run.to(0)
    run.engine = engine(run.store, run.objectives, run.counts, catch_up=20)
    run.engine.tick(150)
    assert run.changes() == []
    assert run.state.evaluated == 150


def test_what_happens_again_in_a_minute_that_is_evaluated_again_is_told_again() -> None:
    """Bad and good tasks land in turns within one minute: the level goes down, up and down again."""
    run = Run(Series(Row(minute, 2, 2, 2) for minute in range(10)))
    run.to(9)
    for good in (0, 14, 0, 14):
        rows = [*(Row(minute, 2, 2, 2) for minute in range(10)), Row(10, 2, 2 + good, 2 + good)]
        run.counts.series = {"a": Series(rows)}
        run.engine.tick(10)
    assert run.changes() == ["fired", "eased", "escalated", "eased"]
    assert len({line.id for line in run.store.transitions()}) == 4


def test_a_clock_that_went_back_changes_nothing() -> None:
    run = Run(RECOVERED)
    before = run.to(30)
    run.engine.tick(12)
    assert run.state == before


def test_a_thousand_objectives_are_evaluated_in_less_than_a_second() -> None:
    """Thirty days of fifty tasks a day each; a tenth of them in trouble. CPU time, the best of three minutes."""
    dice, month = random.Random(7), 43_200  # noqa: S311 - no secret
    alerting = Alerting(Rule(TARGET, month, default_pairs(month, TARGET)))
    objectives = FixedObjectives(*(replace(objective(str(at)), alerting=alerting) for at in range(1_000)))
    kinds = []
    for share in (0.5, *[0.01] * 9):
        minutes = sorted(dice.sample(range(month + 3), 1_500))
        kinds.append(Series(Row(minute, int(dice.random() < share), 1, 1) for minute in minutes))
    counts = FixedCounts({str(at): kinds[at % len(kinds)] for at in range(1_000)})
    store = MemoryObjectives()
    evaluator = engine(store, objectives, counts)
    took = []
    for now in range(month, month + 3):
        started = process_time()
        evaluator.tick(now)
        took.append(process_time() - started)
    assert len(store.states()) == 1_000
    assert any(line.change == "fired" for line in store.transitions())
    assert min(took) < 1, took
