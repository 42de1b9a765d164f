"""How long it takes from the event that breaks an objective until a real Alertmanager has notified somebody."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Self

import pytest

from pipeline.config import Settings
from pipeline.stack import Stack
from sinks.clickhouse.objectives import ClickHouseObjectives
from sinks.objectives import Version
from tests.e2e.lab import Lab, now_ns
from tests.notify.alertmanager_server import INSTALL, AlertmanagerServer, is_installed
from tests.objectives.documents import service, slo
from tests.otlp import span, traces

WORKFLOWS = 100
APART_SECONDS = 0.43
"""No divisor of the seconds between evaluations: the events come at every moment between two of them."""
P99_SECONDS = 15.0


@pytest.mark.long
@pytest.mark.skipif(not is_installed(), reason=INSTALL)
def test_an_owner_is_notified_within_fifteen_seconds_at_p99(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the default settings; each workflow breaks an objective of its own."""
    with AlertmanagerServer(tmp_path) as alertmanager:
        receiver = {"type": "alertmanager", "name": "alertmanager", "url": alertmanager.url}
        settings = Settings(
            http={"port": 0},  # type: ignore[arg-type]
            alerter={"port": 0},  # type: ignore[arg-type]
            notify={"receivers": [receiver]},  # type: ignore[arg-type]
        )
        with Stack(settings, with_alerter=True) as stack, Lab(stack) as lab, Watched(alertmanager) as watched:
            lab.land()
            commit(lab)
            sent: dict[str, float] = {}
            for number in range(WORKFLOWS):
                sent[name(number)] = time.monotonic()
                fail(lab, name(number))
                threading.Event().wait(APART_SECONDS)
            watched.until(len(sent))
    took = sorted(watched.at[workflow] - when for workflow, when in sent.items())
    middle, high = took[len(took) // 2], took[int(len(took) * 0.99)]
    with capsys.disabled():
        print(f"\n{len(took)} alerts: median {middle:.1f} s, p99 {high:.1f} s, longest {took[-1]:.1f} s")  # noqa: T201
    assert high < P99_SECONDS


class Watched:
    """When each workflow's first notification came to Alertmanager's own receiver."""

    def __init__(self, alertmanager: AlertmanagerServer) -> None:
        self._alertmanager = alertmanager
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.at: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def until(self, number: int, seconds: float = 120) -> None:
        """Return when so many workflows have been told of."""
        deadline = time.monotonic() + seconds
        while len(self.at) < number:
            assert time.monotonic() < deadline, f"{len(self.at)} of {number} in {seconds:g} s"
            self._stop.wait(0.05)

    def _watch(self) -> None:
        seen = 0
        while not self._stop.wait(0.02):
            requests = self._alertmanager.webhook.requests
            for request in requests[seen:]:
                for alert in request.json["alerts"]:
                    if "workflow" in alert["labels"]:
                        self.at.setdefault(alert["labels"]["workflow"], time.monotonic())
                seen += 1


def name(number: int) -> str:
    return f"workflow-{number}"


def commit(lab: Lab) -> None:
    """An objective for each workflow."""
    now = time.time_ns() // 1_000
    store = ClickHouseObjectives(lab.client)
    texts = {name(n): service(name(n)) + slo(workflow=name(n)) for n in range(WORKFLOWS)}
    store.append([Version(workflow, 1, workflow, text, now, "Ada", "launch") for workflow, text in texts.items()])


def fail(lab: Lab, workflow: str) -> None:
    """Ten tasks that end now, none of them well."""
    at = now_ns()
    outcome = {"trueup.task.outcome": "failure"}
    spans = [
        span({"trueup.task.id": f"{workflow}-{n}", **outcome}, at=at, traceId=f"{at + n:032x}", spanId=f"{n + 1:016x}")
        for n in range(10)
    ]
    lab.spans(traces(*spans, resource={"trueup.workflow": workflow}))
