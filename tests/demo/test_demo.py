"""`trueup demo` from outside, on the whole local stack: what landed is what the agents told, to the nano-dollar."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.demo.figures import figures
from pipeline.demo.job import Verdict
from pipeline.demo.ledger import COUNTED, Ledger
from schemas.units import MICRO, NANO
from tests.demo.samples import plan
from tests.terminal import PATIENCE, Terminal, environment, exists, leftovers

pytestmark = pytest.mark.e2e

SECONDS, SEED, RATE = 8, 7, 30
Json = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder to run in, with one for temporary files."""
    folder = tmp_path_factory.mktemp("anywhere")
    (folder / "temporary").mkdir()
    return folder


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "pipeline.cli", "demo", *options]


@pytest.fixture(scope="module")
def ran(folder: Path) -> subprocess.CompletedProcess[str]:
    """A short run without a terminal."""
    options = ("--seconds", str(SECONDS), "--seed", str(SEED), "--rate", str(RATE), "--output", "json")
    return subprocess.run(
        command(*options),
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture(scope="module")
def result(ran: subprocess.CompletedProcess[str]) -> Json:
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found: Json = json.loads(ran.stdout)
    return found


@pytest.fixture(scope="module")
def planned() -> Ledger:
    """What the agents should have told, from the plan alone."""
    ledger = Ledger(figures().human_usd_per_hour)
    for job in plan(SECONDS, seed=SEED, rate=RATE).jobs():
        ledger.add(job)
    return ledger


def by_group(rows: list[Json]) -> Iterator[tuple[tuple[str, str], Json]]:
    for row in rows:
        yield (row["by"]["workflow"], row["by"]["agent_version"]), row


def test_the_agents_told_all_that_was_planned(result: Json, planned: Ledger) -> None:
    told = {group: row["counts"] for group, row in by_group(result["told"]["rows"])}
    assert told.keys() == planned.counts.keys()
    for group, counts in planned.counts.items():
        assert {name: told[group].get(name, 0) for name in COUNTED} == {name: counts[name] for name in COUNTED}


def test_the_report_is_what_the_agents_told(result: Json, planned: Ledger) -> None:
    reported = {group: row["counts"] for group, row in by_group(result["report"]["rows"])}
    assert reported.keys() == planned.counts.keys()
    for group, counts in planned.counts.items():
        shown = reported[group].keys() & set(COUNTED)
        assert len(shown) > 10
        assert {name: reported[group][name] for name in shown} == {name: counts[name] for name in shown}
        assert reported[group]["cost_usd"] == f"{counts['cost_nano'] // NANO}.{counts['cost_nano'] % NANO:09}"
    assert result["told"]["differences"] == []


def test_sampled_verdicts_and_costs_by_category_are_right_too(result: Json, planned: Ledger) -> None:
    for group, row in by_group(result["report"]["rows"]):
        counts, metrics = planned.counts[group], row["metrics"]
        rate = metrics["verified_success_rate"]
        assert (rate["numerator"], rate["denominator"]) == (
            counts["weight_success"] / MICRO,
            counts["weight_known"] / MICRO,
        )
        human = metrics["cost_per_task"]["by_category"]["human"]
        assert float(human) == pytest.approx(counts["cost_human_nano"] / NANO / counts["tasks_finished"])


def test_the_audit_finds_nothing_and_nothing_is_lost(result: Json, planned: Ledger) -> None:
    assert result["audit"] == {"differences": 0}
    assert result["landed"]["dead_letters"] == 0
    assert result["landed"]["duplicates"] == sum(
        later.times - 1
        for job in plan(SECONDS, seed=SEED, rate=RATE).jobs()
        for later in job.later
        if isinstance(later, Verdict)
    )


def test_progress_is_told_on_stderr(ran: subprocess.CompletedProcess[str]) -> None:
    lines = ran.stderr.splitlines()
    assert lines[0] == "Starting Kafka, ClickHouse and the worker on this machine ..."
    assert any("tasks finished" in line and "dead letters 0" in line for line in lines)
    assert lines[-2:] == [
        "The agents stop. What they have told is landing ...",
        "It has landed. The audit recomputes it from the raw events ...",
    ]


@pytest.mark.usefixtures("ran")
def test_nothing_is_left_behind(folder: Path) -> None:
    assert [path.name for path in folder.iterdir()] == ["temporary"]
    assert leftovers(folder) == []


@pytest.fixture
def terminal(folder: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*options: str) -> Terminal:
        opened.append(Terminal(folder, "demo", *options))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds child processes in /proc")
def test_in_a_terminal_it_goes_on_until_ctrl_c_and_ends_with_report_and_audit(
    terminal: Callable[..., Terminal], folder: Path
) -> None:
    shown = terminal()
    shown.wait_for(lambda: "flight-changes" in shown.written and "The first verdicts" in shown.written)
    children = shown.children()
    assert len(children) >= 3
    shown.interrupt()
    assert shown.wait() == 0, shown.written[-4_000:]
    end = shown.written[shown.written.rindex("The agents stop.") :]
    assert "Traceback" not in shown.written
    assert "clinical-orders" in end
    assert "audit: no difference" in end
    assert "The report is what the agents told" in end
    assert not [pid for pid in children if exists(pid)]
    assert leftovers(folder) == []


def test_ctrl_c_while_it_starts_ends_it_at_once(terminal: Callable[..., Terminal], folder: Path) -> None:
    shown = terminal()
    shown.wait_for(lambda: "Starting Kafka" in shown.written)
    shown.interrupt()
    assert shown.wait() == 130
    assert "Traceback" not in shown.written
    assert shown.written.splitlines()[-1] == "Stopped."
    assert leftovers(folder) == []
