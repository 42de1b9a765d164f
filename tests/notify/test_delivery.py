"""One receiver's delivery, step by step: what is tried when, and what is told of it. The clock is the test's."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.notify.audience import Wanted
from pipeline.notify.backoff import Backoff
from pipeline.notify.delivery import Delivery, Policy
from pipeline.notify.notification import Audience, Notification, Status
from pipeline.notify.receipt import Receipt, Tally
from pipeline.notify.receiver import Rejected, Retryable
from pipeline.slo.windows import Severity
from tests.notify.world import START, Receipts, Time, Told, notification, resolved

PLAIN = Policy(backoff=Backoff(first=1.0, longest=8.0), give_up_after=60.0, queue=3)


def delivery(receiver: Told, time: Time, policy: Policy = PLAIN) -> tuple[Delivery, Receipts]:
    receipts = Receipts()
    return Delivery("pager", receiver, receipts, policy, time.clock, chance=lambda: 0.0), receipts


def work_until_idle(made: Delivery, time: Time, seconds: float = 3_600.0) -> list[float]:
    """Work as its thread would, on the test's clock; when each step was made."""
    end, steps = time.seconds + seconds, [time.seconds]
    while (pause := made.work()) is not None and time.seconds + pause <= end:
        time.seconds += pause
        steps.append(time.seconds)
    return steps


# --- trying again --------------------------------------------------------------------------------


def test_what_is_taken_has_a_receipt_and_leaves_nothing_to_do() -> None:
    receiver, time = Told(), Time()
    made, receipts = delivery(receiver, time)
    assert made.offer(notification())
    assert made.work() is None
    assert receiver.sent == [notification()]
    assert receipts.all == [Receipt(notification().transition_id, "pager", True, "", 1)]


def test_a_failed_attempt_is_made_again_after_pauses_that_double() -> None:
    away = [Retryable("away")] * 6
    made, receipts = delivery(Told(away), time := Time())
    made.offer(notification())
    steps = work_until_idle(made, time)
    assert [later - earlier for earlier, later in pairwise(steps)] == [1, 2, 4, 8, 8, 8]
    assert receipts.all == [Receipt(notification().transition_id, "pager", True, "", 7)]


def test_nothing_is_sent_before_its_pause_is_over() -> None:
    receiver, time = Told([Retryable("away")]), Time()
    made, _ = delivery(receiver, time)
    made.offer(notification())
    assert made.work() == 1.0
    time.seconds += 0.75
    assert made.work() == 0.25
    assert receiver.sent == []


def test_what_is_rejected_is_not_sent_again() -> None:
    receiver, time = Told([Rejected("pager answers 400")]), Time()
    made, receipts = delivery(receiver, time)
    made.offer(notification())
    assert made.work() is None
    assert (receiver.sent, receipts.all[0].ok, receipts.all[0].error) == ([], False, "pager answers 400")


def test_it_is_given_up_at_its_deadline_after_a_last_attempt() -> None:
    made, receipts = delivery(Told([Retryable("pager is away")] * 1_000), time := Time())
    made.offer(notification())
    steps = work_until_idle(made, time)
    assert steps[-1] - steps[0] == PLAIN.give_up_after
    assert [(r.ok, r.error, r.attempts) for r in receipts.all] == [
        (False, "given up after 60 s: pager is away", len(steps))
    ]


def test_a_receiver_that_asks_for_time_gets_it_for_everything() -> None:
    receiver, time = Told([Retryable("busy", after=20.0)]), Time()
    made, _ = delivery(receiver, time)
    made.offer(notification("a"))
    assert made.work() == 20.0
    made.offer(notification("b"))
    assert made.work() == 20.0
    time.seconds += 20
    work_until_idle(made, time)
    assert {each.key for each in receiver.sent} == {"a", "b"}


def test_an_unexpected_error_loses_nothing() -> None:
    receiver, time = Told([ZeroDivisionError("hidden word")]), Time()
    made, receipts = delivery(receiver, time)
    made.offer(notification())
    made.work()
    assert made.tally().error == "unexpected ZeroDivisionError"
    work_until_idle(made, time)
    assert receipts.all[0].ok


def test_a_notification_that_fails_delays_no_other_alert() -> None:
    """A receiver that chokes on one alert takes the others meanwhile."""
    receiver, time = Told([Retryable("500"), None, None]), Time()
    made, _ = delivery(receiver, time)
    for key in ("poison", "b", "c"):
        made.offer(notification(key))
    assert made.work() == made.work() == 0.0
    made.work()
    assert [each.key for each in receiver.sent] == ["b", "c"]


def test_what_is_new_goes_before_what_has_failed() -> None:
    """Where each attempt hangs until its timeout, those that fail would take up all the time."""
    receiver, time = Told([Retryable("no answer in time")]), Time()
    made, _ = delivery(receiver, time)
    made.offer(notification("failed"))
    made.work()
    time.seconds += 10
    made.offer(notification("new"))
    work_until_idle(made, time)
    assert [each.key for each in receiver.sent] == ["new", "failed"]


def test_a_page_waits_behind_no_ticket() -> None:
    receiver, time = Told(), Time()
    made, _ = delivery(receiver, time)
    made.offer(notification("ticket", severity=Severity.TICKET))
    made.offer(notification("page"))
    work_until_idle(made, time)
    assert [each.key for each in receiver.sent] == ["page", "ticket"]


def test_the_end_of_an_alert_is_never_told_before_its_beginning() -> None:
    receiver, time = Told([Retryable("away"), Retryable("away")]), Time()
    made, _ = delivery(receiver, time)
    made.offer(notification())
    made.offer(resolved())
    work_until_idle(made, time)
    assert [each.status for each in receiver.sent] == [Status.FIRING, Status.RESOLVED]


# --- once ----------------------------------------------------------------------------------------


def test_the_same_transition_is_sent_once_however_often_it_is_offered() -> None:
    receiver, time = Told(), Time()
    made, receipts = delivery(receiver, time)
    assert [made.offer(notification()) for _ in range(3)] == [True] * 3
    work_until_idle(made, time)
    assert made.offer(notification()) is False
    work_until_idle(made, time)
    assert (len(receiver.sent), len(receipts.all)) == (1, 1)


def test_what_failed_is_sent_again_when_it_is_offered_again() -> None:
    receiver, time = Told([Rejected("400")]), Time()
    made, receipts = delivery(receiver, time)
    made.offer(notification())
    made.work()
    assert made.offer(notification())
    made.work()
    assert [receipt.ok for receipt in receipts.all] == [False, True]


def test_what_an_earlier_life_has_delivered_is_not_sent_again() -> None:
    receiver, time = Told(), Time()
    made, _ = delivery(receiver, time)
    assert made.offer(notification(), delivered=True) is False
    assert made.work() is None
    assert receiver.sent == []


def test_a_full_queue_takes_nothing_and_counts_it() -> None:
    made, _ = delivery(Told(), Time())
    assert [made.offer(notification(str(key))) for key in range(5)] == [True, True, True, False, False]
    assert (made.tally().dropped, made.tally().waiting) == (2, 3)


# --- who wants what ------------------------------------------------------------------------------

PAGES = Wanted(severities=frozenset({Severity.PAGE}))
TICKET = {"severity": Severity.TICKET}


@pytest.mark.parametrize(
    ("wanted", "offered", "taken"),
    [
        (Wanted(), notification(), True),
        (PAGES, notification(), True),
        (PAGES, notification(**TICKET), False),
        (PAGES, resolved(**TICKET), False),
        (PAGES, notification(severity=None), True),
        (Wanted(frozenset({Audience.PLATFORM})), notification(), False),
        (Wanted(frozenset({Audience.PLATFORM})), notification(audience=Audience.PLATFORM), True),
        (Wanted(labels={"team": "payments"}), notification(labels={"team": "payments", "tier": "1"}), True),
        (Wanted(labels={"team": "payments"}), notification(labels={"team": "claims"}), False),
        (Wanted(labels={"team": "payments"}), notification(labels={}), False),
        (Wanted(name="mine"), notification(targets={Severity.PAGE: ["mine", "other"]}), True),
        (Wanted(name="mine"), notification(targets={Severity.PAGE: ["other"]}), False),
        (Wanted(name="mine"), notification(targets={Severity.TICKET: ["other"]}), True),
    ],
)
def test_a_receiver_is_told_only_what_it_wants(wanted: Wanted, offered: Notification, taken: bool) -> None:
    made, _ = delivery(Told(), Time(), replace(PLAIN, wanted=wanted))
    assert made.offer(offered) is taken
    assert made.tally().waiting == taken


def test_who_wants_only_pages_is_told_that_a_page_became_a_ticket() -> None:
    """Else the page would stay open there for ever."""
    eased = notification(**TICKET, replaced=Severity.PAGE, ended_at=resolved().ended_at)
    seen = PAGES.view(eased, now=START)
    assert seen is not None
    assert (seen.status, seen.severity, seen.replaced) == (Status.RESOLVED, Severity.PAGE, None)
    assert Wanted().view(eased, now=START) == eased
    unsaid = PAGES.view(replace(eased, ended_at=None), now=START)
    assert unsaid is not None
    assert (seen.ended_at, unsaid.ended_at) == (eased.ended_at, START)


def test_whom_only_the_ticket_is_meant_for_is_told_that_it_became_a_page() -> None:
    page = notification(replaced=Severity.TICKET, targets={Severity.PAGE: ["on-call"], Severity.TICKET: ["board"]})
    seen = Wanted(name="board").view(page, now=START)
    assert seen is not None
    assert (seen.status, seen.severity) == (Status.RESOLVED, Severity.TICKET)
    assert Wanted(name="on-call").view(page, now=START) == page


# --- keeping alerts alive ------------------------------------------------------------------------

REPEATING = replace(PLAIN, repeat_every=60.0)


def test_a_firing_alert_is_repeated_for_as_long_as_it_fires() -> None:
    receiver, time = Told(), Time()
    made, receipts = delivery(receiver, time, REPEATING)
    made.offer(notification())
    work_until_idle(made, time, seconds=600)
    assert receiver.sent == [notification()] * 11
    assert (made.tally().repeated, len(receipts.all)) == (10, 1)


def test_an_alert_that_has_ended_is_repeated_a_while_and_then_forgotten() -> None:
    receiver, time = Told(), Time()
    made, _ = delivery(receiver, time, REPEATING)
    made.offer(notification())
    made.offer(resolved())
    work_until_idle(made, time)
    assert [each.status for each in receiver.sent] == [Status.FIRING, *[Status.RESOLVED] * 16]
    assert made.work() is None


def test_after_a_restart_an_alert_is_kept_alive_at_once_and_then_as_always() -> None:
    receiver, time = Told(), Time()
    made, receipts = delivery(receiver, time, REPEATING)
    assert made.offer(notification(), delivered=True) is False
    made.work()
    assert len(receiver.sent) == 1
    assert made.offer(notification(), delivered=True) is False, "offered once more, it is not sent once more"
    work_until_idle(made, time, seconds=120)
    assert (len(receiver.sent), receipts.all) == (3, [])


def test_only_the_first_time_is_it_said_what_an_alert_was_before() -> None:
    receiver, time = Told(), Time()
    made, _ = delivery(receiver, time, REPEATING)
    made.offer(notification(replaced=Severity.TICKET, ended_at=resolved().ended_at))
    work_until_idle(made, time, seconds=60)
    assert [each.replaced for each in receiver.sent] == [Severity.TICKET, None]


def test_a_repetition_that_fails_is_made_again_at_its_next_time() -> None:
    receiver, time = Told([None, Retryable("away")]), Time()
    made, receipts = delivery(receiver, time, REPEATING)
    made.offer(notification())
    work_until_idle(made, time, seconds=60)
    assert (made.tally().error, made.tally().repeated) == ("away", 0)
    work_until_idle(made, time, seconds=60)
    assert (made.tally().error, made.tally().repeated, len(receipts.all)) == ("", 1, 1)


# --- what is told --------------------------------------------------------------------------------


def test_the_tally_says_how_the_receiver_does() -> None:
    made, _ = delivery(Told([Retryable("away"), None, Rejected("400")]), time := Time())
    made.offer(notification("a"))
    made.work()
    assert made.tally() == Tally("pager", retried=1, waiting=1, error="away")
    time.seconds += 1
    made.work()
    well = Tally("pager", sent=1, retried=1, last_sent_at=time.clock.wall())
    assert made.tally() == well
    made.offer(notification("b"))
    made.work()
    assert made.tally() == replace(well, failed=1, error="400")


def test_a_listener_that_fails_does_not_end_the_delivery() -> None:
    def refuse(receipt: Receipt) -> None:
        raise RuntimeError(receipt.receiver)

    receiver = Told()
    made = Delivery("pager", receiver, refuse, PLAIN)
    made.offer(notification("a"))
    made.work()
    made.offer(notification("b"))
    made.work()
    assert [each.key for each in receiver.sent] == ["a", "b"]


# --- properties ----------------------------------------------------------------------------------

OUTCOMES = st.sampled_from([None, Retryable("500"), Retryable("429", after=7.0), Rejected("400")])
OFFERS = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 30)), max_size=20)


@given(OFFERS, st.lists(OUTCOMES, max_size=60))
def test_each_transition_has_one_receipt_and_each_alert_its_order(
    offers: list[tuple[str, float]], outcomes: list[Exception | None]
) -> None:
    """Whatever the receiver does and whenever notifications come."""
    receiver, time = Told(outcomes), Time()
    made, receipts = delivery(receiver, time, replace(PLAIN, queue=100))
    offered = [notification(key, at=number) for number, (key, _) in enumerate(offers)]
    for each, (_, wait) in zip(offered, offers, strict=True):
        assert made.offer(each)
        work_until_idle(made, time, wait)
    work_until_idle(made, time)
    told = Counter(receipt.transition_id for receipt in receipts.all)
    assert told == Counter(each.transition_id for each in offered)
    for key in "abc":
        ids = [each.transition_id for each in offered if each.key == key]
        assert [r.transition_id for r in receipts.all if r.transition_id in ids] == ids
    tally = made.tally()
    assert (tally.sent, tally.sent + tally.failed, tally.waiting) == (len(receiver.sent), len(offered), 0)
