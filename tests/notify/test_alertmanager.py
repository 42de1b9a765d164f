"""What Alertmanager is sent, and when it is sent again."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.notify.alertmanager import alerts
from pipeline.notify.clock import MICRO
from pipeline.notify.notification import Audience
from pipeline.slo.windows import Severity
from tests.notify.world import START, notification, resolved

HOLD = 3_600 * MICRO
LATER = START + 900 * MICRO


def ends(alert: dict[str, Any]) -> timedelta:
    return datetime.fromisoformat(alert["endsAt"]) - datetime.fromisoformat(alert["startsAt"])


def test_a_firing_alert_ends_only_when_nothing_is_heard_for_long() -> None:
    (alert,) = alerts(notification(), LATER, HOLD)
    assert (alert["startsAt"], ends(alert)) == ("2026-11-18T11:06:40.000000Z", timedelta(seconds=900 + 3_600))
    assert alert["generatorURL"] == "https://trueup.example/alerts/1"


def test_a_resolved_alert_ends_when_it_ended() -> None:
    (alert,) = alerts(resolved(), LATER, HOLD)
    assert ends(alert) == timedelta(minutes=10)


def test_an_alert_is_the_same_while_it_lasts() -> None:
    """Its labels are its identity: nothing that changes during an episode is among them."""
    began = alerts(notification(), START, HOLD)[0]["labels"]
    changed = notification(
        title="burns 3x",
        text=("other",),
        at=5,
        failed_tasks=(),
        annotations={"a": "b"},
        contact="bob@example.com",
        owner="Bob",
    )
    assert alerts(changed, LATER, HOLD)[0]["labels"] == alerts(resolved(), LATER, HOLD)[0]["labels"] == began
    assert began == {
        "alertname": "TrueupObjective",
        "alert_key": "0123456789abcdef",
        "audience": "workflow",
        "objective": "verified-success",
        "severity": "page",
        "slo": "refunds-quality",
        "team": "payments",
        "workflow": "refunds",
    }


def test_a_page_that_was_a_ticket_ends_the_ticket_in_the_same_request() -> None:
    louder = notification(replaced=Severity.TICKET, ended_at=START + 300 * MICRO)
    page, ticket = alerts(louder, LATER, HOLD)
    assert (page["labels"]["severity"], ticket["labels"]["severity"]) == ("page", "ticket")
    assert {**page["labels"], "severity": ""} == {**ticket["labels"], "severity": ""}
    assert (ends(page), ends(ticket)) == (timedelta(seconds=900 + 3_600), timedelta(minutes=5))


def test_an_alert_of_the_platform_has_a_name_of_its_own() -> None:
    (alert,) = alerts(notification(audience=Audience.PLATFORM, workflow="", slo="", objective=""), LATER, HOLD)
    assert (alert["labels"]["alertname"], alert["labels"]["audience"]) == ("TrueupPlatform", "platform")
    assert not {"workflow", "slo", "objective"} & set(alert["labels"])


def test_what_a_person_needs_is_in_the_annotations() -> None:
    (alert,) = alerts(notification(), LATER, HOLD)
    assert alert["annotations"] == {
        "summary": notification().title,
        "description": "\n".join(notification().text),
        "runbook_url": "https://runbooks.example/refunds",
        "dashboard_url": "https://trueup.example/alerts/1",
        "owner": "Ada Lovelace",
        "contact": "ada@example.com",
        "escalation": "#agents-oncall",
        "failed_tasks": "task-1 https://trueup.example/tasks/1\ntask-2",
        "dashboard": "board 7",
    }


@pytest.mark.parametrize("labels", [{"alert_key": "other"}, {"severity": "page "}, {"workflow": "theirs"}])
def test_labels_of_others_do_not_replace_ours(labels: dict[str, str]) -> None:
    (alert,) = alerts(notification(labels=labels), LATER, HOLD)
    assert alert["labels"] == alerts(notification(labels={}), LATER, HOLD)[0]["labels"]


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_names_of_labels_are_names_that_prometheus_allows(labels: dict[str, str]) -> None:
    (alert,) = alerts(notification(labels=labels, annotations=labels), LATER, HOLD)
    for name, value in [*alert["labels"].items(), *alert["annotations"].items()]:
        assert re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name)
        assert value


@given(st.integers(-2 * HOLD, 2 * HOLD), st.integers(-2 * HOLD, 2 * HOLD), st.sampled_from([None, *Severity]))
def test_no_clock_makes_an_alert_end_before_it_begins(started: int, ended: int, replaced: Severity | None) -> None:
    """Alertmanager refuses those."""
    made = {"started_at": START + started, "ended_at": START + ended, "replaced": replaced}
    for sent in (notification(**made), resolved(**made)):
        assert all(ends(alert) >= timedelta(0) for alert in alerts(sent, START, HOLD))
