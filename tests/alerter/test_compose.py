"""What a woken person reads: what, since when, how fast, what is left, what differs, which tasks, whom, where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from pipeline.alerter.compose import Composer, looked_at
from pipeline.alerter.difference import Span, ToldTask, differences, failed
from pipeline.alerter.held import Addressed, Held, held
from pipeline.alerter.settings import AlerterSettings
from pipeline.notify.alertmanager import alerts
from pipeline.notify.notification import Audience, Notification, Status
from pipeline.objectives.book import Basis, Counted, Scope
from pipeline.objectives.facts import TaskFacts
from pipeline.objectives.rules import Sought
from pipeline.slo.alert_state import AlertState, Change, Phase, Reason, Transition, Why
from pipeline.slo.objective import Objective, Owner, Workflow
from pipeline.slo.windows import Severity
from schemas.rows import TaskRow
from schemas.units import MINUTE_US
from sinks.objectives import TransitionRow
from sinks.port import Transient
from tests.alerter.world import objective
from tests.objectives.samples import NOW, facts, row, us

COUNTED = Counted(Scope("claims"), Sought("completion_rate"), Basis.NEWS)
SPAN = Span(NOW, 60)
SETTINGS = AlerterSettings(
    console="https://trueup.example.com/", owner="Pat", contact="#platform", runbook="http://run"
)
WORKFLOW = Workflow(
    "claims", "Insurance claims", Owner("Ada", "ada@example.com", "duty@example.com"), runbook="https://run/claims"
)
OBJECTIVE = replace(objective("a"), workflow=WORKFLOW, runbook="https://run/claims", display_name="Claims are settled")


def told(task: TaskRow) -> ToldTask:
    known = msgspec.json.decode(facts(task), type=TaskFacts)
    return ToldTask(*(getattr(known, name) for name in known.__struct_fields__), task.task_id, task.agent_version)


def bad(name: str, minute: int = NOW, **fields: object) -> ToldTask:
    return told(row(name, minute, claim="failure", **fields))


def good(name: str, minute: int = NOW, **fields: object) -> ToldTask:
    return told(row(name, minute, **fields))


def test_the_groups_that_got_worse_are_told_before_those_that_are_merely_bad() -> None:
    usual = [bad(f"u{n}", NOW - 100 - n, case_type="hard") for n in range(5)]
    usual += [good(f"v{n}", NOW - 100 - n, case_type="motor") for n in range(9)]
    now = [bad("a", case_type="hard"), *(bad(f"b{n}", case_type="motor") for n in range(3))]
    lines = differences([*usual, *now], COUNTED, SPAN)
    assert lines[0] == "by case type: motor 3 of 3 bad (0 of 9 before)"


def test_a_version_that_nobody_has_seen_before_is_told() -> None:
    usual = [good(f"u{n}", NOW - 100 - n, agent_version="6") for n in range(9)]
    now = [good("a", agent_version="6"), bad("b", agent_version="7"), bad("c", agent_version="7")]
    assert "by agent version: 7 2 of 2 bad (none before)" in differences([*usual, *now], COUNTED, SPAN)


def test_where_nothing_got_worse_nothing_is_told() -> None:
    tasks = [good("a"), bad("old", NOW - 100), bad("older", NOW - 60 * 30)]
    assert differences(tasks, COUNTED, SPAN) == []


def test_at_most_two_groups_of_a_kind_are_told() -> None:
    lines = differences([bad(str(n), case_type=f"type {n}") for n in range(9)], COUNTED, SPAN)
    assert lines[0].count(" bad (") == 2


def test_three_tasks_that_failed_last_can_be_opened() -> None:
    tasks = [*(bad(f"b{n}", NOW - n) for n in range(9)), good("g"), bad("before", NOW - 61), bad("later", NOW + 1)]
    assert failed(tasks, COUNTED, SPAN) == ["b0", "b1", "b2"]


@pytest.mark.parametrize(
    ("metric", "active", "looked", "basis", "until"),
    [
        ("completion_rate", ("reported/page",), "completion_rate", Basis.NEWS, NOW),
        ("verified_success_rate", ("reported/page",), "completion_rate", Basis.NEWS, NOW),
        ("verified_success_rate", ("verified/ticket",), "verified_success_rate", Basis.TASK, NOW - 300),
        ("verified_success_rate", ("arrivals/ticket",), "verified_success_rate", Basis.NEWS, NOW),
        ("verification_coverage", ("verified/ticket",), "verification_coverage", Basis.TASK, NOW - 300),
    ],
)
def test_what_differs_is_looked_for_where_the_alert_looked(
    metric: str, active: tuple[str, ...], looked: str, basis: Basis, until: int
) -> None:
    counted, span = looked_at(objective("a", metric), active, NOW, 300)
    assert (counted.sought.metric, counted.basis, span.until) == (looked, basis, until)
    assert span.minutes == (12 if active[0].endswith("page") else 36)


def line(
    change: Change = Change.FIRED,
    level: Severity | None = Severity.PAGE,
    workflow: str = "claims",
    told: Severity | None = None,
    reasons: tuple[Reason, ...] = (
        Reason(why=Why.BURNING, text="reported: 9 of 10 bad in 2h: budget spent 9x too fast"),
    ),
) -> TransitionRow:
    transition = Transition(
        key="k",
        at=NOW,
        change=change,
        from_phase=Phase.FIRING,
        phase=Phase.FIRING,
        from_level=Severity.PAGE,
        level=level,
        episode=1,
        notifies=True,
        reasons=reasons,
        told=told,
    )
    alert = AlertState(key="k", evaluated=NOW, level=level, active=("reported/page",), episode=1)
    after = Held(alert=alert, remaining=-0.25).model_dump_json()
    text = transition.model_dump_json()
    return TransitionRow("id", "k", workflow, "a", "1", NOW, change, 1, NOW - 30, text, 1, NOW, 1, after)


def compose(given: TransitionRow, about: Objective | None = OBJECTIVE, *tasks: TaskRow) -> Notification:
    lines = [msgspec.json.encode(told(task)) for task in tasks]
    return Composer(SETTINGS, lambda *_: lines).compose(given, about)


def test_a_page_says_everything_that_a_woken_person_needs() -> None:
    note = compose(line(), OBJECTIVE, row("t/1", claim="failure"))
    assert (note.status, note.severity, note.audience) == (Status.FIRING, Severity.PAGE, Audience.WORKFLOW)
    assert note.title == "Page: claims: Claims are settled"
    assert note.text == (
        "promised: 90% completion rate, 1d rolling",
        "since 2025-02-19T20:50:00Z",
        "reported: 9 of 10 bad in 2h: budget spent 9x too fast",
        "budget left: -25% of that of 1d",
        "what differs, the last 12m against the 4h before:",
        "by case type: motor 1 of 1 bad (none before)",
        "by agent version: not told 1 of 1 bad (none before)",
    )
    assert (note.owner, note.contact, note.escalation) == ("Ada", "ada@example.com", "duty@example.com")
    assert (note.runbook, note.link) == ("https://run/claims", "https://trueup.example.com/alerts/k")
    assert note.failed_tasks == (("t/1", "https://trueup.example.com/tasks/t%2F1"),)
    assert (note.started_at, note.ended_at) == ((NOW - 30) * MINUTE_US, None)
    assert note.transition_id == "id"


ADDRESSED = Addressed(
    labels={"team": "payments"}, targets={Severity.PAGE: ("duty", "gone"), Severity.TICKET: ("gone",)}
)


def test_labels_and_targets_are_told_as_they_were_when_the_alert_began() -> None:
    held_ = held(line(Change.RESOLVED, None).after).model_copy(update={"addressed": ADDRESSED})
    ended = msgspec.structs.replace(line(Change.RESOLVED, None), state=held_.model_dump_json())
    note = Composer(SETTINGS, lambda *_: [], frozenset({"duty", "board"})).compose(ended, None)
    assert note.labels == {"team": "payments"}
    assert note.targets == {Severity.PAGE: {"duty"}}, "a target that is no receiver would be nobody: all are told"


def test_the_end_says_how_loud_it_was_and_when_it_ended() -> None:
    note = compose(line(Change.RESOLVED, None))
    assert (note.status, note.severity, note.ended_at) == (Status.RESOLVED, Severity.PAGE, us(NOW))
    assert note.title == "Resolved: claims: Claims are settled"
    assert note.failed_tasks == ()


@pytest.mark.parametrize(
    ("change", "told", "level", "replaced"),
    [
        (Change.FIRED, None, Severity.PAGE, None),
        (Change.ESCALATED, Severity.TICKET, Severity.PAGE, Severity.TICKET),
        (Change.ESCALATED, None, Severity.PAGE, None),  # the ticket was silenced
        (Change.EASED, Severity.PAGE, Severity.TICKET, Severity.PAGE),
        (Change.UNSILENCED, None, Severity.PAGE, None),
        (Change.UNSILENCED, Severity.PAGE, Severity.PAGE, None),
        (Change.UNSILENCED, Severity.PAGE, Severity.TICKET, Severity.PAGE),
    ],
)
def test_what_replaces_what_is_told(
    change: Change, told: Severity | None, level: Severity, replaced: Severity | None
) -> None:
    note = compose(line(change, level, told=told))
    assert (note.severity, note.replaced, note.status) == (level, replaced, Status.FIRING)


def test_what_ends_is_what_people_were_told_of() -> None:
    """A page that eased in a silence, and ends in it, is a page to those who know of it."""
    note = compose(line(Change.RESOLVED, None, told=Severity.TICKET))
    assert (note.severity, note.replaced, note.status) == (Severity.TICKET, None, Status.RESOLVED)


def test_that_there_is_nothing_to_judge_is_told_to_the_owner_of_the_workflow() -> None:
    silent = msgspec.structs.replace(line(level=Severity.TICKET), objective=OBJECTIVE.no_data)
    note = compose(silent, OBJECTIVE, row("t/1", claim="failure"))
    assert (note.title, note.owner, note.failed_tasks) == ("Ticket: claims: no data: Claims are settled", "Ada", ())
    assert len(note.text) == 2


def test_the_pipelines_own_alerts_go_to_the_owner_of_the_platform() -> None:
    note = compose(line(workflow=""), None)
    assert (note.audience, note.owner, note.contact, note.runbook) == (
        Audience.PLATFORM,
        "Pat",
        "#platform",
        "http://run",
    )
    assert note.title == "Page: Trueup itself: 1"


def test_an_objective_that_was_removed_is_told_to_have_ended_and_why_not_to_be_resolved() -> None:
    reasons = (Reason(why=Why.WITHDRAWN, text="the objective was removed in version 2 of claims, by Eve: tidy"),)
    note = compose(line(Change.RESOLVED, None, told=Severity.PAGE, reasons=reasons), None)
    assert (note.workflow, note.audience, note.status) == ("claims", Audience.WORKFLOW, Status.RESOLVED)
    assert note.title == "Ended: claims: a/1"
    assert note.text == ("since 2025-02-19T20:50:00Z", reasons[0].text)


@pytest.mark.parametrize(
    "about", [None, replace(OBJECTIVE, workflow=replace(OBJECTIVE.workflow, owner=Owner("Grace")))]
)
def test_for_alertmanager_an_alert_stays_the_same_when_its_objective_is_removed_or_its_owner_changes(
    about: Objective | None,
) -> None:
    firing, ended = compose(line()), compose(line(Change.RESOLVED, None, told=Severity.PAGE), about)
    labels = [alerts(note, us(NOW), MINUTE_US)[0]["labels"] for note in (firing, ended)]
    assert labels[0] == labels[1]


def test_whoever_has_to_get_up_is_told_even_if_what_differs_cannot_be_asked_for() -> None:
    def away(*_: object) -> Sequence[bytes]:
        raise Transient("gone")

    note = Composer(SETTINGS, away).compose(line(), OBJECTIVE)
    assert note.text[-1] == "what differs is not known: gone"


def test_without_a_console_there_are_no_links_and_the_text_says_what_to_run() -> None:
    """Ids come from agents: what is copied into a shell is one argument, and no option."""
    ids = ("t", "a b; rm x", "--config=x")
    lines = [msgspec.json.encode(bad(each, NOW - at)) for at, each in enumerate(ids)]
    composer = Composer(AlerterSettings(), lambda *_: lines)
    note = composer.compose(line(), OBJECTIVE)
    assert (note.link, note.failed_tasks) == ("", tuple((each, "") for each in ids))
    assert note.text[-4:] == (
        "to open: trueup task t",
        "to open: trueup task 'a b; rm x'",
        "to open: trueup task -- --config=x",
        "what happened: trueup alerts history k",
    )
    for quiet in (line(Change.RESOLVED, None), line(workflow="")):
        assert composer.compose(quiet, None).text[-1] == note.text[-1]
