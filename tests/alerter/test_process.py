"""The loop: it goes on while ClickHouse is away, says so, and ends when it is told to."""

from __future__ import annotations

import threading
from itertools import count

import pytest

from deploy.local.clickhouse import ClickHouse
from pipeline.alerter.engine import Engine, Ticked
from pipeline.alerter.process import Alerter
from pipeline.alerter.telling import Telling
from pipeline.config import Settings
from pipeline.doctor import Check
from pipeline.health import respond
from pipeline.notify.receipt import Tally
from schemas.rows import Envelope
from sinks.clickhouse.client import connect
from sinks.clickhouse.objectives import ClickHouseObjectives
from sinks.clickhouse.store import ClickHouseStore
from sinks.objectives import TransitionRow
from tests.database import emptied
from tests.notify.http_server import HttpServer
from tests.objectives.documents import service, slo, version
from tests.objectives.samples import NOW, us


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


def test_the_first_evaluation_knows_what_waits_in_kafka(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever starts the alerter anew while workers are behind has no page resolved by that."""
    address = emptied(clickhouse, "first")
    store = ClickHouseObjectives(connect(address))
    store.append([version(1, "2026-01-10", service() + slo())])
    ClickHouseStore(connect(address)).write("envelopes", [Envelope(0, 0, 0, us(NOW), 1, 0, 0).line()])
    evaluated, tick = threading.Event(), Engine.tick

    def examine(*_: object, **__: object) -> list[Check]:
        evaluated.wait(1)  # Kafka takes its time: who does not wait for it, evaluates now
        return [Check("lag of otlp_spans", False, "7 messages wait", oldest=7_200.0)]

    def ticking(engine: Engine, now: int) -> Ticked:
        ticked = tick(engine, now)
        evaluated.set()
        return ticked

    monkeypatch.setattr("pipeline.alerter.process.examine", examine)
    monkeypatch.setattr(Engine, "tick", ticking)
    settings = Settings(
        clickhouse={"url": clickhouse.url, "database": address.database},  # type: ignore[arg-type]
        kafka={"partitions": 1},  # type: ignore[arg-type]
        alerter={"every": 0.05, "port": 0},  # type: ignore[arg-type]
    )
    stop = threading.Event()
    loop = threading.Thread(target=Alerter(settings, lambda: NOW * 60.0).run, args=(stop,))
    loop.start()
    try:
        while not (lines := [line for line in store.transitions() if line.workflow]):
            assert loop.is_alive()
            stop.wait(0.05)
    finally:
        stop.set()
        loop.join(20)
    assert "the counts are 121m behind" in lines[-1].transition
