"""A task is a function of the set of its events: their order, and when it is looked at, do not matter."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pipeline.fold.task import Task, rebuild
from schemas.event import Event
from schemas.rows import TaskRow
from tests.fold import reference
from tests.fold.reference import Entry
from tests.fold.samples import BASE, LINKS, TEMPLATES, Spec, event, specs

one_task = specs.filter(lambda spec: spec.task and spec.template not in LINKS).map(lambda spec: spec._replace(task="a"))
events_of_a_task = st.lists(one_task, min_size=1, max_size=12).map(
    lambda all_: [event(s, n) for n, s in enumerate(all_)]
)


def told(events: list[Event], looked_at: set[int] = frozenset()) -> Task:  # type: ignore[assignment]
    """The task of these events, brought up to date at the end, and after those of `looked_at` too."""
    task = Task(TaskRow(0, 0, "a"))
    for seq, one in enumerate(events):
        task.apply(one, seq, BASE)
        if seq in looked_at:
            task.conclude()
    task.conclude()
    return task


@given(events=events_of_a_task, data=st.data())
def test_any_order_of_its_events_makes_the_same_task(events: list[Event], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(events))
    looked_at = data.draw(st.sets(st.integers(0, len(events))))
    assert told(shuffled, looked_at).row == told(events).row


@given(events=events_of_a_task)
def test_a_task_is_what_its_events_say(events: list[Event]) -> None:
    rows = reference.Tasks([Entry(0, BASE, events)]).rows()
    assert {name: getattr(told(events).row, name) for name in TaskRow.__struct_fields__} == rows["a"]


@given(events=events_of_a_task, data=st.data())
def test_a_task_made_again_from_its_raw_events_goes_on_as_if_nothing_had_been(
    events: list[Event], data: st.DataObject
) -> None:
    """Raw events come in any order, and those beyond the row are left out."""
    cut = data.draw(st.integers(1, len(events)))
    task = told(events[:cut])
    raw = data.draw(st.permutations(list(enumerate(events))))
    again = rebuild(msgspec.structs.replace(task.row), raw)
    assert again.row == task.row
    for seq, one in enumerate(events[cut:], cut):
        again.apply(one, seq, BASE)
    again.conclude()
    assert again.row == told(events).row


@given(events=events_of_a_task, again=st.integers(0, 11), otherwise=one_task)
def test_an_event_that_comes_again_changes_nothing_however_it_is_told(
    events: list[Event], again: int, otherwise: Spec
) -> None:
    task = told(events)
    before = msgspec.json.encode(task.row)
    known = events[again % len(events)]
    for resent in (known, msgspec.structs.replace(event(otherwise, 99), event_id=known.event_id, hash=known.hash)):
        assert not task.apply(resent, len(events), BASE + 1)
    task.conclude()
    assert msgspec.json.encode(task.row) == before


def claim_of(*templates: str) -> tuple[str, int]:
    row = told([event(Spec(name, at=n), n) for n, name in enumerate(templates)]).row
    return row.claim, row.claim_explicit


def test_a_stated_outcome_beats_one_that_was_read_off_a_status() -> None:
    assert claim_of("root says failure", "root") == ("failure", 1)
    assert claim_of("root", "root says failure") == ("failure", 1)


def test_of_two_stated_outcomes_the_later_one_counts() -> None:
    assert claim_of("claims success", "root says gave up") == ("gave_up", 1)
    assert claim_of("root says gave up", "claims success") == ("success", 1)


def test_the_latest_verdict_counts_and_the_one_before_is_retracted() -> None:
    for last in ("verdict success", "verdict failure", "verdict inconclusive"):
        row = told([event(Spec(v, at=n), n) for n, v in enumerate(("verdict success", "verdict failure", last))]).row
        assert row.verdict == TEMPLATES[last]["value"]


def test_a_task_of_which_something_was_only_learnt_is_announced() -> None:
    for learnt in ("verdict success", "satisfied", "costs tool", "scored", "outcome"):
        assert told([event(Spec(learnt), 0)]).row.status == "announced"
