"""The loop: it goes on while ClickHouse is away, says so, and ends when it is told to."""

from __future__ import annotations

import threading
from itertools import count

from pipeline.alerter.engine import Ticked
from pipeline.alerter.process import Alerter
from pipeline.alerter.telling import Telling
from pipeline.config import Settings
from pipeline.health import respond
from pipeline.notify.receipt import Tally
from sinks.objectives import TransitionRow
from tests.notify.http_server import HttpServer


def test_that_clickhouse_is_away_is_told_to_the_owner_of_the_platform_once() -> None:
    """The clock goes a minute with every evaluation; nothing listens where ClickHouse should be."""
    minutes, stop = count(29_000_000), threading.Event()
    with HttpServer() as webhook:
        receiver = {"type": "webhook", "name": "platform", "url": webhook.url}
        settings = Settings(
            clickhouse={"url": "http://127.0.0.1:1"},  # type: ignore[arg-type]
            alerter={"every": 0.01, "owner": "Pat", "port": 0},  # type: ignore[arg-type]
            notify={"receivers": [receiver]},  # type: ignore[arg-type]
        )
        evaluated = [next(minutes)]

        def clock() -> float:
            evaluated.append(next(minutes))
            return evaluated[-1] * 60.0

        loop = threading.Thread(target=Alerter(settings, clock).run, args=(stop,))
        loop.start()
        try:
            (request,) = webhook.wait(lambda requests: len(requests) == 1)
            seen = len(evaluated)
            while len(evaluated) < seen + 5:
                stop.wait(0.01)
        finally:
            stop.set()
            loop.join(20)
        assert not loop.is_alive()
        told = request.json
        assert (told["audience"], told["status"], told["owner"]) == ("platform", "firing", "Pat")
        assert told["title"] == "Page: Trueup itself: ClickHouse"
        assert len(webhook.requests) == 1


def ticked(*changes: str) -> Ticked:
    lines = [TransitionRow(change, "k", "claims", "a", "1", 1, change, 1, 1, "", 0, 1, 1, "") for change in changes]
    return Ticked(7, tuple(lines), behind=False)


def test_it_is_ready_once_it_has_evaluated_and_says_why_it_is_not() -> None:
    telling = Telling(list)
    assert respond(telling, "/readyz")[0] == 503
    telling.failed("ClickHouse is away")
    assert telling.ready()[1]["why"] == ["ClickHouse is away"]
    telling.ticked(ticked())
    assert respond(telling, "/readyz")[0] == 200
    assert telling.ready()[1]["why"] == []


def test_what_it_did_and_how_its_receivers_are_doing_is_counted() -> None:
    telling = Telling(lambda: [Tally("slack", sent=3, failed=2, retried=9, dropped=1, waiting=4)])
    telling.ticked(ticked("fired", "fired", "resolved"))
    _, _, body = respond(telling, "/metrics")
    lines = body.decode().splitlines()
    for line in (
        "trueup_objectives 7.0",
        "trueup_evaluations_total 1.0",
        'trueup_alert_transitions_total{change="fired"} 2.0',
        'trueup_notifications_sent_total{receiver="slack"} 3.0',
        'trueup_notifications_failed_total{receiver="slack"} 2.0',
        'trueup_notifications_retried_total{receiver="slack"} 9.0',
        'trueup_notifications_dropped_total{receiver="slack"} 1.0',
        'trueup_notifications_waiting{receiver="slack"} 4.0',
    ):
        assert line in lines
