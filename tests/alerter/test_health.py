"""The pipeline's own alerts: troubles that last are told to the owner of the platform, once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.alerter.advance import Subject
from pipeline.alerter.health import Finding, arrivals, audited, checks, evaluated, taken_until
from pipeline.alerter.held import held
from pipeline.alerter.outage import Outage
from pipeline.alerter.settings import AlerterSettings
from pipeline.alerter.watch import Watch
from pipeline.config import Settings
from pipeline.doctor import Check
from pipeline.notify.notification import Audience, Notification, Status
from pipeline.slo.alert_state import Transition
from pipeline.slo.windows import Severity
from schemas.rows import DeadLetter, Envelope, Replay
from sinks.clickhouse.store import ClickHouseStore
from sinks.objectives import ACKNOWLEDGE, SILENCE, ActionRow, MemoryObjectives
from sinks.port import Transient
from tests.objectives.samples import NOW, us

NAME = "lag of agent.actions"


def finding(ok: bool | None, lasting: int = 2) -> Finding:
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


def told(run: Run) -> list[tuple[int, str]]:
    """What people were told, and how many minutes after the first."""
    return [(line.at - NOW, line.change) for line in reversed(run.store.transitions()) if line.notifies]


def test_a_trouble_that_began_in_a_silence_is_told_once_the_silence_ends() -> None:
    run = Run()
    run.act(SILENCE, until=NOW + 10)
    run.see(*[False] * 15, lasting=0)
    assert told(run) == [(10, "unsilenced")]
    (line,) = (line for line in run.store.transitions() if line.notifies)
    reasons = Transition.model_validate_json(line.transition).reasons
    assert [reason.text for reason in reasons] == ["the silence has ended", "9000 messages wait"]
    assert held(run.store.states()[finding(True).key]).alert.silence is None


def test_whoever_was_told_of_a_trouble_is_told_of_its_end_in_a_silence_too() -> None:
    run = Run()
    run.see(False, lasting=0)
    run.act(SILENCE, until=NOW + 60)
    run.see(False, True, True, lasting=0)
    assert told(run) == [(0, "fired"), (2, "resolved")]


def test_a_trouble_that_nobody_was_told_of_ends_without_a_word() -> None:
    run = Run()
    run.act(SILENCE, until=NOW + 10)
    run.see(False, True, lasting=0)
    assert run.see(*[True] * 20) == ["silenced", "fired", "resolved", "unsilenced"]
    assert told(run) == []


def test_a_finding_that_decides_nothing_leaves_the_alert_and_ends_its_silence() -> None:
    def undecided(run: Run, minutes: int) -> None:
        for _ in range(minutes):
            run.watch.take([Finding(NAME, None, "3 are open", Severity.PAGE, 0)])
            run.see(None)

    quiet, run = Run(), Run()
    undecided(quiet, 5)
    assert quiet.see() == []
    run.act(SILENCE, until=NOW + 5)
    run.see(False, lasting=0)
    undecided(run, 9)
    assert told(run) == [(5, "unsilenced")]
    assert run.see(True)[-1] == "resolved"


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


def test_the_doctors_failures_are_troubles_and_its_advice_is_not() -> None:
    told = [
        Check("Kafka", True, "here"),
        Check("lag of otlp_spans", False, "7 messages wait", "add workers"),
        Check("clocks", False, "9 s apart", "synchronise them"),
        Check("partitions", True, "12 in Kafka, 12 configured"),
        Check("dead letters: not_otlp", True, "7 open"),
        Check("cost", False, "unknown"),
    ]
    found = list(checks(told))
    assert [(each.name, each.ok, each.severity) for each in found] == [
        ("Kafka", True, "page"),
        ("lag of otlp_spans", False, "page"),
        ("clocks", False, "ticket"),
        ("partitions", True, "ticket"),
    ]
    assert found[1].text == "lag of otlp_spans: 7 messages wait. add workers"


@pytest.mark.parametrize(
    ("spans", "logs", "until"),
    [
        (0.0, 0.0, None),
        (600.0, 3.0, None),  # waits for no longer than `freeze_after`
        (601.0, 3.0, NOW - 12),  # of minute NOW - 11 some waits
        (3.0, 7_200.0, NOW - 121),
    ],
)
def test_telemetry_that_waits_for_a_worker_for_long_is_missing_in_the_counts(
    spans: float, logs: float, until: int | None
) -> None:
    examined = [
        Check("Kafka", True, ""),
        Check("lag of otlp_spans", True, "", oldest=spans),
        Check("lag of otlp_logs", True, "", oldest=logs),
        Check("lag of agent.actions", False, "", oldest=90_000.0),  # the counts know of this themselves
    ]
    assert taken_until(examined, Settings(), NOW * 60, 7) == until
    assert taken_until(examined[:1], Settings(), NOW * 60, 7) == 7


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
        "dead letters": None,  # old and still open: no news, and not over
        "no data": False,
    }
    store.write("replays", [Replay("otlp_spans", 0, 1, us(NOW + 9)).line()])
    assert {each.name: each.ok for each in arrivals(client, settings, later)}["dead letters"] is True


def test_an_audit_without_differences_is_fine(client: Client) -> None:
    (made, found) = audited(client, Settings(), NOW * 60)
    assert (made.ok, found.ok, found.severity) == (True, True, "page")


def test_a_difference_that_the_audit_finds_pages_at_once(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    monkeypatch.setattr("pipeline.alerter.health.audit", lambda *_, **__: SimpleNamespace(total=3))
    (made, found) = audited(client, Settings(), NOW * 60)
    assert (made.ok, found.ok, found.severity, found.lasting) == (True, False, "page", 0)
    assert "finds 3 differences" in found.text


def test_an_audit_that_cannot_be_made_twice_is_a_trouble_of_its_own_and_decides_nothing_about_differences(
    monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise Transient("Code: 241. memory limit exceeded")

    run = Run()
    for hour, fails in enumerate((False, True, True, False)):
        with monkeypatch.context() as patched:
            if fails:
                patched.setattr("pipeline.alerter.health.audit", refused)
            run.watch.take(audited(client, Settings(), NOW * 60))
        run.watch.tick(NOW + 60 * hour)
    lines = list(reversed(run.store.transitions()))
    assert [(line.objective, line.change, line.notifies) for line in lines] == [
        ("making the audit", "pending", 0),
        ("making the audit", "fired", 1),
        ("making the audit", "resolved", 1),
    ]
    assert "could not be made (Code: 241. memory limit exceeded)" in lines[1].transition


def test_objectives_that_cannot_be_evaluated_page_at_once_with_the_first_of_them_and_why() -> None:
    failed = {Subject("claims", f"slo-{at}", "right"): OverflowError("date value out of range") for at in range(5)}
    (found,) = evaluated(failed)
    assert (found.ok, found.severity, found.lasting) == (False, "page", 0)
    assert "claims/slo-0/right (OverflowError: date value out of range), claims/slo-1/right" in found.text
    assert "and 2 more" in found.text
    (fine,) = evaluated({})
    assert fine.ok


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


def test_the_end_of_an_outage_is_told_though_the_alerter_was_started_anew_in_it() -> None:
    """Who was told of it knows the key; what is known of its beginning is until when evaluations were stored."""
    (away,) = told_of(False, False, False)
    again = Outage(AlerterSettings(owner="Pat"))
    assert again.failed(Transient("gone"), NOW + 4) is None
    back = again.ended(NOW + 5, stored=NOW - 1)
    assert back is not None
    assert (back.status, back.key, back.started_at) == (Status.RESOLVED, away.key, away.started_at)
    assert again.ended(NOW + 6, stored=NOW - 1) is None


@pytest.mark.parametrize("stored", [None, NOW - 2])
def test_a_start_at_which_nothing_was_missed_tells_nobody(stored: int | None) -> None:
    assert Outage(AlerterSettings()).ended(NOW, stored=stored) is None
