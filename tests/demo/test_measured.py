"""What the board reads, from a local stack in which an incident has been on from the start."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.config import Settings
from pipeline.demo.figures import figures
from pipeline.demo.job import Verdict
from pipeline.demo.landing import land
from pipeline.demo.ledger import Ledger
from pipeline.demo.measured import failing_tool, snapshot, untrue_claim
from pipeline.demo.plan import Plan, Trouble
from pipeline.demo.run import for_demo
from pipeline.demo.simulation import Simulation
from pipeline.stack import Stack
from tests.demo.samples import plan

pytestmark = pytest.mark.e2e

BROKEN, FINE = ("clinical-orders", "2.4"), ("clinical-orders", "2.3")


@dataclass
class Done:
    """Where everything has landed, and what that is."""

    client: Client
    plan: Plan
    told: Ledger


@pytest.fixture(scope="module")
def done() -> Iterator[Done]:
    plan_ = plan(2, seed=4, rate=60, trouble=Trouble(0, 1e9))
    with Stack(for_demo(Settings(), figures())) as stack:
        with Simulation(stack.settings, plan_) as simulation:
            _wait_for_the_end_of(simulation)
            simulation.finish()
        land(stack.settings, alive=lambda: stack.alive, waiting=lambda _stage, _left: None)
        yield Done(stack.client, plan_, simulation.ledger)


def _wait_for_the_end_of(simulation: Simulation) -> None:
    deadline = time.monotonic() + 60
    while simulation.running:
        assert time.monotonic() < deadline, "the agents did not end in a minute"
        time.sleep(0.02)


def test_a_snapshot_has_everything_that_was_told(done: Done) -> None:
    now = snapshot(done.client, 5)
    assert now.groups.keys() == done.told.counts.keys()
    assert done.told.differences(now.groups.values()) == []
    assert now.events > done.told.total("actions")
    assert now.dead_letters == 0
    assert now.lag is not None
    assert 0 <= now.lag < 120


def test_the_failing_tool_is_found_with_its_error(done: Done) -> None:
    found = failing_tool(done.client, BROKEN, 600)
    counts = done.told.counts[BROKEN]
    assert found is not None
    assert (found.name, found.error) == ("fhir.request", "timeout")
    assert (found.failed, found.calls) == (counts["tool_errors"], counts["tool_calls"])


def test_a_version_whose_tools_work_has_no_failing_tool(done: Done) -> None:
    assert done.told.counts[FINE]["tool_errors"] == 0
    assert failing_tool(done.client, FINE, 600) is None


def test_an_untrue_claim_is_one_that_was_planned(done: Done) -> None:
    untrue = {
        job.task_id
        for job in done.plan.jobs()
        if job.claim == "success"
        and (found := [later for later in job.later if isinstance(later, Verdict)])
        and found[-1].word == "failure"
    }
    assert untrue_claim(done.client, None) in untrue
    broken = untrue_claim(done.client, BROKEN)
    assert broken in untrue
    assert broken is not None
    assert broken.startswith("clinical-orders-")
    assert untrue_claim(done.client, ("no-such-workflow", "1")) is None
