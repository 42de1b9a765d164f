"""Objectives as code: what an owner writes becomes objectives, and every mistake is named with line and fix."""

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.slo.budget import Method
from pipeline.slo.durations import Duration
from pipeline.slo.load import dump, load
from pipeline.slo.maturity import Maturity
from pipeline.slo.metrics import METRICS, Kind
from pipeline.slo.objective import Cap, Commitment, NoData, Objective, Owner
from pipeline.slo.openslo import Service
from pipeline.slo.periods import CalendarWindow, RollingWindow
from pipeline.slo.resolve import Checked, check
from pipeline.slo.slices import Slicing
from pipeline.slo.source import Problem
from pipeline.slo.windows import GUARD_OFF, Severity, default_guard

CLAIMS = Path(__file__).with_name("claims.yaml").read_text("utf-8")


def checked(text: str = CLAIMS, **limits: int) -> Checked:
    return check([("claims.yaml", text)], **limits)


def edited(old: str, new: str) -> str:
    assert CLAIMS.count(old) >= 1, old
    return CLAIMS.replace(old, new, 1)


def problems(text: str, **limits: int) -> tuple[Problem, ...]:
    return checked(text, **limits).problems


def line_of(text: str, fragment: str) -> int:
    assert text.count(fragment) >= 1, fragment
    return text[: text.index(fragment)].count("\n") + 1


def named(objectives: tuple[Objective, ...], slo: str) -> Objective:
    (found,) = [each for each in objectives if each.slo == slo]
    return found


def test_a_file_of_one_workflow_becomes_its_objectives() -> None:
    result = checked()
    assert result.problems == ()
    assert [each.slo for each in result.objectives] == ["claims-success", "claims-overrides", "claims-cost"]
    workflow = result.objectives[0].workflow
    assert workflow.owner == Owner("Ada Lovelace", "ada@example.com", "claims-duty@example.com")
    assert workflow.launch_date == date(2026, 3, 1)
    assert workflow.case_types == ("motor", "household")
    assert {each.case_types for each in result.objectives} == {("motor", "household")}
    assert {each.runbook for each in result.objectives} == {"https://runbooks.example.com/claims"}


def test_a_rate_with_the_default_rule() -> None:
    objective = named(checked().objectives, "claims-success")
    assert (objective.name, objective.display_name) == ("right", "Claims settled right: right")
    assert objective.metric is METRICS["verified_success_rate"]
    assert objective.target == Fraction(9, 10)
    assert objective.window == RollingWindow(Duration(30, "d"))
    assert not objective.alerting.chosen
    assert objective.alerting.coverage_floor == Fraction(1, 10)
    assert objective.alerting.maturity == Maturity(percent=95)
    assert [str(pair) for pair in objective.alerting.rule.pairs][:2] == ["page 2h/10m x7.2", "page 216m/18m x4"]


def test_a_rate_where_lower_is_better_with_slices_a_calendar_and_windows_of_its_own() -> None:
    objective = named(checked().objectives, "claims-overrides")
    assert objective.target == Fraction(885, 1000)
    assert objective.terms.method is Method.TIMESLICES
    assert objective.terms.slicing == Slicing(60, Fraction(4, 5))
    berlin = ZoneInfo("Europe/Berlin")
    assert objective.window == CalendarWindow(Duration(1, "M"), datetime(2026, 3, 1), berlin)  # noqa: DTZ001
    assert objective.alerting.chosen
    assert [str(pair) for pair in objective.alerting.rule.pairs] == ["page 2h/10m x8.5", "ticket 3d/6h x1"]
    guard = objective.alerting.rule.guard
    assert (guard.min_bad, dict(guard.false_alerts)) == (5, {Severity.TICKET: 1, Severity.PAGE: Fraction(1, 10)})


def test_a_cap_with_alert_policies() -> None:
    objective = named(checked().objectives, "claims-cost")
    assert (objective.cap, objective.category) == (Cap("lte", Decimal("0.40")), "model")
    assert objective.terms.slicing == Slicing(1440)
    assert objective.commitment is Commitment.DRAFT
    page, ticket = objective.alerting.rule.pairs
    assert (str(page), page.inclusive, page.after) == ("page 1h/5m x13", False, 0)
    assert (str(ticket), ticket.inclusive, ticket.after) == ("ticket 1d/2h x1.5", True, 30)
    assert objective.alerting.targets == ((Severity.PAGE, "pagerduty"), (Severity.TICKET, "slack"))


@pytest.mark.parametrize(
    ("slo", "old", "new", "asked"),
    [
        ("claims-success", "maturity: p95", "maturity: p95", None),
        ("claims-success", "maturity: p95", "no-data: 6h", NoData(360, Severity.TICKET)),
        ("claims-cost", "alertWhenResolved: true", "alertWhenNoData: true", NoData(1440, Severity.PAGE)),
        (
            "claims-cost",
            "        alertWhenBr",
            "        alertWhenNoData: true\n        alertWhenBr",
            NoData(1440, Severity.TICKET),
        ),
    ],
)
def test_that_there_is_no_data_alerts_where_it_is_asked_for(slo: str, old: str, new: str, asked: NoData | None) -> None:
    assert named(checked(edited(old, new)).objectives, slo).alerting.no_data == asked


def test_labels_are_those_of_the_service_and_over_them_those_of_the_slo() -> None:
    text = edited("  name: claims\n", '  name: claims\n  labels: {team: claims-crew, tier: "3"}\n')
    objectives = checked(text).objectives
    assert named(objectives, "claims-success").labels == {"team": "claims-crew", "tier": "1", "tags": "claims,pilot"}
    assert named(objectives, "claims-cost").labels == {"team": "claims-crew", "tier": "3"}


def test_a_target_that_no_receiver_is_named_after_is_a_problem_where_receivers_are_known() -> None:
    assert not check([("claims.yaml", CLAIMS)], receivers=["slack", "pagerduty", "other"]).problems
    (problem,) = check([("claims.yaml", CLAIMS)], receivers=["slak", "pagerduty"]).problems
    assert (problem.line, "'slack' is not a receiver" in problem.what) == (line_of(CLAIMS, "target: slack"), True)
    assert problem.fix == "did you mean 'slak'"


def test_written_out_and_read_again_it_is_the_same() -> None:
    result = checked()
    again = load([("again.yaml", dump(result.objects))])
    assert again.problems == []
    assert tuple(each.object for each in again.loaded) == result.objects
    assert checked(dump(result.objects)).objectives == result.objectives


TEXT = st.text(max_size=40) | st.text("ab \n:#-'\"|>%@\t\r\x85\u2028\ufeff", max_size=12)


@settings(max_examples=50, deadline=None)
@given(TEXT, TEXT, st.lists(TEXT, max_size=3))
def test_any_text_survives_being_written_and_read(title: str, value: str, tags: list[str]) -> None:
    """`yes`, `1e3`, `0.40`, `~`, quotes, line breaks: text stays the text that it was."""
    metadata = {"name": "a", "displayName": title, "labels": {"tags": tags}, "annotations": {"x": value}}
    service = Service.model_validate({"apiVersion": "openslo/v1", "kind": "Service", "metadata": metadata})
    again = load([("again.yaml", dump([service]))])
    assert [each.object for each in again.loaded] == [service], again.problems


WORDS = ["yes", "1e3", "0x1", "12:30", "null", "~", "-.5", "2026-01-15", "true"]


@settings(max_examples=25, deadline=None)
@given(st.decimals(0, Decimal("0.999999"), places=6), st.sampled_from(WORDS))
def test_numbers_stay_exact_and_words_stay_words(target: Decimal, word: str) -> None:
    text = edited("target: 0.9\n", f"target: {target}\n").replace("Ada Lovelace", f'"{word}"')
    objects = [each.object for each in load([("f", text)]).loaded]
    written = dump(objects)
    assert [each.object for each in load([("again.yaml", written)]).loaded] == objects
    assert f"target: {target}\n" in written


def test_parts_may_be_in_several_files() -> None:
    documents = CLAIMS.split("\n---\n")
    result = check([(f"{at}.yaml", text) for at, text in enumerate(reversed(documents))])
    assert result.problems == ()
    assert {each.key for each in result.objectives} == {each.key for each in checked().objectives}


@pytest.mark.parametrize(("text", "guard"), [("off", GUARD_OFF), ("min-bad-events=3", default_guard())])
def test_the_guard_can_be_set_and_switched_off(text: str, guard: object) -> None:
    result = checked(edited("min-bad-events=5, false-pages=0.1", text))
    assert named(result.objectives, "claims-overrides").alerting.rule.guard == guard


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_every_metric_can_be_an_objective(metric: str) -> None:
    kind = METRICS[metric]
    if kind.kind is Kind.RATE:
        side = "good" if kind.numerator_is_good else "bad"
        text = CLAIMS.replace("verified_success_rate", metric).replace("        good:\n", f"        {side}:\n")
    else:
        evaluator = "" if kind.dated else ", evaluator: judge"
        text = CLAIMS.replace("cost_per_task, category: model", metric + evaluator)
        text = text.replace("commitment: draft", "commitment: draft\n    trueup.dev/maturity: 2d")
        text = text if kind.at_most else text.replace("op: lte", "op: gte")
    result = checked(text)
    assert result.problems == ()
    assert metric in [each.metric.name for each in result.objectives]


def test_two_services_cannot_be_of_one_workflow() -> None:
    """Their objectives would have two histories under one name. It may be the name of the other, too."""
    other = "\n---\napiVersion: openslo/v1\nkind: Service\nmetadata:\n  name: b\n  annotations:\n"
    other += "    trueup.dev/owner: Eve\n    trueup.dev/workflow: claims\n"
    (problem,) = problems(CLAIMS + other)
    assert problem.what == "'claims' is the workflow of the Service 'claims' already"
    assert problem.line == line_of(CLAIMS + other, "trueup.dev/workflow")
    assert not problems(CLAIMS + other.replace("workflow: claims", "workflow: Claims"))
