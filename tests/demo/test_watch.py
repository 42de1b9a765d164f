"""Who watches: what is told in words, and what happens when ClickHouse is away."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.demo import watch
from pipeline.demo.measured import FailingTool, Snapshot
from pipeline.demo.watch import Watch
from sinks.port import Transient
from tests.demo.samples import counted, snapshots, verdicts

NEW = ("refunds", "2")


class Landed:
    """What the next look finds."""

    def __init__(self) -> None:
        self.now: Snapshot | Exception = Snapshot(0, {})

    def snapshot(self, _client: Any, _at: float) -> Snapshot:
        if isinstance(self.now, Exception):
            raise self.now
        return self.now


@pytest.fixture
def landed(monkeypatch: pytest.MonkeyPatch) -> Landed:
    found = Landed()
    monkeypatch.setattr(watch, "snapshot", found.snapshot)
    monkeypatch.setattr(watch, "failing_tool", lambda *_: FailingTool("ledger.post", "timeout", 9, 10))
    monkeypatch.setattr(watch, "untrue_claim", lambda _client, group: "refunds-1" if group is None else "refunds-2")
    return found


def look(watcher: Watch, landed: Landed, *found: Snapshot) -> list[str]:
    """Look at one after the other; what was told."""
    for now in found:
        landed.now = now
        watcher.look(now.at)
    return [note.text for note in watcher.view.notes]


def test_each_first_is_told_once(landed: Landed) -> None:
    watcher = Watch(None)  # type: ignore[arg-type]
    first = Snapshot(1, {NEW: counted(NEW, tasks_finished=1)})
    later = Snapshot(2, {NEW: counted(NEW, **verdicts(5, 1, overridden=1, tasks_abandoned=1))}, dead_letters=2)
    told = look(watcher, landed, first, later, later)
    assert [text.split(".")[0].split(":")[0] for text in told[1:]] == [
        "The first tasks have landed",
        "The first verdicts",
        "A task that its agent called done is not",
        "A human has overridden an agent",
        "A task fell silent without a claim",
        "Something could not be used",
    ]


def test_nothing_is_told_that_has_not_landed(landed: Landed) -> None:
    assert len(look(Watch(None), landed, Snapshot(1, {}), Snapshot(2, {}))) == 1  # type: ignore[arg-type]


def test_an_incident_is_told_with_the_tool_that_fails_and_a_task_to_look_at(landed: Landed) -> None:
    watcher = Watch(None)  # type: ignore[arg-type]
    calm = [(4 * second, second) for second in range(31)]
    bad = [(120 + 4 * second, 30 + 4 * second) for second in range(1, 16)]
    told = look(watcher, landed, *snapshots(*calm, *bad))
    assert any(text.startswith("refunds 2 claims success that is not there: checks contradict") for text in told)
    assert told[-1] == "refunds 2: 90% of the calls of ledger.post end in timeout."
    assert watcher.view.example == "refunds-2"
    good = [(180 + 4 * second, 90 + second) for second in range(1, 21)]
    told = look(watcher, landed, *snapshots(*calm, *bad, *good)[46:])
    assert told[-1] == "refunds 2: the verdicts of the last 10 s are as good as before."


def test_a_clickhouse_that_is_away_leaves_the_last_numbers(landed: Landed) -> None:
    watcher = Watch(None)  # type: ignore[arg-type]
    look(watcher, landed, Snapshot(1, {NEW: counted(NEW, tasks_finished=3)}))
    landed.now = Transient("connection refused")
    view = watcher.look(2)
    assert (view.away, view.now.total("tasks_finished")) == ("connection refused", 3)
    look(watcher, landed, Snapshot(3, {NEW: counted(NEW, tasks_finished=4)}))
    assert (view.away, view.now.total("tasks_finished")) == ("", 4)


def test_throughput_is_that_of_the_last_seconds(landed: Landed) -> None:
    watcher = Watch(None)  # type: ignore[arg-type]
    for second in range(21):
        n = 10 * second if second <= 10 else 100 + 20 * (second - 10)
        look(watcher, landed, Snapshot(float(second), {NEW: counted(NEW, tasks_finished=n)}, events=7 * n))
    assert watcher.view.tasks_per_second == pytest.approx(20)
    assert watcher.view.events_per_second == pytest.approx(140)
