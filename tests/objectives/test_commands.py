"""`trueup slo` and `trueup alerts`, on a ClickHouse with tasks in it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from deploy.local.clickhouse import ClickHouse
from pipeline.alerter.counts import LandedCounts
from pipeline.alerter.engine import Engine, Policy
from pipeline.alerter.in_force import StoredObjectives
from pipeline.report.build import stamp
from schemas.rows import Envelope
from sinks.clickhouse.client import connect
from sinks.clickhouse.objectives import ClickHouseObjectives
from sinks.clickhouse.store import ClickHouseStore
from tests.command import Trueup, runner
from tests.database import emptied
from tests.objectives.documents import service, slo
from tests.objectives.samples import row, us

BY = ("--by", "Ada", "--why", "launch")


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[ClickHouse]:
    with ClickHouse() as running:
        yield running


@pytest.fixture
def client(clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> Client:
    """An empty database, which the command is configured to use."""
    address = emptied(clickhouse, "commands")
    monkeypatch.setenv("TRUEUP_CLICKHOUSE__URL", clickhouse.url)
    monkeypatch.setenv("TRUEUP_CLICKHOUSE__DATABASE", address.database)
    monkeypatch.delenv("TRUEUP_CONFIG", raising=False)
    return connect(address)


@pytest.fixture
def trueup(client: Client, capsys: pytest.CaptureFixture[str]) -> Trueup:
    return runner(capsys)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    file = tmp_path / "claims.yaml"
    file.write_text(service(launch="2026-01-01") + slo())
    return file


def this_minute() -> int:
    """What a person does through the command carries the real time, so everything here is of now."""
    return int(time.time()) // 60


def land(client: Client, good: int, bad: int) -> None:
    """Tasks of this minute, folded to its end."""
    now = this_minute()
    rows = [row(f"good-{n}", now) for n in range(good)]
    rows += [row(f"bad-{n}", now, claim="failure") for n in range(bad)]
    store = ClickHouseStore(client)
    store.write("tasks", [task.line() for task in rows])
    store.write("envelopes", [Envelope(0, 0, 0, us(now + 1), 1, 0, 0).line()])


def tick(client: Client, later: int = 0) -> None:
    """One evaluation, so many minutes from now."""
    store = ClickHouseObjectives(client)
    Engine(store, StoredObjectives(store, 576_000), LandedCounts(client, store, 0, 1), Policy()).tick(
        this_minute() + later
    )


def span() -> tuple[str, ...]:
    """The options that adjust what has just landed."""
    return "--from", "2h", "--to", stamp((this_minute() + 9) * 60)


def parsed(text: str, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)[key]
    return found


def test_before_anything_is_applied_status_says_what_to_do(trueup: Trueup) -> None:
    done = trueup("slo", "status")
    assert (done.code, done.err) == (0, "no objectives are applied yet; `trueup slo apply FILE` does\n")


def test_documents_with_problems_are_not_applied(trueup: Trueup, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(service() + slo(target="1.5"))
    done = trueup("slo", "apply", str(file), *BY)
    assert done.code == 2
    assert f"{file}:" in done.err
    assert "nothing was applied" in done.err
    assert trueup("slo", "status", "--output", "json").out == '{\n "objectives": []\n}\n'


def test_a_dry_run_says_what_would_change_and_changes_nothing(trueup: Trueup, document: Path) -> None:
    assert trueup("slo", "apply", str(document), *BY, "--dry-run").err == "claims: version 1 would be in force\n"
    assert trueup("slo", "apply", str(document), *BY).err == "claims: version 1 is in force\n"
    assert trueup("slo", "apply", str(document), *BY).err == "claims: nothing changes\n"


def test_a_target_that_was_lowered_after_launch_is_shown_as_moved_and_still_missed(
    trueup: Trueup, client: Client, document: Path
) -> None:
    land(client, 7, 3)
    trueup("slo", "apply", str(document), *BY)
    document.write_text(service(launch="2026-01-01") + slo(target="0.5"))
    moved = trueup("slo", "apply", str(document), "--by", "Bob", "--why", "too hard")
    assert "after the commitment: target of success/right moved from 90% to 50%" in moved.err
    done = trueup("slo", "status", "--output", "json")
    (found,) = parsed(done.out, "objectives")
    assert (done.code, found["current"]["met"], found["committed"]["met"], found["missed"]) == (1, True, False, True)
    (move,) = found["moved"]
    assert (move["before"], move["after"], move["by"], move["why"]) == ("90%", "50%", "Bob", "too hard")
    table = trueup("slo", "status").out
    for words in ("70.00%", "90%  MISSED", "50%", "Moved after the commitment", "Bob"):
        assert words in table


@pytest.mark.parametrize("later", [slo("other", "0.5"), slo(target="0.5").replace("right", "fine")])
def test_a_promise_that_was_removed_after_launch_is_still_shown_and_still_missed(
    trueup: Trueup, client: Client, document: Path, later: str
) -> None:
    land(client, 7, 3)
    trueup("slo", "apply", str(document), *BY)
    document.write_text(service(launch="2026-01-01") + later)
    trueup("slo", "apply", str(document), "--by", "Eve", "--why", "too hard")
    done = trueup("slo", "status")
    assert (done.code, done.err) == (1, "")
    for words in ("success/right (removed)", "70.00%", "90%  MISSED", "Eve", "too hard"):
        assert words in done.out
    done = trueup("slo", "report", "claims", "--output", "json")
    told = {each["objective"]: each for each in parsed(done.out, "objectives")}["right"]
    assert (done.code, told["commitment"], told["missed"], told["committed"]["met"]) == (1, "removed", True, False)
    report = trueup("slo", "report", "claims")
    assert (report.code, "success/right (removed)" in report.out, "owner       Ada" in report.out) == (1, True, True)


def test_a_target_that_is_met_is_exit_0(trueup: Trueup, client: Client, document: Path) -> None:
    land(client, 10, 0)
    trueup("slo", "apply", str(document), *BY)
    assert trueup("slo", "status").code == 0
    assert "+100%" in trueup("slo", "status", "--workflow", "claims").out


def test_a_span_can_be_left_out_of_the_budget(trueup: Trueup, client: Client, document: Path) -> None:
    land(client, 7, 3)
    trueup("slo", "apply", str(document), *BY)
    assert "(" not in trueup("slo", "status").out
    done = trueup("slo", "adjust", "claims", *span(), "--by", "Bob", "--why", "the bank was away")
    assert done.code == 0, done.err
    for table in (trueup("slo", "status").out, trueup("slo", "report", "claims").out):
        for words in ("- (70.00%)", "- (-200%)", "90%  (MISSED as counted)", "adjusted by Bob"):
            assert words in table
    done = trueup("slo", "status", "--output", "json")
    (found,) = parsed(done.out, "objectives")
    assert (done.code, found["current"]["budget"]["denominator"], found["current"]["raw"]["denominator"]) == (0, 0, 10)
    report = trueup("slo", "report", "claims").out
    for words in ("the bank was away", "Versions", "launch", "Ada"):
        assert words in report
    told = json.loads(trueup("slo", "report", "claims", "--output", "json").out)
    assert [each["by"] for each in told["adjustments"]] == ["Bob"]
    assert [each["version"] for each in told["versions"]] == [1]


def test_what_was_applied_is_exported_in_every_version_and_can_be_applied_again(
    trueup: Trueup, document: Path, tmp_path: Path
) -> None:
    for target in ("0.9", "0.5"):
        document.write_text(service(launch="2026-01-01") + slo(target=target))
        trueup("slo", "apply", str(document), *BY)
    first, latest = trueup("slo", "export", "claims", "--version", "1").out, trueup("slo", "export", "claims").out
    assert ("target: 0.9" in first, "target: 0.5" in latest) == (True, True)
    again = tmp_path / "exported.yaml"
    again.write_text(latest)
    assert trueup("slo", "apply", str(again), *BY).err == "claims: nothing changes\n"


def adjustments(trueup: Trueup) -> list[dict[str, Any]]:
    return parsed(trueup("slo", "report", "claims", "--output", "json").out, "adjustments")


def test_an_adjustment_that_is_withdrawn_counts_no_more_and_stays_in_the_history(
    trueup: Trueup, client: Client, document: Path
) -> None:
    land(client, 7, 3)
    trueup("slo", "apply", str(document), *BY)
    for who, why in (("Bob", "the bank was away"), ("Ben", "and so was the post")):
        assert trueup("slo", "adjust", "claims", *span(), "--by", who, "--why", why).code == 0
    first, second = adjustments(trueup)
    assert (first["withdrawn"], second["withdrawn"]) == (None, None)
    done = trueup("slo", "adjust", "claims", "--withdraw", first["id"][:9], "--by", "Eve", "--why", "it was not")
    assert (done.code, first["id"] in done.err) == (0, True)
    assert parsed(trueup("slo", "status", "--output", "json").out, "objectives")[0]["current"]["raw"] is not None
    trueup("slo", "adjust", "claims", "--withdraw", second["id"], "--by", "Eve", "--why", "nor was it")
    (found,) = parsed(trueup("slo", "status", "--output", "json").out, "objectives")
    assert (found["current"]["budget"]["denominator"], found["current"]["raw"]) == (10, None)
    assert found["current"]["adjustments"] == []
    told, other = adjustments(trueup)
    assert (told["by"], told["why"], other["by"]) == ("Bob", "the bank was away", "Ben")
    assert (told["withdrawn"]["by"], told["withdrawn"]["why"]) == ("Eve", "it was not")
    report = trueup("slo", "report", "claims").out
    for words in ("the bank was away", "it was not", "by Eve"):
        assert words in report
    again = trueup("slo", "adjust", "claims", "--withdraw", first["id"], "--by", "Ada", "--why", "again")
    assert (
        again.code,
        "was withdrawn already, by Eve: it was not" in " ".join(again.err.replace("│", " ").split()),
    ) == (
        2,
        True,
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("slo", "adjust", "claims", *BY), "--withdraw ID"),
        (("slo", "adjust", "claims", "--from", "2h", *BY), "--from and --to"),
        (("slo", "adjust", "claims", "--withdraw", "a", "--from", "2h", *BY), "leave out --from"),
        (("slo", "adjust", "claims", "--withdraw", "zz", *BY), "none is in force"),
        (("slo", "adjust", "claims", "--withdraw", "", *BY), "none is in force"),
        (("slo", "report", "refunds"), "there are claims"),
        (("slo", "export", "refunds"), "there are claims"),
        (("slo", "export", "claims", "--version", "7"), "its versions are 1 to 1"),
        (("slo", "status", "--workflow", "refunds"), "there are claims"),
        (("slo", "adjust", "claims", "--from", "1h", "--to", "2h", *BY), "the span is empty"),
        (("slo", "adjust", "claims", "--from", "2h", "--to", "1h", "--slo", "x", *BY), "choose of success/right"),
        (("slo", "adjust", "claims", "--from", "2h", "--to", "2100-01-01", *BY), "longer than 31 days"),
        (("alerts", "ack", "zz", "--by", "Bob"), "alerts list --all"),
        (("alerts", "silence", "zz", "--by", "Bob", "--why", "w", "--for", "soon"), "not a duration"),
        (("alerts", "silence", "zz", "--by", "Bob", "--why", "w", "--for", "5s"), "less than a minute"),
        (("alerts", "silence", "zz", "--by", "Bob", "--why", " ", "--for", "5m"), "--why"),
        (("alerts", "silence", "zz", "--by", "Bob", "--why", "w"), "--for, or --end"),
        (("alerts", "silence", "zz", "--by", "Bob", "--why", "w", "--for", "5m", "--end"), "--for, or --end"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error_that_says_what_would(
    trueup: Trueup, document: Path, arguments: tuple[str, ...], says: str
) -> None:
    trueup("slo", "apply", str(document), *BY)
    done = trueup(*arguments)
    assert done.code == 2
    assert says in " ".join(done.err.replace("│", " ").split())


def test_an_alert_can_be_seen_acknowledged_silenced_and_its_history_read(
    trueup: Trueup, client: Client, document: Path
) -> None:
    land(client, 0, 9)
    trueup("slo", "apply", str(document), *BY)
    assert trueup("alerts", "list").code == 0
    tick(client)
    done = trueup("alerts", "list", "--output", "json")
    (alert,) = parsed(done.out, "alerts")
    assert (done.code, alert["workflow"], alert["objective"], alert["level"]) == (1, "claims", "success/right", "page")
    assert "9 of 9 bad" in alert["why"]
    assert trueup("alerts", "ack", alert["key"], "--by", "Bob", "--why", "on it").code == 0
    assert trueup("alerts", "silence", alert["key"][:5], "--by", "Bob", "--why", "known", "--for", "2h").code == 0
    tick(client, 2)
    (alert,) = parsed(trueup("alerts", "list", "--output", "json").out, "alerts")
    assert alert["acknowledged_by"] == "Bob"
    assert alert["silenced_until"] is not None
    assert trueup("alerts", "silence", alert["key"], "--by", "Bob", "--why", "gone", "--end").code == 0
    tick(client, 5)
    (alert,) = parsed(trueup("alerts", "list", "--output", "json").out, "alerts")
    assert (alert["level"], alert["silenced_until"]) == ("page", None)
    lines = parsed(trueup("alerts", "history", alert["key"], "--output", "json").out, "history")
    assert [line["change"] for line in lines] == ["unsilenced", "silenced", "silenced", "acknowledged", "fired"]
    assert "acknowledged by Bob: on it" in trueup("alerts", "history").out
    assert "page" in trueup("slo", "report", "claims").out
    for words in (("slo", "status"), ("slo", "report", "claims"), ("alerts", "list"), ("alerts", "history")):
        documents = [json.loads(line) for line in trueup(*words, "--output", "ndjson").out.splitlines()]
        assert documents, words


def test_what_does_not_fire_cannot_be_acknowledged(trueup: Trueup, client: Client, document: Path) -> None:
    land(client, 9, 0)
    trueup("slo", "apply", str(document), *BY)
    tick(client)
    (alert,) = parsed(trueup("alerts", "list", "--all", "--output", "json").out, "alerts")
    done = trueup("alerts", "ack", alert["key"], "--by", "Bob")
    assert (done.code, "nothing to" in done.err) == (2, True)


@pytest.mark.parametrize("name", ["customer_support", "eu.Refunds", "Kundenanfragen (DE)"])
def test_a_workflow_has_the_name_of_its_telemetry_in_everything_that_is_told_of_it(
    trueup: Trueup, client: Client, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "named.yaml"
    file.write_text(service("support", launch=None, workflow=name) + slo(workflow="support"))
    assert json.loads(trueup("slo", "check", str(file), "--output", "json").out)["objectives"][0]["workflow"] == name
    assert f"{name}: version 1 is in force" in trueup("slo", "apply", str(file), *BY).err
    exported = trueup("slo", "export", name).out
    file.write_text(exported)
    assert f"{name}: nothing changes" in trueup("slo", "apply", str(file), *BY).err
    now = this_minute()
    rows = [row(f"bad-{n}", now, claim="failure", workflow=name) for n in range(40)]
    store = ClickHouseStore(client)
    store.write("tasks", [task.line() for task in rows])
    store.write("envelopes", [Envelope(0, 0, 0, us(now + 1), 1, 0, 0).line()])
    tick(client)
    (status,) = json.loads(trueup("slo", "status", "--output", "json").out)["objectives"]
    assert (status["workflow"], status["current"]["budget"]["denominator"]) == (name, 40)
    (alert,) = json.loads(trueup("alerts", "list", "--output", "json").out)["alerts"]
    assert (alert["workflow"], alert["level"]) == (name, "page")
    assert json.loads(trueup("slo", "report", name, "--output", "json").out)["history"][0]["workflow"] == name


@pytest.mark.parametrize(("launch", "said"), [("2099-01-01", "2099-01-01T00:00:00Z"), ("2026-01-01", None)])
def test_what_may_still_be_changed_before_a_launch_is_told(
    trueup: Trueup, tmp_path: Path, launch: str, said: str | None
) -> None:
    file = tmp_path / "claims.yaml"
    file.write_text(service(launch=launch) + slo())
    assert trueup("slo", "apply", str(file), *BY).code == 0
    (standing,) = json.loads(trueup("slo", "status", "--output", "json").out)["objectives"]
    assert standing["committed"]["open_until"] == said
    assert (f"(open until {launch})" in trueup("slo", "status").out) is (said is not None)
