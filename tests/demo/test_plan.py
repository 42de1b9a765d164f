"""The plan: the same seed makes the same decisions, and many tasks together look like the real runs."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from statistics import fmean

import pytest

from pipeline.demo.figures import figures
from pipeline.demo.job import Intervention, Job, Verdict
from pipeline.demo.plan import Trouble
from tests.demo.samples import plan

NEVER = Trouble(0, 0)
ALWAYS = Trouble(0, 1e9)
INCIDENT = ("clinical-orders", "2.4")


@pytest.fixture(scope="module")
def calm() -> list[Job]:
    """Two thousand tasks without an incident."""
    return [plan(None, seed=5, trouble=NEVER).job(number) for number in range(2_000)]


def of(jobs: list[Job], workflow: str) -> list[Job]:
    return [job for job in jobs if job.workflow == workflow and job.claim is not None]


def verdicts(job: Job) -> list[Verdict]:
    return [later for later in job.later if isinstance(later, Verdict)]


def test_a_seed_decides_everything_and_another_one_otherwise() -> None:
    one, same, other = (list(plan(2, seed=seed).jobs()) for seed in (3, 3, 4))
    assert one == same
    assert one != other


def test_a_task_does_not_depend_on_those_before_it() -> None:
    assert plan(2).job(40) == list(plan(2).jobs())[40]


def test_tasks_start_evenly_until_the_end() -> None:
    jobs = list(plan(4, rate=5).jobs())
    assert [job.at for job in jobs] == [number / 5 for number in range(20)]


def test_a_demo_without_an_end_has_tasks_for_ever() -> None:
    assert len(list(islice(plan(None).jobs(), 500))) == 500


def test_task_ids_are_unique(calm: list[Job]) -> None:
    assert len({job.task_id for job in calm}) == len(calm)


@pytest.mark.parametrize("workflow", ["bug-fixing", "clinical-orders", "flight-changes"])
def test_claims_and_truth_are_as_often_as_in_the_real_runs(calm: list[Job], workflow: str) -> None:
    cells = [sum(column) for column in zip(*figures().workflows[workflow].outcomes.runs.values(), strict=True)]
    runs, jobs = sum(cells), of(calm, workflow)
    checked = [job for job in jobs if verdicts(job) and verdicts(job)[-1].word != "inconclusive"]
    claimed = fmean(job.claim == "success" for job in jobs)
    verified = fmean(verdicts(job)[-1].word == "success" for job in checked)
    assert claimed == pytest.approx((cells[0] + cells[1]) / runs, abs=0.05)
    assert verified == pytest.approx((cells[0] + cells[2]) / runs, abs=0.08)


@pytest.mark.parametrize("workflow", ["bug-fixing", "clinical-orders", "flight-changes"])
def test_work_is_as_much_as_in_the_real_runs(calm: list[Job], workflow: str) -> None:
    real, jobs = figures().workflows[workflow].figures, of(calm, workflow)
    calls = [call for job in jobs for call in job.calls]
    assert len(calls) / len(jobs) == pytest.approx(real.model_calls.value, rel=0.12)
    assert sum(len(call.tools) for call in calls) / len(jobs) == pytest.approx(real.tool_calls.value, rel=0.15)
    assert fmean(call.cost_nano for call in calls) == pytest.approx(real.call_cost_usd.value * 1e9, rel=0.1)


def test_pilots_are_all_verified_and_production_is_sampled(calm: list[Job]) -> None:
    by_stage = {stage: [job for job in calm if job.stage == stage and job.claim] for stage in ("pilot", "production")}
    assert all(verdicts(job) for job in by_stage["pilot"])
    assert fmean(bool(verdicts(job)) for job in by_stage["production"]) == pytest.approx(0.5, abs=0.05)
    assert {v.probability for job in calm for v in verdicts(job)} == {0.5, 1}


def test_some_verdicts_are_corrected_and_the_correction_is_the_last(calm: list[Job]) -> None:
    corrected = [verdicts(job) for job in calm if len(verdicts(job)) == 2]
    assert corrected
    for first, second in corrected:
        assert {first.word, second.word} == {"success", "failure"}
        assert first.after < second.after


def test_nothing_more_is_heard_of_a_lost_task(calm: list[Job]) -> None:
    lost = [job for job in calm if job.claim is None]
    assert 0 < len(lost) < 60
    assert all(job.calls and not job.later for job in lost)


def test_a_case_that_is_handed_over_has_a_human_who_takes_it(calm: list[Job]) -> None:
    escalated = [job for job in calm if job.claim == "escalated"]
    assert escalated
    for job in escalated:
        assert [later.kind for later in job.later if isinstance(later, Intervention)] == ["escalated"]


def test_the_incident_hits_one_version_only_and_makes_its_claims_untrue(calm: list[Job]) -> None:
    trouble = [plan(None, seed=5, trouble=ALWAYS).job(number) for number in range(2_000)]
    hit = {job.number for job, before in zip(trouble, calm, strict=True) if job != before}
    assert {(trouble[n].workflow, trouble[n].version) for n in hit} == {INCIDENT}
    there = [job for job in trouble if (job.workflow, job.version) == INCIDENT and job.claim]
    assert len(hit) / len(there) == pytest.approx(0.85, abs=0.05)
    for number in hit:
        job = trouble[number]
        assert job.claim == "success"
        assert [tool.error for call in job.calls for tool in call.tools] == ["timeout"] * 3
        assert not verdicts(job) or verdicts(job)[-1].word in ("failure", "inconclusive")


def test_the_incident_is_in_the_middle_of_a_demo_that_ends() -> None:
    trouble = Trouble.of(100)
    assert [trouble.at(moment) for moment in (34, 36, 74, 76)] == [False, True, True, False]
    assert trouble.periods(100) == [(35, 75)]
    assert trouble.periods(50) == [(35, 50)]
    assert trouble.periods(20) == []


def test_the_incident_comes_again_in_a_demo_that_does_not_end() -> None:
    trouble = Trouble.of(None)
    hours = Counter(trouble.at(second) for second in range(480))
    assert hours[True] == 90
    assert trouble.periods(300) == [(40, 85), (280, 300)]
