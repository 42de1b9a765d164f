"""An outage of the store is waited out and told once, whatever kind it is and however many threads wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from structlog.testing import capture_logs

from pipeline.worker import patient
from pipeline.worker.patient import Patient
from sinks.memory import MemoryStore
from sinks.port import Barred, Refused, Transient

AWAY, BARRED, BACK = "ClickHouse is away", "ClickHouse does not let", "ClickHouse is back"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(patient, "LONGEST_PAUSE", 0.001)


class Failing(MemoryStore):
    """A store whose writes raise what they are told to, in turn; `tried` is called before."""

    def __init__(self, *errors: Exception, tried: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.errors, self.tried = list(errors), tried

    def write(self, table: str, lines: Sequence[bytes]) -> None:
        self.tried()
        if self.errors:
            raise self.errors.pop(0)


def told(logs: list[dict[str, object]]) -> list[str]:
    return [str(log["event"]).split(";")[0] for log in logs]


def test_a_call_is_made_again_until_it_succeeds_and_the_outage_is_told_once() -> None:
    store = Failing(*(Transient("gone") for _ in range(5)))
    waiting = Patient(store, threading.Event())
    with capture_logs() as logs:
        waiting.write("events", [b"[]"])
    assert told(logs) == [AWAY, BACK]
    assert (logs[0]["why"], waiting.outage) == ("gone", None)


def test_while_it_lasts_the_outage_says_since_when_and_why() -> None:
    seen = []
    store = Failing(Transient("first"), Transient("second"))
    waiting = Patient(store, threading.Event())
    store.tried = lambda: seen.append(waiting.outage)
    waiting.write("events", [b"[]"])
    before, first, second = seen
    assert before is None
    assert (str(first.error), str(second.error), first.since == second.since) == ("first", "second", True)


def test_a_missing_right_is_told_with_what_to_do() -> None:
    store = Failing(Barred("no such user", "check clickhouse.user"))
    with capture_logs() as logs:
        Patient(store, threading.Event()).write("events", [b"[]"])
    assert told(logs) == ["ClickHouse does not let the worker in", BACK]
    assert (logs[0]["why"], logs[0]["fix"]) == ("no such user", "check clickhouse.user")


def test_an_outage_that_becomes_another_kind_is_told_again() -> None:
    store = Failing(Transient("gone"), Barred("no table", "migrate"), Barred("no table", "migrate"), Transient("gone"))
    with capture_logs() as logs:
        Patient(store, threading.Event()).write("events", [b"[]"])
    assert [event[: len(AWAY)] for event in told(logs)] == [AWAY, BARRED[: len(AWAY)], AWAY, BACK]


def test_several_threads_that_wait_are_one_outage() -> None:
    both = threading.Barrier(2, timeout=20)
    store = Failing(*(Transient("gone") for _ in range(4)), tried=lambda: both.wait() if store.errors else None)
    waiting = Patient(store, threading.Event())
    with capture_logs() as logs, ThreadPoolExecutor(2) as threads:
        for future in [threads.submit(waiting.write, "events", [b"[]"]) for _ in range(2)]:
            future.result(20)
    assert told(logs) == [AWAY, BACK]


class Frozen(Failing):
    """A store whose first read hangs until the store is back, and fails then: it had waited too long."""

    def __init__(self) -> None:
        super().__init__(Transient("frozen"))
        self.asked, self.back = threading.Event(), threading.Event()

    def frontier(self, partition: int) -> int:
        if not self.asked.is_set():
            self.asked.set()
            assert self.back.wait(20)
            raise Transient("frozen")
        return super().frontier(partition)


def test_a_call_that_learns_of_an_outage_when_it_is_over_tells_of_no_second_one() -> None:
    store = Frozen()
    waiting = Patient(store, threading.Event())
    with capture_logs() as logs, ThreadPoolExecutor(1) as threads:
        late = threads.submit(waiting.frontier, 0)
        assert store.asked.wait(20)
        waiting.write("events", [b"[]"])
        store.back.set()
        assert late.result(20) == store.frontier(0)
    assert told(logs) == [AWAY, BACK]
    assert waiting.outage is None


def test_an_outage_after_another_is_told_too() -> None:
    store = Failing(Transient("gone"))
    waiting = Patient(store, threading.Event())
    with capture_logs() as logs:
        waiting.write("events", [b"[]"])
        store.errors = [Transient("gone again")]
        waiting.write("events", [b"[]"])
    assert told(logs) == [AWAY, BACK] * 2


def test_what_will_never_be_taken_is_not_tried_again() -> None:
    store = Failing(Refused("wrong"), Refused("again"))
    with pytest.raises(Refused, match="wrong"):
        Patient(store, threading.Event()).write("events", [b"[]"])


def test_it_gives_up_when_it_is_told_to_stop() -> None:
    stopping = threading.Event()
    stopping.set()
    with capture_logs() as logs, pytest.raises(Transient):
        Patient(Failing(Transient("gone")), stopping).write("events", [b"[]"])
    assert told(logs) == [AWAY]
