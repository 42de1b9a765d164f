"""Delivery to the real Alertmanager: what it keeps, and what it tells its own receivers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache

import pytest

from pipeline.config import Settings
from pipeline.notify.build import notifier_of
from pipeline.notify.clock import MICRO, micros
from pipeline.notify.document import timestamp
from pipeline.notify.notification import Notification
from pipeline.notify.notifier import Notifier
from pipeline.slo.windows import Severity
from tests.notify.alertmanager_server import INSTALL, AlertmanagerServer, eventually, is_installed
from tests.notify.world import Receipts, notification, resolved

pytestmark = pytest.mark.skipif(not is_installed(), reason=INSTALL)

FIRING, RESOLVED = ("firing", "page"), ("resolved", "page")
HOUR = timedelta(hours=1)


@cache
def begun() -> dict[str, int]:
    """A minute before the first test."""
    return {"started_at": micros() - 60 * MICRO}


@cache
def ended() -> dict[str, int]:
    return {**begun(), "ended_at": micros()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertmanagerServer]:
    with AlertmanagerServer(tmp_path_factory.mktemp("alertmanager")) as running:
        yield running


@contextmanager
def notifying(server: AlertmanagerServer, receipts: Receipts, **settings: object) -> Iterator[Notifier]:
    receiver = {"type": "alertmanager", "name": "am", "url": server.url, "repeat_every": "1s", **settings}
    with notifier_of(Settings(notify={"receivers": [receiver]}), receipts) as notifier:  # type: ignore[arg-type]
        yield notifier


@pytest.fixture
def offer(server: AlertmanagerServer) -> Iterator[Callable[..., Notifier]]:
    """Offers notifications to a notifier of this test, and returns it once Alertmanager has taken them."""
    receipts = Receipts()
    with notifying(server, receipts) as notifier:

        def offer(*notifications: Notification) -> Notifier:
            for each in notifications:
                assert notifier.offer(each) == {"am"}
            told = receipts.wait(
                lambda all_: {n.transition_id for n in notifications} <= {r.transition_id for r in all_}
            )
            assert all(receipt.ok for receipt in told), told
            return notifier

        yield offer


def told(server: AlertmanagerServer, key: str, *expected: tuple[str, str]) -> None:
    eventually(lambda: server.notified(key) == list(expected), f"told of {key}: {expected}")


def test_a_firing_alert_is_told_to_the_receivers_of_alertmanager(
    server: AlertmanagerServer, offer: Callable[..., Notifier]
) -> None:
    offer(notification("fires", **begun()))
    told(server, "fires", FIRING)
    (request,) = [r for r in server.webhook.requests if '"fires"' in r.body.decode()]
    (alert,) = request.json["alerts"]
    assert alert["labels"]["workflow"] == "refunds"
    assert alert["annotations"]["summary"] == notification().title
    assert alert["generatorURL"] == notification().link
    assert datetime.fromisoformat(alert["startsAt"]) == datetime.fromisoformat(timestamp(begun()["started_at"]))


def test_an_alert_that_is_repeated_stays_one_alert_and_is_told_once(
    server: AlertmanagerServer, offer: Callable[..., Notifier]
) -> None:
    """Far beyond Alertmanager's own timeout, which is a second here."""
    notifier = offer(notification("repeated", **begun()))
    (first,) = server.alerts("repeated")
    eventually(lambda: notifier.tallies()[0].repeated >= 3, "three repetitions")
    (last,) = server.alerts("repeated")
    assert last["fingerprint"] == first["fingerprint"]
    assert last["startsAt"] == first["startsAt"]
    assert datetime.fromisoformat(last["endsAt"]) > datetime.fromisoformat(first["endsAt"])
    assert server.notified("repeated") == [FIRING]


def test_an_alert_that_ends_is_told_to_have_ended(server: AlertmanagerServer, offer: Callable[..., Notifier]) -> None:
    offer(notification("ends", **begun()))
    told(server, "ends", FIRING)
    offer(resolved("ends", **ended()))
    told(server, "ends", FIRING, RESOLVED)
    assert server.alerts("ends") == []


def test_an_alert_that_fires_again_is_told_again(server: AlertmanagerServer, offer: Callable[..., Notifier]) -> None:
    offer(notification("again", **begun()))
    told(server, "again", FIRING)
    offer(resolved("again", **ended()))
    told(server, "again", FIRING, RESOLVED)
    offer(notification("again", at=3, started_at=micros()))
    told(server, "again", FIRING, RESOLVED, FIRING)


def test_a_ticket_that_becomes_a_page_is_one_alert_at_a_time(
    server: AlertmanagerServer, offer: Callable[..., Notifier]
) -> None:
    offer(notification("louder", severity=Severity.TICKET, **begun()))
    told(server, "louder", ("firing", "ticket"))
    offer(notification("louder", at=2, replaced=Severity.TICKET, **ended()))
    assert [alert["labels"]["severity"] for alert in server.alerts("louder")] == ["page"]
    eventually(
        lambda: set(server.notified("louder")[1:]) == {FIRING, ("resolved", "ticket")},
        "the page, the end of the ticket",
    )


def test_a_silenced_alert_is_delivered_and_told_to_nobody(
    server: AlertmanagerServer, offer: Callable[..., Notifier]
) -> None:
    """Whom Alertmanager silences is its business: the delivery succeeds."""
    server.silence("silenced", timestamp(micros()), timestamp(micros() + 600 * MICRO))
    offer(notification("silenced", **begun()))
    eventually(lambda: [a["status"]["state"] for a in server.alerts("silenced")] == ["suppressed"], "suppressed")
    offer(notification("heard", **begun()))
    told(server, "heard", FIRING)
    assert server.notified("silenced") == []


def test_replicas_that_repeat_each_other_make_one_alert(server: AlertmanagerServer) -> None:
    receipts = Receipts()
    with notifying(server, receipts) as one, notifying(server, receipts) as two:
        for replica in (one, two):
            replica.offer(notification("twice", **begun()))
        eventually(lambda: all(n.tallies()[0].repeated >= 2 for n in (one, two)), "both have repeated it twice")
        assert len(server.alerts("twice")) == 1
        for replica in (one, two):
            replica.offer(resolved("twice", **ended()))
        receipts.wait(lambda all_: len(all_) == 4)
        told(server, "twice", FIRING, RESOLVED)
        repeated = [n.tallies()[0].repeated for n in (one, two)]
        eventually(
            lambda: all(n.tallies()[0].repeated > before for n, before in zip((one, two), repeated, strict=True)),
            "both have repeated its end",
        )
    assert server.alerts("twice") == []
    assert server.notified("twice") == [FIRING, RESOLVED]


def test_an_alert_outlives_a_notifier_that_falls_silent_by_what_hold_says(server: AlertmanagerServer) -> None:
    """A restart resolves nothing; only a long silence does."""
    for hold, key in (("1h", "long"), ("2s", "short")):
        receipts = Receipts()
        with notifying(server, receipts, hold=hold) as notifier:
            notifier.offer(notification(key, **begun()))
    told(server, "short", FIRING, RESOLVED)
    (alert,) = server.alerts("long")
    left = datetime.fromisoformat(alert["endsAt"]) - datetime.fromisoformat(timestamp(micros()))
    assert timedelta(minutes=59) < left <= HOUR
    assert server.notified("long") == [FIRING]


def test_a_restarted_alertmanager_is_told_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    """It keeps alerts in memory only."""
    first = AlertmanagerServer(tmp_path_factory.mktemp("first"))
    receipts = Receipts()
    with first, notifying(first, receipts) as notifier:
        notifier.offer(notification("kept", **begun()))
        receipts.wait(lambda all_: len(all_) == 1)
        first.restart()
        before = notifier.tallies()[0].repeated
        eventually(lambda: notifier.tallies()[0].repeated > before, "told again")
        assert len(first.alerts("kept")) == 1
