"""All receivers together, each in its thread."""

from __future__ import annotations

import threading
import time

import pytest

from pipeline.notify.backoff import Backoff
from pipeline.notify.delivery import Delivery, Policy
from pipeline.notify.notification import Notification
from pipeline.notify.notifier import Notifier
from pipeline.notify.receiver import Retryable
from tests.notify.world import Receipts, Told, notification

PROMPT = Policy(backoff=Backoff(first=0.001, longest=0.001))


class Hung(Told):
    """A receiver that does not come back before it is let go."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.entered, self.let_go = threading.Event(), threading.Event()

    def send(self, notification: Notification) -> None:
        self.entered.set()
        self.let_go.wait(30)
        super().send(notification)


def test_a_receiver_that_hangs_delays_neither_the_others_nor_the_caller() -> None:
    hung, well, receipts = Hung(), Told(), Receipts()
    notifier = Notifier([Delivery("hung", hung, receipts, PROMPT), Delivery("well", well, receipts, PROMPT)])
    notifier.offer(notification("a"))
    assert hung.entered.wait(20)
    begun = time.monotonic()
    for number in range(100):
        assert notifier.offer(notification(str(number))) == {"hung", "well"}
    assert time.monotonic() - begun < 1, "a hundred offers do not wait for anybody"
    told = receipts.wait(lambda all_: len(all_) == 101)
    assert {receipt.receiver for receipt in told} == {"well"}
    assert [tally.waiting for tally in notifier.tallies()] == [101, 0]
    hung.let_go.set()
    assert notifier.close(timeout=20) == 0
    assert len(hung.sent) == 101


def test_what_waits_is_delivered_before_the_end() -> None:
    receiver, receipts = Told([Retryable("away")] * 3), Receipts()
    with Notifier([Delivery("pager", receiver, receipts, PROMPT)]) as notifier:
        for number in range(10):
            notifier.offer(notification(str(number)))
    assert (len(receiver.sent), len(receipts.all), receiver.closed) == (10, 10, True)


def test_the_end_does_not_wait_for_a_receiver_that_is_away() -> None:
    receiver = Told([Retryable("away")] * 1_000_000)
    notifier = Notifier([Delivery("pager", receiver, Receipts(), PROMPT)])
    notifier.offer(notification())
    assert notifier.close(timeout=0.05) == 1
    assert receiver.sent == []


def test_nothing_is_taken_after_the_end() -> None:
    receiver = Told()
    notifier = Notifier([Delivery("pager", receiver, Receipts(), PROMPT)])
    assert notifier.close(timeout=20) == 0
    assert notifier.offer(notification()) == frozenset()


def test_only_who_lacks_it_is_given_what_was_delivered_to_others_before() -> None:
    one, two, receipts = Told(), Told(), Receipts()
    with Notifier([Delivery("one", one, receipts, PROMPT), Delivery("two", two, receipts, PROMPT)]) as notifier:
        assert notifier.offer(notification(), delivered_to={"one"}) == {"two"}
    assert (len(one.sent), len(two.sent)) == (0, 1)


def test_a_notifier_without_receivers_takes_nothing() -> None:
    with Notifier([]) as notifier:
        assert (notifier.offer(notification()), notifier.tallies()) == (frozenset(), [])


def test_two_receivers_cannot_have_one_name() -> None:
    with pytest.raises(ValueError, match="different names"):
        Notifier([Delivery("one", Told(), Receipts()), Delivery("one", Told(), Receipts())])
