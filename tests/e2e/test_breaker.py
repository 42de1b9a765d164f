"""A partition that is mostly bad stops the worker, before everything in it is a dead letter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kafka import TopicPartition

from pipeline.kafka import Progress
from pipeline.worker.app import TRIPPED
from schemas.words import Reason
from sinks.clickhouse import dead_letters
from tests.e2e.lab import Lab, now_ns
from tests.e2e.rig import Rig, WorkerProcess, eventually
from tests.otlp import span, traces

pytestmark = pytest.mark.every_broker

WINDOW = 100
ROOM = 50
RESOURCE = {"trueup.workflow": "breaker"}
CHANGES = {"kafka": {"partitions": 1}, "limits": {"dead_window": WINDOW}}
OFF = {"limits": {"dead_window": WINDOW, "dead_share": 1}}


@pytest.fixture
def rig(tmp_path_factory: pytest.TempPathFactory, broker: str) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("rig"), CHANGES, broker=broker) as rig:
        yield rig


@pytest.fixture
def lab(rig: Rig) -> Iterator[Lab]:
    with Lab(rig) as lab:
        yield lab


def good(n: int) -> bytes:
    values = {"trueup.task.id": f"good-{n}", "trueup.task.outcome": "success"}
    return traces(span(values, traceId=f"{n + 1:032x}", at=now_ns()), resource=RESOURCE)


def of_one_task(n: int) -> bytes:
    values = {"trueup.task.id": "constant", "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find"}
    below = {"traceId": f"{n + 1:032x}", "spanId": "2" * 16, "parentSpanId": "1" * 16}
    return traces(span(values, at=now_ns(), **below), resource=RESOURCE)


def stopped(worker: WorkerProcess) -> str:
    """Why the breaker has stopped a worker; it says so on /readyz before it ends, and in its log."""
    told = eventually(lambda: "circuit breaker" in str(worker.ready()) and worker.ready(), "/readyz says why")
    assert not told["ready"]
    assert worker.wait() == TRIPPED
    (line,) = worker.logged("the circuit breaker stops the worker")
    assert line["why"] in told["why"][0]
    return str(line["why"])


def committed(lab: Lab, topic: str) -> int:
    with Progress(lab.settings) as progress:
        tp = TopicPartition(topic, 0)
        return progress.committed({tp: 0})[tp]


def test_a_wrong_encoding_stops_the_worker_and_what_it_saw_is_read_again_by_the_next(rig: Rig, lab: Lab) -> None:
    fine = lab.all_spans(good(n) for n in range(200))
    worker = rig.start_worker()
    lab.land(*fine)
    wrong = lab.all_spans([b"\x01 of another encoding"] * (3 * WINDOW))
    first_wrong = wrong[0].offset

    why = stopped(worker)
    assert "51 of the last 100 records of otlp_spans partition 0" in why
    assert "limits.dead_share" in why
    assert committed(lab, "otlp_spans") <= first_wrong

    again = rig.start_worker()
    assert "otlp_spans partition 0" in stopped(again)
    assert committed(lab, "otlp_spans") <= first_wrong

    rig.start_worker(OFF)
    lab.land(*wrong)
    assert dead_letters.counts(rig.client) == [(Reason.NOT_OTLP, len(wrong), 0)]
    once = "SELECT count() FROM tasks WHERE startsWith(task_id, 'good-') AND events = 1"
    assert rig.client.command(once) == len(fine)
    assert lab.audit().total == 0


def test_a_stranger_who_writes_to_the_topic_of_actions_stops_the_worker(rig: Rig, lab: Lab) -> None:
    places = lab.put_all("agent.actions", [b"not of a worker's making"] * (2 * WINDOW), 0)
    assert "agent.actions partition 0, from offset 0 on" in stopped(rig.start_worker())
    assert sum(waiting for _, waiting, _ in dead_letters.counts(rig.client)) < WINDOW
    rig.start_worker(OFF)
    lab.land(*places)
    assert dead_letters.counts(rig.client) == [(Reason.NOT_AN_ACTION_MESSAGE, len(places), 0)]


def test_bad_records_among_enough_good_ones_are_dead_letters(rig: Rig, lab: Lab) -> None:
    rig.start_worker()
    lab.land(*lab.all_spans(payload for n in range(WINDOW) for payload in (good(n), b"\x01 bad")))
    assert dead_letters.counts(rig.client) == [(Reason.NOT_OTLP, WINDOW, 0)]


def test_a_task_id_that_never_changes_fills_its_task_and_stops_nothing(rig: Rig, lab: Lab) -> None:
    """What it has no room for is a dead letter, in whatever batch and however often it comes; its claim lands."""
    worker = rig.start_worker({"limits": {"dead_window": WINDOW, "task_events": ROOM}})
    constant = [of_one_task(n) for n in range(3 * WINDOW)]
    claim = traces(span({"trueup.task.id": "constant"}, spanId="f" * 16, at=now_ns()), resource=RESOURCE)
    for payloads in (constant, [claim, good(1)], constant[:ROOM]):
        lab.land(*lab.all_spans(payloads))
    assert worker.ready()["ready"]
    task = lab.task("constant")
    assert (task["events"], task["actions"], task["status"], task["claim"]) == (ROOM + 1, ROOM, "finished", "success")
    assert lab.task("good-1")["status"] == "finished"
    found = rig.client.query(
        "SELECT reason, sum(records), uniqExact(offset) = count() FROM dead_letters GROUP BY reason"
    )
    assert found.result_rows == [(Reason.TASK_FULL, 3 * WINDOW - ROOM, True)]
    landed = {"events": ROOM + 2, "duplicates": ROOM, "dead_letters": 3 * WINDOW - ROOM}
    assert (lab.audit().total, lab.audit().landed) == (0, landed)
    told = f'trueup_dead_letters_total{{reason="task_full"}} {3 * WINDOW - ROOM}.0\n'
    assert told in worker.get("/metrics").decode()
