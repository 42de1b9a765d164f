"""From the stored history to those who are told: until they have it, once, and in order."""

from __future__ import annotations

from pipeline.alerter.delivery import Delivery, Patience
from sinks.objectives import MemoryObjectives, TransitionRow
from tests.alerter.world import Inbox, plain

NOW = 5_000


def line(at: int, change: str = "fired", key: str = "k", notifies: int = 1) -> TransitionRow:
    return TransitionRow(
        f"{key}-{at}-{change}", key, "claims", "a", "1", at, change, notifies, at, "{}", 0, at, 1, "{}"
    )


class Life:
    """A delivery, from a start to the end of its process."""

    def __init__(self, store: MemoryObjectives, inbox: Inbox) -> None:
        self.inbox = inbox
        self.delivery = Delivery(store, inbox, plain, Patience(repeat_for=1_440, retry_after=10))

    def run(self, now: int = NOW, *, ok: bool = True) -> list[str]:
        """What was delivered by a run, and the receipts of it."""
        before = len(self.inbox.got)
        self.delivery.run(now)
        self.inbox.deliver(self.delivery, ok=ok)
        self.delivery.store_receipts(now)
        return [each.transition_id for each in self.inbox.got[before:]]


def begin(*lines: TransitionRow) -> tuple[MemoryObjectives, Inbox, Life]:
    store, inbox = MemoryObjectives(), Inbox()
    store.append(list(lines))
    return store, inbox, Life(store, inbox)


def test_what_notifies_is_told_in_its_order_and_once() -> None:
    _, _, life = begin(line(NOW, "resolved"), line(NOW - 9), line(NOW - 5, "acknowledged", notifies=0))
    assert life.run() == [f"k-{NOW - 9}-fired", f"k-{NOW}-resolved"]
    assert life.run() == []


def test_news_is_told_by_the_next_run() -> None:
    store, _, life = begin(line(NOW - 9))
    life.run()
    store.append([line(NOW, "resolved")])
    assert life.run() == [f"k-{NOW}-resolved"]


def test_after_a_restart_what_was_delivered_is_not_told_again() -> None:
    store, inbox, life = begin(line(NOW - 9), line(NOW, "resolved"))
    life.run()
    assert Life(store, inbox).run() == []


def test_after_a_restart_what_was_only_offered_is_told() -> None:
    store, inbox, life = begin(line(NOW - 9))
    life.delivery.run(NOW)
    assert [row.delivered for row in store.notifications({f"k-{NOW - 9}-fired"})] == [0]
    inbox.die()
    assert Life(store, inbox).run() == [f"k-{NOW - 9}-fired"]


def test_after_a_restart_every_alert_that_still_fires_is_offered_with_who_has_it() -> None:
    """Alertmanager lets go of what is not repeated; the notifier knows whom to tell again."""
    store, inbox, life = begin(line(NOW - 3_000), line(NOW - 9, key="done"), line(NOW - 8, "resolved", key="done"))
    life.run()
    inbox.offers.clear()
    again = Life(store, inbox)
    again.run()
    again.run()
    assert inbox.offers == [(f"k-{NOW - 3_000}-fired", frozenset({"inbox"}))]


def test_what_is_older_than_is_repeated_and_has_ended_is_not_told() -> None:
    _, inbox, life = begin(line(NOW - 3_000), line(NOW - 2_999, "resolved"))
    assert life.run() == []
    assert inbox.offers == []


def test_what_a_receiver_refused_is_offered_again_after_a_pause() -> None:
    _, _, life = begin(line(NOW))
    life.run(ok=False)
    assert life.run(NOW + 9) == []
    assert life.run(NOW + 10) == [f"k-{NOW}-fired"]
    assert life.run(NOW + 30) == []


def test_what_a_receiver_refused_is_not_told_after_it_has_ended() -> None:
    store, _, life = begin(line(NOW))
    life.run(ok=False)
    store.append([line(NOW + 5, "resolved")])
    assert life.run(NOW + 6) == [f"k-{NOW + 5}-resolved"]
    assert life.run(NOW + 30) == []


def test_why_a_notification_failed_is_stored() -> None:
    store, _, life = begin(line(NOW))
    life.run(ok=False)
    (row,) = store.notifications({f"k-{NOW}-fired"})
    assert (row.receiver, row.delivered, row.detail) == ("inbox", 0, "400")


def test_what_had_no_room_is_offered_again() -> None:
    _, inbox, life = begin(line(NOW))
    inbox.dropping = True
    assert life.run() == []
    inbox.dropping = False
    assert life.run(NOW + 10) == [f"k-{NOW}-fired"]


def test_what_nobody_wants_is_offered_once() -> None:
    class Nobody(Inbox):
        def offer(self, *_: object, **__: object) -> frozenset[str]:
            self.offers.append(("", frozenset()))
            return frozenset()

    store, nobody = MemoryObjectives(), Nobody()
    store.append([line(NOW)])
    life = Life(store, nobody)
    life.run()
    life.run()
    assert len(nobody.offers) == 1


def test_a_receipt_that_cannot_be_stored_is_stored_later() -> None:
    class Away(MemoryObjectives):
        away = False

        def append(self, rows: object) -> None:  # type: ignore[override]
            if self.away and rows:
                raise OSError("away")
            super().append(rows)  # type: ignore[type-var]

    store, inbox = Away(), Inbox()
    store.append([line(NOW)])
    life = Life(store, inbox)
    life.delivery.run(NOW)
    inbox.deliver(life.delivery)
    store.away = True
    for _ in range(2):
        try:
            life.delivery.store_receipts(NOW)
        except OSError:
            continue
        raise AssertionError("the store is away")
    store.away = False
    life.delivery.run(NOW)
    assert [row.delivered for row in store.notifications({f"k-{NOW}-fired"})] == [0, 1]
