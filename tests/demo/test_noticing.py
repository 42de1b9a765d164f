"""The board's lookout: it notices a change in what was measured, and nothing else."""

from __future__ import annotations

import pytest

from pipeline.demo.measured import Z95, Snapshot, between, cycle_p95, discrepancy, tool_errors
from pipeline.demo.noticing import Incident, Lookout
from tests.demo.samples import counted, snapshots, taking, verdicts

NEW = ("refunds", "2")


def course(*phases: tuple[int, float], per_second: int = 4) -> list[tuple[int, int]]:
    """(n, untrue) a second, of phases that last so many seconds at such a discrepancy rate."""
    n, untrue, found = 0, 0.0, [(0, 0)]
    for seconds, rate in phases:
        for _ in range(seconds):
            n, untrue = n + per_second, untrue + per_second * rate
            found.append((n, round(untrue)))
    return found


def watch(*phases: tuple[int, float], per_second: int = 4) -> Lookout:
    lookout = Lookout()
    for snapshot in snapshots(*course(*phases, per_second=per_second)):
        lookout.look(snapshot)
    return lookout


def test_a_jump_is_noticed_within_seconds_for_the_version_that_has_it() -> None:
    lookout = watch((30, 0.25), (15, 0.9))
    (incident,) = lookout.incidents
    assert incident.group == NEW
    assert 31 <= incident.noticed <= 40
    assert lookout.open_incident(NEW) is incident
    assert lookout.open_incident(("refunds", "1")) is None


def test_an_incident_tells_before_and_since() -> None:
    (incident,) = watch((30, 0.25), (30, 0.9)).incidents
    before, since = incident.shares()
    assert before is not None
    assert since is not None
    assert before.value == pytest.approx(0.25, abs=0.05)
    assert since.value > 0.75
    assert before.high < since.low


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.7, 1.0])
def test_a_rate_that_stays_is_no_incident_however_bad_it_is(rate: float) -> None:
    assert watch((120, rate)).incidents == []


def test_an_improvement_is_no_incident() -> None:
    assert watch((30, 0.8), (30, 0.1)).incidents == []


def test_a_handful_of_verdicts_is_not_enough() -> None:
    assert watch((5, 0.0), (3, 1.0), per_second=1).incidents == []


def test_an_incident_ends_when_the_verdicts_are_as_good_as_before() -> None:
    lookout = watch((30, 0.25), (20, 0.9), (20, 0.25))
    (incident,) = lookout.incidents
    assert incident.end is not None
    assert 51 <= incident.end <= 62
    assert lookout.open_incident(NEW) is None


def test_what_came_after_its_end_is_not_counted_as_a_part_of_it() -> None:
    short, long = (watch((30, 0.25), (20, 0.9), (calm, 0.25)).incidents[0] for calm in (15, 60))
    assert short.since.counts == long.since.counts


def test_a_second_incident_is_noticed_too() -> None:
    lookout = watch((30, 0.25), (20, 0.9), (40, 0.25), (20, 0.9))
    assert [incident.group for incident in lookout.incidents] == [NEW, NEW]
    assert lookout.incidents[1].start > (lookout.incidents[0].end or 0)


def test_begin_and_end_are_told_once() -> None:
    lookout = Lookout()
    told = [
        (incident.noticed, incident.end)
        for snapshot in snapshots(*course((30, 0.25), (20, 0.9), (20, 0.25)))
        for incident in lookout.look(snapshot)
    ]
    (incident,) = lookout.incidents
    assert told == [(incident.noticed, None), (incident.noticed, incident.end)]


def test_a_version_that_appears_later_has_no_before() -> None:
    lookout = Lookout()
    for second in range(12):
        lookout.look(Snapshot(float(second), {}))
    for second in range(12, 30):
        n = 8 * (second - 11)
        lookout.look(Snapshot(float(second), {NEW: counted(NEW, **verdicts(n, n))}))
    assert lookout.incidents == []


def test_a_correction_never_makes_a_count_negative() -> None:
    earlier = counted(**verdicts(20, 8))
    later = counted(**verdicts(20, 5))
    found = between(earlier, later)
    assert min(found.counts.values()) >= 0
    assert discrepancy(found, Z95) is None


def test_corrections_never_make_more_discrepancies_than_verdicts() -> None:
    found = between(counted(**verdicts(20, 2)), counted(**verdicts(21, 7)))
    share = discrepancy(found, Z95)
    assert share is not None
    assert share.value == 1


def test_sampled_verdicts_have_a_wider_interval_than_as_many_tasks() -> None:
    plain = discrepancy(counted(**verdicts(40, 10)), Z95)
    sampled = counted(
        weight_claimed_success_known=40_000_000,
        weight_discrepancies=10_000_000,
        weight_squared_claimed_success_known=20 * 2_000_000**2,
    )
    share = discrepancy(sampled, Z95)
    assert plain is not None
    assert share is not None
    assert share.value == plain.value == 0.25
    assert share.effective == 20
    assert share.low < plain.low < plain.high < share.high


def test_tools_and_times_are_told_before_and_since() -> None:
    before = taking({1: 50}, tool_calls=100, tool_errors=2)
    since = taking({3: 50}, tool_calls=50, tool_errors=40)
    incident = Incident(NEW, 1, 2, before, since)
    assert incident.tool_errors() == (0.02, 0.8)
    fast, slow = incident.cycles()
    assert fast == pytest.approx(1, rel=0.02)
    assert slow == pytest.approx(3, rel=0.02)


def test_cycle_times_in_between_are_those_that_were_added() -> None:
    found = between(taking({1: 50}), taking({1: 50, 3: 10}))
    assert sum(found.cycle_us.values()) == 10
    assert cycle_p95(found) == pytest.approx(3, rel=0.02)


def test_nothing_is_known_of_nothing() -> None:
    empty = counted()
    assert (discrepancy(empty, Z95), tool_errors(empty), cycle_p95(empty)) == (None, None, None)
