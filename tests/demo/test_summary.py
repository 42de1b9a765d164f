"""The end of a demo: what it says, and the exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.demo import run as demo
from pipeline.demo.ledger import Difference, Ledger
from pipeline.demo.noticing import Incident
from pipeline.demo.run import Options, Result
from pipeline.demo.summary import sentences
from sinks.clickhouse.audit import Audit
from tests.demo.samples import counted, job, plan, verdicts

GROUP = ("clinical-orders", "2.4")


@pytest.fixture
def fine() -> Result:
    """A demo of a minute in which all went well, and nothing was noticed."""
    told = Ledger({})
    told.add(job())
    return Result([counted(GROUP, **verdicts(20, 5))], {"rows": []}, Audit(), told, [], [], plan(60), 60)


def text_of(result: Result) -> str:
    return "\n".join(sentences(result))


def incident(group: tuple[str, str] = GROUP) -> Incident:
    return Incident(group, 24, 31, counted(group, **verdicts(100, 25)), counted(group, **verdicts(50, 40)))


def test_it_says_that_report_and_agents_agree(fine: Result) -> None:
    assert "The report is what the agents told, by their own account: 1 tasks finished, 0 abandoned" in text_of(fine)


def test_it_names_every_count_that_they_do_not_agree_on(fine: Result) -> None:
    text = text_of(replace(fine, differences=[Difference(*GROUP, "overridden", 3, 2)]))
    assert "clinical-orders 2.4: overridden is 2, the agents told 3" in text
    assert "The report is NOT what the agents told" in text


def test_it_holds_what_was_noticed_against_what_the_simulator_knew(fine: Result) -> None:
    text = text_of(replace(fine, incidents=[incident()]))
    assert "What the simulator knew: fhir.request ended in timeout for clinical-orders 2.4, 0:21-0:45." in text
    assert "The board noticed at 0:31, from what had landed: discrepancy 25% [18, 34] before, 80% [67, 89]" in text


def test_a_false_alarm_is_told_by_its_name(fine: Result) -> None:
    text = text_of(replace(fine, incidents=[incident(("bug-fixing", "1.15"))]))
    assert "The board noticed bug-fixing 1.15 at 0:31" in text


def test_an_incident_that_nobody_noticed_is_told(fine: Result) -> None:
    assert "The board noticed nothing: too few verdicts had come in." in text_of(fine)


def test_of_an_incident_that_has_not_begun_nothing_is_told(fine: Result) -> None:
    assert "simulator" not in text_of(replace(fine, seconds=5))


def test_it_says_what_is_real_and_what_is_invented(fine: Result) -> None:
    text = text_of(fine)
    for name in ("SWE-bench Verified", "Claude Code", "tau-bench airline", "tau2-bench", "MedAgentBench", "invented"):
        assert name in text


@pytest.fixture
def ran(fine: Result, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command runs, and what comes of it."""
    seen: dict[str, Any] = {"result": fine}

    def run(_settings: Any, options: Options, **_: Any) -> Result:
        seen["options"] = options
        result: Result = seen["result"]
        return result

    monkeypatch.setattr(demo, "run", run)
    return seen


def test_without_a_terminal_it_runs_for_a_minute_and_exits_with_0(ran: dict[str, Any]) -> None:
    done = CliRunner().invoke(app, ["demo"])
    assert done.exit_code == 0
    assert ran["options"] == Options(60, 30, 1)
    assert "clinical-orders 2.4" in done.stdout
    assert "audit: no difference" in done.stdout


def test_options_are_handed_on(ran: dict[str, Any]) -> None:
    options = ["--seconds", "5", "--rate", "10", "--seed", "9", "--kafka-port", "19092", "--clickhouse-port", "18123"]
    CliRunner().invoke(app, ["demo", *options])
    assert ran["options"] == Options(5, 10, 9, 19_092, 18_123)


def test_a_difference_of_the_audit_is_exit_code_1(ran: dict[str, Any]) -> None:
    ran["result"] = replace(ran["result"], audit=Audit(total=1))
    assert CliRunner().invoke(app, ["demo"]).exit_code == 1


def test_a_report_that_is_not_what_the_agents_told_is_exit_code_1(ran: dict[str, Any]) -> None:
    ran["result"] = replace(ran["result"], differences=[Difference(*GROUP, "overridden", 3, 2)])
    assert CliRunner().invoke(app, ["demo"]).exit_code == 1


def test_json_is_one_document_on_stdout(ran: dict[str, Any]) -> None:
    ran["result"] = replace(ran["result"], incidents=[incident()])
    found = json.loads(CliRunner().invoke(app, ["demo", "--output", "json"]).stdout)
    assert found["audit"] == {"differences": 0}
    assert found["landed"] == {"events": 0, "duplicates": 0, "dead_letters": 0}
    assert found["told"]["rows"][0]["counts"]["tasks_finished"] == 1
    assert found["incidents"] == [
        {"workflow": "clinical-orders", "agent_version": "2.4", "start": 24, "noticed": 31, "end": None}
    ]


def test_a_line_of_ndjson_is_a_row_of_the_report_or_the_rest(fine: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"window": None}, {"window": "now"}]
    monkeypatch.setattr(demo, "run", lambda *_, **__: replace(fine, report={"rows": rows}))
    lines = CliRunner().invoke(app, ["demo", "--output", "ndjson"]).stdout.splitlines()
    *first, rest = map(json.loads, lines)
    assert first == rows
    assert rest.keys() == {"audit", "landed", "told", "incidents"}
