"""What every store of objectives and alerts does: one suite, over each of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from deploy.local.clickhouse import ClickHouse
from sinks.clickhouse.client import Address, connect
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.objectives import ClickHouseObjectives
from sinks.objectives import (
    ACKNOWLEDGE,
    OVERTAKEN,
    ActionRow,
    AdjustmentRow,
    ClaimRow,
    MemoryObjectives,
    NotificationRow,
    ObjectiveStore,
    StateRow,
    TransitionRow,
    Version,
)

HOSTILE = "it's \"x\" \\ \n\t日本 '; DROP TABLE objective_rows -- {since:UInt32} 🙂"

_databases = count()


def _in_memory(_: pytest.FixtureRequest) -> ObjectiveStore:
    return MemoryObjectives()


def _in_clickhouse(request: pytest.FixtureRequest) -> ObjectiveStore:
    running: ClickHouse = request.getfixturevalue("clickhouse")
    address = Address(port=running.port, database=f"objectives_{next(_databases)}")
    migrate(address, retention_days=0)
    return ClickHouseObjectives(connect(address))


@pytest.fixture(params=[_in_memory, _in_clickhouse], ids=["memory", "clickhouse"])
def objectives(request: pytest.FixtureRequest) -> ObjectiveStore:
    make: Callable[[pytest.FixtureRequest], ObjectiveStore] = request.param
    return make(request)


def version(number: int, workflow: str = "claims", **told: object) -> Version:
    fields = {"id": f"{workflow}-{number}", "text": "kind: SLO", "applied_at": number, "by": "Ada", "why": "launch"}
    return Version(workflow, number, **(fields | told))  # type: ignore[arg-type]


def state(evaluated: int, revision: int = 1, text: str = "{}", key: str = "k", progress: int = 0) -> StateRow:
    return StateRow(key, progress, evaluated, revision, text)


def transition(
    at: int,
    *,
    key: str = "k",
    revision: int = 1,
    after: str = "{}",
    name: str = "",
    workflow: str = "claims",
    told: int = 1,
) -> TransitionRow:
    about = (name or f"{key}-{at}", key, workflow, "success", "1")
    return TransitionRow(*about, at, "fired", told, at, "{}", 0, at, revision, after)


def test_what_was_never_written_is_absent(objectives: ObjectiveStore) -> None:
    assert objectives.versions() == []
    assert objectives.adjustments() == []
    assert objectives.actions() == []
    assert objectives.states() == {}
    assert objectives.transitions() == []
    assert objectives.last_told() == []
    assert objectives.subjects() == {}
    assert objectives.notifications({"a"}) == []
    assert objectives.notifications(()) == []
    assert objectives.claims("a", "slack") == []


def test_writing_no_rows_changes_nothing(objectives: ObjectiveStore) -> None:
    objectives.append(list[Version]())
    assert objectives.versions() == []


def test_every_version_is_kept_and_they_come_in_their_order(objectives: ObjectiveStore) -> None:
    objectives.append([version(2), version(1)])
    objectives.append([version(1, "refunds")])
    found = [(row.workflow, row.version) for row in objectives.versions()]
    assert found == [("claims", 1), ("claims", 2), ("refunds", 1)]


def test_the_mark_changes_with_every_version(objectives: ObjectiveStore) -> None:
    assert objectives.mark() == (0, 0)
    objectives.append([version(1)])
    objectives.append([version(1), version(2)])
    assert objectives.mark() == (2, 2)


def test_two_people_who_apply_at_once_both_stay_in_the_history(objectives: ObjectiveStore) -> None:
    mine, theirs = version(1, id="a", by="Ada", applied_at=5), version(1, id="b", by="Bob", applied_at=6)
    objectives.append([theirs])
    objectives.append([mine])
    assert objectives.versions() == [mine, theirs]


def test_text_comes_back_as_it_was_written(objectives: ObjectiveStore) -> None:
    written = version(1, HOSTILE, text=HOSTILE, by=HOSTILE, why=HOSTILE, id=HOSTILE)
    adjustment = AdjustmentRow(
        HOSTILE, HOSTILE, HOSTILE, HOSTILE, 5, 9, HOSTILE, HOSTILE, 1_795_000_000_000_000, HOSTILE
    )
    action = ActionRow(HOSTILE, HOSTILE, ACKNOWLEDGE, HOSTILE, HOSTILE, 7)
    line = TransitionRow(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1, HOSTILE, 1, 1, HOSTILE, 2, 1, 1, HOSTILE)
    note = NotificationRow(HOSTILE, HOSTILE, 0, 9, HOSTILE)
    claim = ClaimRow(HOSTILE, HOSTILE, HOSTILE, 9)
    for row in (written, adjustment, action, line, note, claim):
        objectives.append([row])
        objectives.append([row])
    assert objectives.versions() == [written]
    assert objectives.adjustments() == [adjustment]
    assert objectives.actions() == [action]
    assert objectives.transitions(key=HOSTILE) == [line]
    assert objectives.notifications({HOSTILE}) == [note]
    assert objectives.claims(HOSTILE, HOSTILE) == [claim]


def test_adjustments_and_actions_come_oldest_first(objectives: ObjectiveStore) -> None:
    adjustments = [AdjustmentRow(str(at), "claims", "", "", 0, 1, "Ada", "outage", 9 - at) for at in range(3)]
    actions = [ActionRow(str(at), "k", ACKNOWLEDGE, "Ada", "", 9 - at) for at in range(3)]
    objectives.append(adjustments)
    objectives.append(actions)
    assert objectives.adjustments() == adjustments[::-1]
    assert objectives.actions() == actions[::-1]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0, 1)])
def test_the_newest_state_counts_in_whatever_order_they_come(objectives: ObjectiveStore, order: tuple[int]) -> None:
    rows = [state(5, 9, "old"), state(6, 1, "new"), state(6, 2, "newest")]
    for at in order:
        objectives.append([rows[at]])
    assert objectives.states() == {"k": rows[2]}


def test_what_an_alert_has_gone_through_counts_more_than_how_far_it_was_evaluated(objectives: ObjectiveStore) -> None:
    """Another alerter that has missed the end of an alert does not make it fire again."""
    ended = state(5, 1, "ended", progress=2)
    objectives.append([ended])
    objectives.append([state(9, 9, "still firing", progress=1)])
    assert objectives.states() == {"k": ended}


def test_a_state_known_only_from_its_transition_counts(objectives: ObjectiveStore) -> None:
    """An alerter that stops between the two writes has told what fires, so it must know it."""
    objectives.append([state(5, 3, "before"), state(7, 1, "other", key="other")])
    objectives.append([transition(6, revision=4, after="after")])
    assert objectives.states() == {"k": state(6, 4, "after"), "other": state(7, 1, "other", key="other")}
    objectives.append([state(7, 4, "later")])
    assert objectives.states()["k"].state == "later"


def test_a_state_is_not_looked_for_in_what_was_overtaken_long_ago(objectives: ObjectiveStore) -> None:
    """The history grows for ever, and its states are in the table of states since the tick after them at the latest."""
    objectives.append([transition(5, after="old"), transition(6, key="edge", after="kept")])
    assert set(objectives.states()) == {"k", "edge"}
    objectives.append([state(6 + OVERTAKEN, key="other")])
    assert set(objectives.states()) == {"edge", "other"}


def test_of_a_transition_and_a_state_of_the_same_moment_one_counts_always_the_same(objectives: ObjectiveStore) -> None:
    objectives.append([state(6, 4, "a"), state(6, 4, "b", key="other")])
    objectives.append([transition(6, revision=4, after="b"), transition(6, key="other", revision=4, after="a")])
    assert {key: row.state for key, row in objectives.states().items()} == {"k": "b", "other": "b"}


def test_a_transition_written_again_is_one(objectives: ObjectiveStore) -> None:
    objectives.append([transition(6), transition(6)])
    objectives.append([transition(6)])
    assert objectives.transitions() == [transition(6)]


def test_the_history_can_be_asked_for_by_alert_time_and_number(objectives: ObjectiveStore) -> None:
    objectives.append([transition(at, key=key) for key in "ab" for at in (3, 4, 5)])
    assert [row.at for row in objectives.transitions(key="a")] == [5, 4, 3]
    assert [row.id for row in objectives.transitions(since=4)] == ["a-5", "b-5", "a-4", "b-4"]
    assert [row.id for row in objectives.transitions(limit=1)] == ["a-5"]
    assert objectives.transitions(key="c") == []


def test_the_history_can_be_asked_for_by_workflow_and_for_what_was_told(objectives: ObjectiveStore) -> None:
    objectives.append([transition(3), transition(4, told=0), transition(5, key="a", workflow="refunds")])
    objectives.append([transition(6, key="a", workflow="refunds", told=0), transition(9, key="b", told=0)])
    assert [row.id for row in objectives.transitions(workflow="claims")] == ["b-9", "k-4", "k-3"]
    assert [row.id for row in objectives.transitions(told=True)] == ["a-5", "k-3"]
    assert [row.id for row in objectives.transitions(told=True, workflow="refunds", key="a", since=5)] == ["a-5"]
    told = [transition(7, key="a", name=name, revision=revision) for name, revision in (("x", 2), ("z", 3), ("y", 3))]
    objectives.append(told)
    assert [row.id for row in objectives.last_told()] == ["y", "k-3"]
    about = {"k": "claims", "b": "claims"}
    assert {key: workflow for key, (workflow, _, _) in objectives.subjects().items() if key != "a"} == about
    assert objectives.subjects()["k"] == ("claims", "success", "1")


def test_transitions_of_one_minute_come_in_the_order_of_their_revisions(objectives: ObjectiveStore) -> None:
    objectives.append([transition(3, name="z", revision=1), transition(3, name="a", revision=2)])
    assert [row.id for row in objectives.transitions()] == ["a", "z"]


def test_a_delivery_is_not_forgotten_when_an_attempt_failed_before_or_after(objectives: ObjectiveStore) -> None:
    failed, again = NotificationRow("t", "slack", 0, 5, "refused"), NotificationRow("t", "slack", 0, 9, "gone")
    done = NotificationRow("t", "slack", 1, 7)
    for row in (failed, done, again):
        objectives.append([row])
    objectives.append([NotificationRow("u", "slack", 1, 7)])
    assert objectives.notifications({"t"}) == [again, done]


def test_of_the_claims_of_a_replica_the_newest_counts(objectives: ObjectiveStore) -> None:
    mine, theirs = ClaimRow("t", "slack", "a", 9), ClaimRow("t", "slack", "b", 7)
    for row in (mine, theirs, ClaimRow("t", "chat", "a", 1), ClaimRow("u", "slack", "a", 1)):
        objectives.append([row])
    assert objectives.claims("t", "slack") == [mine, theirs]
    again = ClaimRow("t", "slack", "a", 10)
    objectives.append([again])
    assert objectives.claims("t", "slack") == [again, theirs]
