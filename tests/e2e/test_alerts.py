"""From the event that breaks an objective to what its owner reads, on the running stack, through a restart."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.process import ChildProcess
from pipeline.alerter.held import held
from pipeline.alerter.process import Alerter
from pipeline.config import Settings
from pipeline.slo.alert_state import AlertState, alert_key
from sinks.clickhouse.objectives import ClickHouseObjectives
from tests.command import Trueup, runner
from tests.e2e.lab import Lab, lab_on, now_ns
from tests.notify.http_server import HttpServer, Request
from tests.objectives.documents import service, slo
from tests.otlp import logs, record, span, traces

OBJECTIVES = """
apiVersion: openslo/v1
kind: Service
metadata:
  name: parcels
  displayName: Lost parcels
  annotations:
    trueup.dev/owner: Ada Lovelace
    trueup.dev/contact: ada@example.com
    trueup.dev/launch-date: 2026-01-01
    trueup.dev/runbook: https://runbooks.example.com/parcels
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: completed, displayName: Parcels are found}
spec:
  service: parcels
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  indicator:
    metadata: {name: completion}
    spec:
      ratioMetric:
        good: {metricSource: {type: trueup, spec: {metric: completion_rate, part: numerator}}}
        total: {metricSource: {type: trueup, spec: {metric: completion_rate, part: denominator}}}
  objectives: [{displayName: found, target: 0.9}]
"""
ALERT_SECONDS = 15
BEHIND_SECONDS = 1_200


@pytest.fixture(scope="module")
def webhook() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture(scope="module")
def lab(webhook: HttpServer, broker: str) -> Iterator[Lab]:
    receiver = {"type": "webhook", "name": "owner", "url": webhook.url, "audiences": ["workflow"]}
    nowhere = {"type": "alertmanager", "name": "nowhere", "url": "http://127.0.0.1:1"}
    settings = Settings(
        kafka={"partitions": 2},  # type: ignore[arg-type]
        http={"port": 0},  # type: ignore[arg-type]
        alerter={"every": 1, "port": 0, "console": "https://trueup.example.com"},  # type: ignore[arg-type]
        notify={"receivers": [nowhere, receiver]},  # type: ignore[arg-type]
    )
    with lab_on(broker, settings, with_alerter=True) as lab:
        lab.land()
        yield lab


@pytest.fixture
def trueup(lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Trueup:
    monkeypatch.setenv("TRUEUP_CONFIG", str(lab.stack.config))
    return runner(capsys)


def finish(lab: Lab, name: str, outcome: str, number: int, workflow: str = "parcels", **told: str) -> None:
    """Tasks that end now."""
    at = now_ns()
    spans = [
        span(
            {"trueup.task.id": f"{name}-{n}", "trueup.task.outcome": outcome, **told},
            at=at,
            traceId=f"{at + n:032x}",
            spanId=f"{n + 1:016x}",
        )
        for n in range(number)
    ]
    lab.spans(traces(*spans, resource={"trueup.workflow": workflow}))


def told(requests: list[Request], workflow: str = "parcels") -> list[dict[str, Any]]:
    """The notifications of a workflow."""
    return [request.json for request in requests if request.json["workflow"] == workflow]


def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds:g} s: {what}"
        time.sleep(0.1)


def test_what_is_learnt_after_the_tasks_alerts_when_it_is_learnt(
    lab: Lab, webhook: HttpServer, trueup: Trueup, tmp_path: Path
) -> None:
    """Eight tasks end well. Then humans correct them, and say that the work was wrong."""
    document = tmp_path / "letters.yaml"
    overrides = slo("overrides", workflow="letters", metric="override_rate").replace("good:", "bad:")
    verified = slo("verified", workflow="letters", metric="verified_success_rate")
    document.write_text(service("letters") + overrides + verified)
    assert trueup("slo", "apply", str(document), "--by", "Ada", "--why", "first promise").code == 0
    finish(lab, "letter", "success", 8, workflow="letters")
    at, learnt = now_ns(), []
    for n in range(8):
        task = {"trueup.task.id": f"letter-{n}"}
        learnt.append(record("trueup.task.intervened", {**task, "trueup.intervention": "corrected"}, at=at))
        learnt.append(record("trueup.task.verified", {**task, "trueup.verdict": "failure"}, at=at))
    lab.logs(logs(*learnt, resource={"trueup.workflow": "letters"}))
    requests = webhook.wait(lambda requests: len(told(requests, "letters")) == 2, 60)
    found = {each["slo"]: each for each in told(requests, "letters")}
    assert (found["overrides"]["severity"], found["verified"]["severity"]) == ("page", "ticket")
    assert "reported: 8 of 8 bad" in "\n".join(found["overrides"]["text"])
    assert "arrivals: 8 of 8 bad" in "\n".join(found["verified"]["text"])
    rows = lab.client.query("SELECT min(claim_seen), min(verdict_seen) FROM task_rows FINAL WHERE workflow = 'letters'")
    assert all(rows.result_rows[0])


def test_an_owner_hears_of_a_broken_objective_once_and_of_its_end_once(
    lab: Lab, webhook: HttpServer, trueup: Trueup, tmp_path: Path
) -> None:
    """Although another receiver cannot be reached, and the alerter is started anew in between."""
    document = tmp_path / "parcels.yaml"
    document.write_text(OBJECTIVES)
    done = trueup("slo", "apply", str(document), "--by", "Ada", "--why", "first promise")
    assert (done.code, done.err) == (0, "parcels: version 1 is in force\n")

    finish(lab, "good", "success", 2, **{"trueup.task.type": "letter"})
    broken = time.monotonic()
    finish(lab, "bad", "failure", 10, **{"trueup.task.type": "crate", "gen_ai.agent.version": "7"})
    webhook.wait(lambda requests: len(told(requests)) == 1, 60)
    took = time.monotonic() - broken
    assert took < ALERT_SECONDS
    (firing,) = told(webhook.requests)
    assert (firing["status"], firing["severity"], firing["owner"]) == ("firing", "page", "Ada Lovelace")
    assert firing["title"] == "Page: parcels: Parcels are found: found"
    assert firing["runbook"] == "https://runbooks.example.com/parcels"
    assert firing["link"] == f"https://trueup.example.com/alerts/{firing['key']}"
    text = "\n".join(firing["text"])
    for words in ("90% completion rate", "10 of 12 bad", "budget left: -733%", "by case type: crate 10 of 10 bad"):
        assert words in text
    assert [task["text"].startswith("bad-") for task in firing["failed_tasks"]] == [True] * 3

    listed = trueup("alerts", "list", "--output", "json")
    (alert,) = (each for each in json.loads(listed.out)["alerts"] if each["workflow"] == "parcels")
    assert (listed.code, alert["key"], alert["level"]) == (1, firing["key"], "page")
    status = trueup("slo", "status", "--output", "json")
    (row,) = (each for each in json.loads(status.out)["objectives"] if each["workflow"] == "parcels")
    assert (status.code, row["missed"], row["committed"]["before_launch"]) == (1, True, False)
    assert (row["current"]["budget"]["numerator"], row["current"]["budget"]["denominator"]) == (2, 12)
    assert trueup("alerts", "ack", firing["key"][:6], "--by", "Bob").code == 0
    until(lambda: "acknowledged" in trueup("alerts", "history").out, "the acknowledgement is in the history")
    assert "(acknowledged)" in trueup("slo", "status").out

    assert lab.stack.alerter is not None
    lab.stack.alerter.stop()
    again = ChildProcess("the alerter", [sys.executable, "-P", "-m", "pipeline.cli", "alerter"])
    try:
        until(lambda: "evaluating" in again.tail(), "the alerter is back")
        finish(lab, "more", "success", 160)
        webhook.wait(lambda requests: len(told(requests)) == 2, 60)
    finally:
        again.stop()
    resolved = told(webhook.requests)[1]
    assert (resolved["status"], resolved["severity"], resolved["key"]) == ("resolved", "page", firing["key"])
    assert resolved["started_at"] == firing["started_at"]
    lines = json.loads(trueup("alerts", "history", firing["key"], "--output", "json").out)["history"]
    changes = [line["change"] for line in lines]
    assert [change for change in changes if change not in ("pending", "cleared", "frozen", "thawed")] == [
        "resolved",
        "acknowledged",
        "fired",
    ]
    assert len(told(webhook.requests)) == 2


def test_while_the_counts_are_behind_what_fires_is_frozen_and_nobody_is_told(
    lab: Lab, webhook: HttpServer, trueup: Trueup, tmp_path: Path
) -> None:
    """To an alerter whose clock is twenty minutes ahead the real worker is that far behind. Ends what others need."""
    assert lab.stack.alerter is not None
    lab.stack.alerter.stop()
    document = tmp_path / "late.yaml"
    document.write_text(service("late") + slo(workflow="late"))
    assert trueup("slo", "apply", str(document), "--by", "Ada", "--why", "first promise").code == 0
    finish(lab, "late", "failure", 12, workflow="late")
    ahead, stop = threading.Event(), threading.Event()

    def clock() -> float:
        return time.time() + BEHIND_SECONDS * ahead.is_set()

    def stored() -> AlertState:
        return held(ClickHouseObjectives(lab.client).states()[alert_key("late", "success", "right")]).alert

    def alert() -> tuple[str, str | None, set[str]]:
        state = stored()
        return state.phase, state.level, {reason.why for reason in state.reasons}

    alerter = threading.Thread(target=Alerter(lab.settings, clock).run, args=(stop,))
    alerter.start()
    try:
        webhook.wait(lambda requests: len(told(requests, "late")) == 1, 60)
        assert alert() == ("firing", "page", {"burning"})
        ahead.set()
        until(lambda: alert() == ("frozen", "page", {"behind"}), "the alert is frozen")
    finally:
        stop.set()
        alerter.join(30)
    assert not alerter.is_alive()
    evaluated = stored().evaluated
    assert evaluated is not None
    assert evaluated < int(clock()) // 60 - 5  # the minutes wait for their counts
    (told_once,) = told(webhook.requests, "late")
    lines = json.loads(trueup("alerts", "history", told_once["key"], "--output", "json").out)["history"]
    assert [line["change"] for line in lines if line["told"] == "yes"] == ["fired"]
    assert lines[0]["change"] == "frozen"
    (behind,) = re.findall(r"the counts are (\d+)m behind, more than 10m", lines[0]["why"])
    assert BEHIND_SECONDS // 60 <= int(behind) <= BEHIND_SECONDS // 60 + 3
