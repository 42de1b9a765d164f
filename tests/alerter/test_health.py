"""The pipeline's own alerts: troubles that last are told to the owner of the platform, once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.alerter.health import Finding, arrivals, audited, checks
from pipeline.alerter.held import held
from pipeline.alerter.outage import Outage
from pipeline.alerter.settings import AlerterSettings
from pipeline.alerter.watch import Watch
from pipeline.config import Settings
from pipeline.doctor import Check
from pipeline.notify.notification import Audience, Notification, Status
from pipeline.slo.windows import Severity
from schemas.rows import DeadLetter, Envelope
from sinks.clickhouse.store import ClickHouseStore
from sinks.objectives import ACKNOWLEDGE, SILENCE, ActionRow, MemoryObjectives
from sinks.port import Transient
from tests.objectives.samples import NOW, us

NAME = "lag of agent.actions"


def finding(ok: bool, lasting: int = 2) -> Finding:
    return Finding(NAME, ok, "9000 messages wait", Severity.PAGE, lasting)


class Run:
    """A watch that ticks every minute with a finding, or without."""

    def __init__(self) -> None:
        self.store = MemoryObjectives()
        self.watch = Watch(self.store)
        self.minute = NOW

    def see(self, *found: bool | None, lasting: int = 2) -> list[str]:
        """One finding a minute: True is fine, None is not looked at. All changes so far."""
        for ok in found:
            if ok is not None:
                self.watch.take([finding(ok, lasting)])
            self.watch.tick(self.minute)
            self.minute += 1
        return [line.change for line in reversed(self.store.transitions())]

    def act(self, kind: str, until: int = 0) -> None:
        self.store.append([ActionRow("x", finding(True).key, kind, "Bob", "on it", us(self.minute), until)])


def test_a_trouble_that_lasts_is_told_once_and_its_end_too() -> None:
    run = Run()
    assert run.see(True, False, False, False, False, False, True, True) == ["pending", "fired", "resolved"]
    fired = run.store.transitions()[1]
    assert (fired.workflow, fired.slo, fired.objective, fired.notifies) == ("", "pipeline", NAME, 1)
    assert "9000 messages wait" in fired.transition


def test_a_trouble_that_passes_is_told_to_nobody() -> None:
    run = Run()
    assert run.see(True, False, False, True, False, True) == ["pending", "cleared", "pending", "cleared"]
    assert not any(line.notifies for line in run.store.transitions())


def test_what_cannot_be_looked_at_stays_as_it_is() -> None:
    run = Run()
    assert run.see(False, None, None, False, None, None, None) == ["pending", "fired"]


def test_some_troubles_need_not_last() -> None:
    assert Run().see(True, False, lasting=0) == ["fired"]


def test_it_can_come_back() -> None:
    run = Run()
    assert run.see(False, True, False, True, lasting=0) == ["fired", "resolved"] * 2
    assert len({line.id for line in run.store.transitions()}) == 4


def test_a_restart_tells_nothing_again() -> None:
    run = Run()
    run.see(False, False, False)
    run.watch = Watch(run.store)
    assert run.see(False, False) == ["pending", "fired"]


def test_it_can_be_acknowledged_and_silenced() -> None:
    run = Run()
    run.see(False, lasting=0)
    run.act(ACKNOWLEDGE)
    run.see(False)
    state = held(run.store.states()[finding(True).key]).alert
    assert state.acknowledged is not None
    quiet = Run()
    quiet.act(SILENCE, until=NOW + 60)
    quiet.see(False, lasting=0)
    assert [(line.change, line.notifies) for line in quiet.store.transitions()] == [("fired", 0), ("silenced", 0)]


def test_findings_that_could_not_be_stored_are_stored_later() -> None:
    class Away(MemoryObjectives):
        def states(self) -> dict[str, object]:  # type: ignore[override]
            raise Transient("gone")

    run = Run()
    run.watch._store = Away()
    run.watch.take([finding(False, 0)])
    with pytest.raises(Transient):
        run.watch.tick(NOW)
    run.watch._store = run.store
    assert run.watch.tick(NOW) == 1


def test_the_doctors_failures_are_troubles_and_its_advice_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [
        Check("Kafka", True, "here"),
        Check("lag of otlp_spans", False, "7 messages wait", "add workers"),
        Check("clocks", False, "9 s apart", "synchronise them"),
        Check("dead letters: not_otlp", True, "7 open"),
        Check("cost", False, "unknown"),
    ]
    monkeypatch.setattr("pipeline.alerter.health.examine", lambda *_: told)
    found = list(checks(Settings(), lambda: 0.0))
    assert [(each.name, each.ok, each.severity) for each in found] == [
        ("Kafka", True, "page"),
        ("lag of otlp_spans", False, "page"),
        ("clocks", False, "ticket"),
    ]
    assert found[1].text == "lag of otlp_spans: 7 messages wait. add workers"


def test_dead_letters_and_silence_are_found(client: Client) -> None:
    settings, seconds = Settings(alerter={"dead_letters": 1}), NOW * 60  # type: ignore[arg-type]
    assert [each.name for each in arrivals(client, settings, seconds)] == ["dead letters"]
    store = ClickHouseStore(client)
    store.write(
        "envelopes", [Envelope(0, 0, 0, us(NOW), 1, 0, 0).line(), Envelope(0, 0, 1, us(NOW + 9_999), 0, 1, 0).line()]
    )
    letters = [DeadLetter("otlp_spans", 0, n, -1, us(NOW), "not_otlp", "", "") for n in range(2)]
    store.write("dead_letters", [letters[0].line()])
    assert {each.name: each.ok for each in arrivals(client, settings, seconds)} == {
        "dead letters": True,
        "no data": True,
    }
    store.write("dead_letters", [letters[1].line()])
    later = seconds + 86_400
    assert {each.name: each.ok for each in arrivals(client, settings, seconds)}["dead letters"] is False
    assert {each.name: each.ok for each in arrivals(client, settings, later)} == {
        "dead letters": True,
        "no data": False,
    }


def test_an_audit_without_differences_is_fine(client: Client) -> None:
    (found,) = audited(client, Settings(), NOW * 60)
    assert (found.ok, found.severity) == (True, "page")


def test_a_difference_that_the_audit_finds_pages_at_once(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    monkeypatch.setattr("pipeline.alerter.health.audit", lambda *_, **__: SimpleNamespace(total=3))
    (found,) = audited(client, Settings(), NOW * 60)
    assert (found.ok, found.severity, found.lasting) == (False, "page", 0)
    assert "finds 3 differences" in found.text


# --- the store itself is away --------------------------------------------------------------------


def told_of(*outcomes: bool) -> list[Notification]:
    """What is told of evaluations that succeed or fail, one a minute."""
    outage = Outage(AlerterSettings(owner="Pat"))
    told = [
        outage.ended(NOW + at) if ok else outage.failed(Transient("gone"), NOW + at) for at, ok in enumerate(outcomes)
    ]
    return [each for each in told if each is not None]


def test_the_owner_of_the_platform_is_told_that_clickhouse_is_away_and_that_it_is_back() -> None:
    away, back = told_of(True, False, False, False, False, True, True)
    assert (away.status, away.audience, away.owner, away.started_at) == (
        Status.FIRING,
        Audience.PLATFORM,
        "Pat",
        us(NOW + 1),
    )
    assert (back.status, back.key, back.ended_at) == (Status.RESOLVED, away.key, us(NOW + 5))
    assert away.transition_id != back.transition_id


def test_an_outage_that_passes_is_told_to_nobody() -> None:
    assert told_of(False, False, True, False, True) == []
