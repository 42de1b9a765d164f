"""What a task contributes to a window, and how contributions come, go and add up."""

from __future__ import annotations

import copy

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.fold.facts import Change, empty_window, facts
from pipeline.report.build import task_cost
from schemas.rows import COUNTS, TaskRow, WindowKey, WindowRow
from tests.fold import reference, reference_windows
from tests.fold.reference import Entry
from tests.fold.samples import BASE, MINUTE, TOLD, Spec, event, specs
from tests.fold.test_task import events_of_a_task, told
from tests.fold.world import check_windows

KEY = WindowKey(BASE // 1_000_000, "t", "w", "production", "", "", "", "unclassified", "")
rows = events_of_a_task.map(lambda events: told(events).row)
finished = events_of_a_task.map(lambda events: facts(told([*events, event(Spec("root"), len(events))]).row))
"""Contributions of tasks that have a claim."""


def changed(window: WindowRow, seq: int, *signed: tuple[object, int]) -> WindowRow:
    """A copy of a window after a change of these contributions."""
    change, window = Change(), copy.deepcopy(window)
    for part, sign in signed:
        change.add(part, sign)  # type: ignore[arg-type]
    change.seq = seq
    assert change.apply(window)
    return window


@given(row=rows)
def test_a_window_of_one_task_counts_what_the_task_says(row: TaskRow) -> None:
    part = facts(row)
    expected = reference_windows.windows([{name: getattr(row, name) for name in TaskRow.__struct_fields__}])
    if part is None:
        assert not expected
        assert row.status in ("open", "announced")
    else:
        check_windows([changed(empty_window(part.key), 1, (part, 1))], expected)


@given(events=st.lists(specs.filter(lambda spec: spec.task), min_size=1, max_size=20))
def test_a_window_counts_the_sum_of_its_tasks(events) -> None:
    log = [Entry(0, BASE, [event(spec, n) for n, spec in enumerate(events)])]
    log.append(Entry(1, BASE, (), reference.Tick(BASE + 100 * MINUTE, 0)))
    tasks = reference.Tasks(log).rows().values()
    held: dict[WindowKey, WindowRow] = {}
    for seq, row in enumerate(tasks):
        part = facts(TaskRow(**row))
        if part is not None:
            held[part.key] = changed(held.get(part.key) or empty_window(part.key), seq, (part, 1))
    check_windows(held.values(), reference_windows.windows(tasks))


@given(parts=st.lists(finished, min_size=1, max_size=4), data=st.data())
def test_a_contribution_that_goes_again_leaves_no_trace(parts, data: st.DataObject) -> None:
    """At once with others or later, in any order."""
    before = changed(empty_window(KEY), 1, *((part, 1) for part in parts))
    moves = data.draw(st.permutations([(part, sign) for part in parts[:2] for sign in (1, -1)]))
    assert changed(before, 2, *moves) == changed(before, 2)
    one_by_one = before
    for seq, move in enumerate(sorted(moves, key=lambda move: -move[1]), 2):
        one_by_one = changed(one_by_one, seq, move)
    assert one_by_one.counts == before.counts
    assert (one_by_one.cycle_us, one_by_one.latency_us, one_by_one.scores) == (
        before.cycle_us,
        before.latency_us,
        before.scores,
    )


@given(parts=st.lists(finished, min_size=1, max_size=4))
def test_all_contributions_gone_leave_an_empty_window(parts) -> None:
    full = changed(empty_window(KEY), 1, *((part, 1) for part in parts))
    assert changed(full, 2, *((part, -1) for part in parts)) == WindowRow(KEY, 2, [0] * len(COUNTS), {}, {}, {})


@pytest.mark.parametrize("seq", [-1, 4, 5])
def test_a_change_that_a_window_has_already_does_nothing(seq: int) -> None:
    window = empty_window(KEY)
    window.seq = 5
    change = Change()
    change.seq = seq
    change.counts[0] = 1
    before = copy.deepcopy(window)
    assert not change.apply(window)
    assert window == before


def test_a_verdict_of_one_task_in_a_million_keeps_its_exact_weight() -> None:
    row = told([event(Spec("root"), 0), event(Spec("verdict failure"), 1)]).row
    part = facts(row)
    assert part is not None
    assert part.counts["weight_squared_known"] == 10**24


CONTROL = TOLD.index({"workflow": "w", "stage": "control"})
KNOWN_COSTS: dict[str, tuple[list[str], int | None]] = {
    "calls that each have a cost": (["root", "call", "free call", "failed call"], 11),
    "a call without one": (["root", "call", "unpriced call"], None),
    "an embedding with one": (["root", "call", "embedding", "failed embedding"], 11 + 19),
    "an embedding without one": (["root", "call", "unpriced embedding"], None),
    "an embedding without one, and an account": (["root with cost", "unpriced embedding"], 73),
    "an intervention with a price": (["root with cost", "corrected"], 73 + 41),
    "minutes without a price": (["root with cost", "corrected", "rejected"], None),
    "costs of the agent without a call of a model": (["root", "tool", "costs operations", "corrected"], None),
    "the same, and that models cost nothing": (["root", "tool", "costs operations", "costs no model"], 53),
    "an intervention without minutes": (["root with cost", "interrupted", "approved"], 73),
}


@pytest.mark.parametrize("name", KNOWN_COSTS)
def test_the_cost_of_a_task_is_known_when_each_of_its_parts_is(name: str) -> None:
    templates, cost = KNOWN_COSTS[name]
    check_cost([Spec(template) for template in templates], cost)


KNOWN_COSTS_OF_CONTROL: dict[str, tuple[list[str], int | None]] = {
    "what a human cost": (["other root", "corrected"], 41),
    "what a human and operations cost, and a retrieval": (["root", "retrieval", "corrected", "costs operations"], 111),
    "nothing at all": (["root", "tool"], None),
    "minutes without a price": (["root", "costs operations", "rejected"], None),
    "a call without a cost": (["root", "costs operations", "unpriced call"], None),
}


@pytest.mark.parametrize("name", KNOWN_COSTS_OF_CONTROL)
def test_the_process_without_the_agent_has_a_known_cost_when_one_is_told(name: str) -> None:
    templates, cost = KNOWN_COSTS_OF_CONTROL[name]
    check_cost([Spec(template, told=CONTROL) for template in templates], cost)


def check_cost(specs: list[Spec], cost: int | None) -> None:
    row = told([event(spec, n) for n, spec in enumerate(specs)]).row
    part, listed = facts(row), task_cost(msgspec.structs.asdict(row))
    assert part is not None
    assert listed == cost
    assert (part.counts.get("cost_known", 0), part.counts.get("cost_nano", 0)) == (int(cost is not None), cost or 0)
