"""Several alerters and a receiver that cannot see what it was told before: one of them tells it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import Settings as Configured
from pipeline.notify.build import notifier_of
from pipeline.notify.clock import Clock
from pipeline.notify.delivery import Delivery, Policy
from pipeline.notify.receipt import Tally
from pipeline.notify.receiver import Deferred, Retryable
from pipeline.notify.turns import Once, Pace, Turns
from sinks.objectives import ClaimRow, MemoryObjectives, NotificationRow, RowType
from sinks.port import Transient
from tests.notify.http_server import HttpServer
from tests.notify.world import START, Receipts, Time, Told, notification

PACE = Pace(settle=2.0, lease=120.0, ask_again=5.0)
ID = notification().transition_id
END = 20_000.0
Schedule = list[tuple[float, int]]
"""At each interruption: seconds that pass, and which replica works then; one more than there are: this one dies."""


class Dead(Exception):
    """The process ends here."""


class Shared(MemoryObjectives):
    """A store whose every call, and what comes before and after it, others can interrupt."""

    def __init__(self) -> None:
        super().__init__()
        self.between: Callable[[], None] = lambda: None

    def append(self, rows: Sequence[RowType]) -> None:
        self.between()
        super().append(rows)
        self.between()

    def notifications(self, transitions: object) -> list[NotificationRow]:
        self.between()
        return super().notifications(transitions)  # type: ignore[arg-type]

    def claims(self, transition: str, receiver: str) -> list[ClaimRow]:
        found = super().claims(transition, receiver)
        self.between()
        return found


class Channel:
    """Slack: it takes what it is sent, however often. `answers`: whether it does."""

    def __init__(self, store: Shared, answers: Sequence[bool] = ()) -> None:
        self._store, self._answers = store, iter(answers)
        self.taken = 0

    def send(self, _: object) -> None:
        self._store.between()
        if not next(self._answers, True):
            raise Retryable("away")
        self.taken += 1
        self._store.between()

    def close(self) -> None:
        """Nothing is open."""


class Replicas:
    """Alerters with clocks of their own that are all given the same notification.

    Each interruption lets some seconds pass, and then perhaps another of them work; or ends the one that is at work.
    """

    def __init__(self, number: int, schedule: Schedule, answers: Sequence[bool]) -> None:
        self.now, self.store = 0.0, Shared()
        self.channel = Channel(self.store, answers)
        self.store.between = self._between
        self._schedule, self._working = iter(schedule), list[int]()
        self.made = {at: self._start(at) for at in range(number)}
        self.due = dict.fromkeys(range(number), 0.0)
        self.done: set[int] = set()
        self.deaths = 0

    def _start(self, at: int) -> Once:
        ahead = (0.0, 50_000.0, -7.0)[at]
        clock = Clock(lambda: self.now + ahead, lambda: START + round((self.now - 2 * ahead) * 1_000_000))
        return Once(self.channel, Turns(self.store, f"replica-{at}", clock, PACE), "slack")

    def _between(self) -> None:
        seconds, turn = next(self._schedule, (0.0, -1))
        self.now += seconds
        if turn == len(self.made):
            raise Dead
        if turn in self.made and turn not in self._working:
            self.work(turn)

    def work(self, at: int) -> None:
        """One attempt, if it is due."""
        if at in self.done or self.now < self.due[at]:
            return
        self._working.append(at)
        try:
            self.made[at].send(notification())
            self.done.add(at)
        except Deferred as later:
            self.due[at] = self.now + later.after
        except Retryable:
            self.due[at] = self.now + 30
        except Dead:
            self.deaths += 1
            self.made[at] = self._start(at)  # after a restart it is offered again
            self.due[at] = self.now + 1
        finally:
            self._working.remove(at)

    def run(self) -> None:
        """Until everybody knows that it was told."""
        while len(self.done) < len(self.made):
            assert self.now < END, "it was never told"
            self.now = max(self.now + 0.25, min(self.due[at] for at in self.made if at not in self.done))
            for at in self.made:
                self.work(at)


def schedules(seconds: st.SearchStrategy[float], turns: st.SearchStrategy[int]) -> st.SearchStrategy[Schedule]:
    return st.lists(st.tuples(seconds, turns), min_size=24, max_size=30)


SHORT = st.sampled_from([0.0, 0.0, 0.0, 1.9, 3.0])
"""Thirty of them stall nobody for a lease; one of them is longer than a claim needs to settle."""
LONG = st.sampled_from([0.0, 0.5, 2.0, 30.0, 119.0, 121.0, 400.0])


@settings(max_examples=1_500)
@given(schedules(SHORT, st.integers(0, 1)), st.lists(st.booleans(), max_size=4))
def test_of_alerters_that_live_one_tells_it_once(schedule: Schedule, answers: list[bool]) -> None:
    replicas = Replicas(2, schedule, answers)
    replicas.run()
    assert replicas.channel.taken == 1


@settings(max_examples=200)
@given(schedules(SHORT, st.integers(0, 2)))
def test_of_three_alerters_that_live_one_tells_it_once(schedule: Schedule) -> None:
    replicas = Replicas(3, schedule, ())
    replicas.run()
    assert replicas.channel.taken == 1


@settings(max_examples=150)
@given(st.integers(1, 3), schedules(LONG, st.integers(-1, 3)), st.lists(st.booleans(), max_size=12))
def test_whoever_dies_or_stalls_wherever_it_is_told(number: int, schedule: Schedule, answers: list[bool]) -> None:
    replicas = Replicas(number, schedule, answers)
    replicas.run()
    assert replicas.channel.taken >= 1


@settings(max_examples=150)
@given(st.integers(1, 3), st.data())
def test_a_death_repeats_it_at_most_once(number: int, data: st.DataObject) -> None:
    steps = data.draw(schedules(st.sampled_from([0.0, 0.1, 0.9, 1.9]), st.integers(-1, number)))
    replicas = Replicas(number, steps, ())
    replicas.run()
    assert 1 <= replicas.channel.taken <= 1 + replicas.deaths


def turns(store: MemoryObjectives, name: str, time: Time) -> Turns:
    return Turns(store, name, time.clock, PACE)


def test_an_alerter_alone_waits_until_a_claim_of_another_would_be_there_and_sends() -> None:
    time = Time()
    mine = turns(MemoryObjectives(), "a", time)
    with pytest.raises(Deferred) as later:
        mine.mine(ID, "slack")
    assert later.value.after == PACE.settle
    time.seconds += PACE.settle
    assert mine.mine(ID, "slack")


def test_another_goes_on_when_a_claim_is_not_renewed_any_more() -> None:
    store, time = MemoryObjectives(), Time()
    with suppress(Deferred):
        turns(store, "a", time).mine(ID, "slack")
    other, asked = turns(store, "b", time), 0.0
    while True:
        try:
            assert other.mine(ID, "slack")
            break
        except Deferred as later:
            time.seconds += later.after
            asked += later.after
    assert PACE.lease <= asked <= PACE.lease + PACE.ask_again + PACE.settle


def test_after_a_restart_an_alerter_goes_on_with_its_own_claim_at_once() -> None:
    store, time = MemoryObjectives(), Time()
    for _ in range(2):
        again = turns(store, "a", time)
        with pytest.raises(Deferred) as later:
            again.mine(ID, "slack")
        assert later.value.after == PACE.settle


def test_a_claim_that_took_longer_to_write_than_it_takes_to_settle_does_not_count() -> None:
    """Whoever looked meanwhile has not seen it, and may be sending."""
    store, time = Shared(), Time()
    mine, stalls = turns(store, "a", time), iter([0.0, 0.0, PACE.settle])

    def stall() -> None:
        time.seconds += next(stalls, 0.0)

    store.between = stall
    for wait in (PACE.ask_again, PACE.settle):
        with pytest.raises(Deferred) as later:
            mine.mine(ID, "slack")
        assert later.value.after == wait
        time.seconds += wait
    assert mine.mine(ID, "slack")


def test_of_two_alerters_one_posts_to_slack() -> None:
    store, receipts = MemoryObjectives(), Receipts()
    with HttpServer() as slack:
        receiver = {"type": "slack", "name": "slack", "url": slack.url}
        configured = Configured(notify={"receivers": [receiver]})  # type: ignore[arg-type]
        pace = Pace(settle=0.05, ask_again=0.05)
        with (
            notifier_of(configured, receipts, Turns(store, "a", pace=pace)) as one,
            notifier_of(configured, receipts, Turns(store, "b", pace=pace)) as other,
        ):
            for notifier in (one, other):
                assert notifier.offer(notification()) == {"slack"}
            receipts.wait(lambda came: len(came) == 2)
        assert [each.ok for each in receipts.all] == [True, True]
        assert len(slack.requests) == 1


def test_what_another_alerter_has_told_is_not_sent() -> None:
    store, time = MemoryObjectives(), Time()
    turns(store, "a", time).told(ID, "slack")
    assert not turns(store, "b", time).mine(ID, "slack")
    with pytest.raises(Deferred):
        turns(store, "b", time).mine(ID, "another channel")


class Away(MemoryObjectives):
    """Not there."""

    def append(self, rows: object) -> None:
        raise Transient("away")

    def notifications(self, transitions: object) -> list[NotificationRow]:
        raise Transient("away")


def test_without_the_store_it_is_sent_rather_twice_than_never() -> None:
    receiver = Told()
    Once(receiver, turns(Away(), "a", Time()), "slack").send(notification())
    assert receiver.sent == [notification()]


def test_to_wait_for_a_turn_is_no_failure_and_no_attempt() -> None:
    receiver, receipts, time = Told([Deferred(2.0)]), Receipts(), Time()
    made = Delivery("slack", receiver, receipts, Policy(), time.clock)
    made.offer(notification())
    assert made.work() == 2.0
    assert made.tally() == Tally("slack", waiting=1)
    time.seconds += 2.0
    assert made.work() is None
    assert (receipts.all[0].ok, receipts.all[0].attempts) == (True, 1)
