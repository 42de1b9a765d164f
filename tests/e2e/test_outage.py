"""ClickHouse goes away in every way it can; the worker holds, says so once, and catches up."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.lab import Lab, Place, now_ns
from tests.e2e.rig import Rig, WorkerProcess, eventually
from tests.otlp import span, traces

pytestmark = pytest.mark.every_broker

WAITING_BYTES = 750_000_000
HELD_BYTES = 300_000_000  # about 200 MB are: two buffers of 64 MB, what is fetched, what is folded
MINUTES_AWAY = 5
AWAY, BACK = "ClickHouse is away", "ClickHouse is back"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, broker: str) -> Iterator[Rig]:
    # A session that every outage outlasts, and that a worker which waits for its turn on a busy machine does not lose.
    changes = {"clickhouse": {"timeout": 15}, "kafka": {"session_timeout": 9}}
    with Rig(tmp_path_factory.mktemp("rig"), changes, broker=broker) as rig:
        yield rig


@pytest.fixture(scope="module")
def lab(rig: Rig) -> Iterator[Lab]:
    with Lab(rig) as lab:
        yield lab


@pytest.fixture(scope="module")
def worker(rig: Rig) -> WorkerProcess:
    """One worker that lives through all outages; it takes bad messages in any number."""
    worker = rig.start_worker({"limits": {"dead_share": 1}})
    worker.until_ready()
    return worker


def task(name: str, spans: int = 3) -> bytes:
    """A finished task of some spans."""
    number = abs(hash(name)) % 2**60
    trace = f"{number:032x}"
    root = f"{1:016x}"
    others = [span(traceId=trace, spanId=f"{i + 2:016x}", parentSpanId=root, at=now_ns()) for i in range(spans - 1)]
    last = span({"trueup.task.id": name, "trueup.task.outcome": "success"}, traceId=trace, spanId=root, at=now_ns())
    return traces(*others, last, resource={"trueup.workflow": "outage"})


def outages(worker: WorkerProcess) -> tuple[int, int]:
    """How often it has said that ClickHouse went, and that it is back."""
    return len(worker.logged(AWAY)), len(worker.logged(BACK))


def freeze(rig: Rig) -> None:
    assert rig.clickhouse.pid is not None
    os.killpg(rig.clickhouse.pid, signal.SIGSTOP)


def thaw(rig: Rig) -> None:
    assert rig.clickhouse.pid is not None
    os.killpg(rig.clickhouse.pid, signal.SIGCONT)


Fault = Callable[[Rig], Any]
FAULTS: dict[str, tuple[Fault, Fault]] = {
    "refused connections": (lambda rig: rig.proxy.refuse(), lambda rig: rig.proxy.pass_on()),
    "HTTP 500": (lambda rig: rig.proxy.answer("500 Internal Server Error", "oops"), lambda rig: rig.proxy.pass_on()),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_worker_holds_says_so_once_and_catches_up(rig: Rig, lab: Lab, worker: WorkerProcess, fault: str) -> None:
    holds(rig, lab, worker, fault, *FAULTS[fault])


def test_the_worker_holds_while_the_server_is_frozen(rig: Rig, lab: Lab, worker: WorkerProcess) -> None:
    holds(rig, lab, worker, "a frozen server", freeze, thaw)


def holds(rig: Rig, lab: Lab, worker: WorkerProcess, fault: str, begin: Fault, end: Fault) -> None:
    lab.land(lab.spans(task(f"before {fault}")))
    before = outages(worker)
    rebalances = worker.metric("trueup_rebalances_total")
    begin(rig)
    try:
        places = lab.all_spans(task(f"{fault} {i}") for i in range(20))
        told = eventually(
            lambda: (ready := worker.ready()) and not ready["ready"] and ready, f"/readyz tells of {fault}"
        )
        assert "ClickHouse has been away for" in told["why"][0]
        assert worker.running
    finally:
        end(rig)
    lab.land(*places)
    eventually(lambda: worker.ready().get("ready"), "the worker is ready again")
    assert [lab.task(f"{fault} {i}")["claim"] for i in range(20)] == ["success"] * 20
    assert outages(worker) == (before[0] + 1, before[1] + 1)
    assert worker.metric("trueup_rebalances_total") == rebalances
    assert "clickhouse_connect" not in worker.text


@pytest.mark.long
def test_it_holds_for_minutes_and_keeps_its_place_in_the_group(rig: Rig, lab: Lab, worker: WorkerProcess) -> None:
    """What is frozen takes nothing and refuses nothing: the hardest outage to notice."""
    lab.land(lab.spans(task("before minutes")))
    before, held, rebalances = outages(worker), worker.memory, worker.metric("trueup_rebalances_total")
    places: list[Place] = []

    def gone_for_minutes() -> bool:
        places.append(lab.spans(task(f"minutes {len(places)}")))
        away = re.search(r"away for (\d+)", str(worker.ready()))
        return away is not None and int(away[1]) >= MINUTES_AWAY * 60

    freeze(rig)
    try:
        eventually(gone_for_minutes, "ClickHouse has been away for minutes", seconds=MINUTES_AWAY * 60 + 60)
        grown = worker.memory - held
    finally:
        thaw(rig)
    lab.land(*places)
    assert grown < HELD_BYTES
    claimed = "SELECT count() FROM tasks WHERE startsWith(task_id, 'minutes ') AND claim = 'success'"
    assert rig.client.command(claimed) == len(places)
    assert outages(worker) == (before[0] + 1, before[1] + 1)
    assert worker.metric("trueup_rebalances_total") == rebalances


def test_an_insert_that_is_cut_in_the_middle_is_done_again(rig: Rig, lab: Lab, worker: WorkerProcess) -> None:
    cuts, before = rig.proxy.cuts, outages(worker)
    rig.proxy.cut_after(100_000, times=3)  # the client itself tries a second time
    lab.land(lab.spans(task("large", spans=2_000)))
    assert rig.proxy.cuts == cuts + 3
    assert lab.task("large")["events"] == 2_000
    assert outages(worker) == (before[0] + 1, before[1] + 1)


def test_a_table_that_is_not_there_is_told_with_the_fix_and_waited_for(
    rig: Rig, lab: Lab, worker: WorkerProcess
) -> None:
    """As when a worker is newer than the tables."""
    lab.land(lab.spans(task("before the table went")))
    rig.client.command("RENAME TABLE raw_events TO hidden")
    try:
        place = lab.spans(task("without its table"))
        told = eventually(lambda: "does not let" in str(worker.ready()) and worker.ready(), "/readyz tells of it")
        assert "trueup migrate" in told["why"][0]
    finally:
        rig.client.command("RENAME TABLE hidden TO raw_events")
    lab.land(place)
    assert lab.task("without its table")["claim"] == "success"


def test_its_memory_does_not_grow_with_what_waits(rig: Rig, lab: Lab, worker: WorkerProcess) -> None:
    """The messages are as large as Trueup's own, and none of any use: what they cost is their bytes."""
    before, held, sent = worker.memory, 0, 0
    rig.proxy.refuse()
    try:
        while sent < WAITING_BYTES:
            lab.put_all("agent.actions", [b"x" * 900_000] * 10, partition=0)
            sent += 9_000_000
            held = max(held, worker.memory - before)
    finally:
        rig.proxy.pass_on()
    assert held < HELD_BYTES
    lab.land()


def test_a_worker_that_is_told_to_stop_during_an_outage_does_so_and_the_next_one_goes_on(
    rig: Rig, lab: Lab, worker: WorkerProcess
) -> None:
    before = outages(worker)
    rig.proxy.refuse()
    place = lab.spans(task("across a stop"))
    eventually(lambda: outages(worker) > before, "the outage is noticed")
    worker.send(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert worker.logged("the worker stops") == []
    after = rig.start_worker()
    eventually(lambda: "ClickHouse has been away" in str(after.ready()), "a worker that starts waits as well")
    rig.proxy.pass_on()
    lab.land(place)
    assert lab.task("across a stop")["claim"] == "success"


def test_nothing_is_lost_or_counted_twice(lab: Lab) -> None:
    found = lab.audit()
    assert (found.differences, found.skipped) == ([], 0)
