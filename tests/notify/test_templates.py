"""Messages made by templates: Slack's and PagerDuty's, and that hostile text stays text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.notify.escape import cut, mrkdwn, plain, web_url
from pipeline.notify.notification import Audience, Link
from pipeline.notify.template import of_file, parse, shipped
from pipeline.notify.values import ITEM, LISTS, STATES, TEXTS, URLS, values_of
from pipeline.section import ConfigError
from pipeline.slo.windows import Severity
from tests.notify.world import notification, resolved

SLACK, PAGERDUTY = shipped("slack"), shipped("pagerduty", ("routing_key",))
KEY = {"routing_key": "R0UT1NG"}


def slack(**changes: Any) -> dict[str, Any]:
    return SLACK.render(notification(**changes))


# --- Slack ---------------------------------------------------------------------------------------


def test_slack_is_told_what_how_loud_and_where_to_look() -> None:
    made = slack()
    assert made["text"] == "Page: refunds: verified success burns 14x its budget"
    (attachment,) = made["attachments"]
    assert attachment["title_link"] == "https://trueup.example/alerts/1"
    assert attachment["text"] == "60 of 80 tasks failed in the last hour.\nBudget left: 12%."
    fields = {field["title"]: field["value"] for field in attachment["fields"]}
    assert fields == {
        "Failed tasks": "<https://trueup.example/tasks/1|task-1>\ntask-2",
        "Runbook": "<https://runbooks.example/refunds|open>",
        "Owner": "Ada Lovelace ada@example.com",
        "Escalation": "#agents-oncall",
        "Since": "2026-11-18T11:06:40.000000Z",
    }


def test_slack_shows_each_state_differently() -> None:
    states = [notification(), notification(severity=Severity.TICKET), notification(severity=None), resolved()]
    made = [SLACK.render(each) for each in states]
    assert [each["attachments"][0]["color"] for each in made] == ["#c62828", "#ef8f00", "#ef8f00", "#2e7d32"]
    assert {"title": "Ended", "value": "2026-11-18T11:16:40.000000Z", "short": True} in made[3]["attachments"][0][
        "fields"
    ]


def test_what_is_missing_leaves_no_empty_field() -> None:
    made = slack(failed_tasks=(), runbook="", owner="", contact="", escalation="", text=(), link="")
    (attachment,) = made["attachments"]
    assert [field["title"] for field in attachment["fields"]] == ["Since"]
    assert not {"text", "title_link"} & set(attachment)


CONTROL = re.compile(r"<(?!https?://[^\s<>|]+\|[^<>]*>)")


@given(st.text(alphabet=st.one_of(st.sampled_from("<>&*_~`@|! \n/:.ahttps"), st.characters()), max_size=60))
def test_no_text_can_make_a_link_a_mention_or_a_format(hostile: str) -> None:
    texts = dict.fromkeys(("title", "workflow", "owner", "contact", "escalation"), hostile)
    made = slack(text=(hostile,), failed_tasks=(Link(hostile, "https://trueup.example/1"), Link(hostile)), **texts)
    for text in _texts(made):
        assert not CONTROL.search(text), text
        assert not re.search(r"[*`~]|(?<!\w)@", text), text
        assert not re.search(r"&(?!amp;|lt;|gt;)", text), text


def _texts(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [text for value in node.values() for text in _texts(value)]
    if isinstance(node, list):
        return [text for value in node for text in _texts(value)]
    return [node] if isinstance(node, str) else []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!channel> <https://evil.example|click>", "&lt;!channel&gt; &lt;https://evil.example|click&gt;"),
        ("@here ada@example.com", "＠here ada@example.com"),
        ("*bold* _italic_ task_success", "∗bold∗ ＿italic＿ task_success"),
        ("a & b &lt;", "a &amp; b &amp;lt;"),
    ],
)
def test_what_means_something_in_slack_is_shown_as_it_is(text: str, shown: str) -> None:
    assert mrkdwn(text) == shown


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "//host", "https://", "http://[", "\ud800", "https://h/" + "x" * 2_000],
)
def test_what_is_no_web_address_is_no_link(url: str) -> None:
    assert web_url(url) == ""
    made = slack(link=url, failed_tasks=(Link("task-1", url),))
    assert "title_link" not in made["attachments"][0]
    assert made["attachments"][0]["fields"][0]["value"] == "task-1"


@given(st.text(max_size=40))
def test_a_web_address_cannot_end_the_link_it_is_in(hostile: str) -> None:
    assert not re.search(r"[<>|\s\"\\^`{}]", web_url(f"https://trueup.example/{hostile}"))


def test_text_has_one_line_for_each_of_ours_and_an_end() -> None:
    made = slack(text=("one\nof\x00theirs", "two " + "x" * 5_000), title="t" * 500)
    text = made["attachments"][0]["text"]
    assert text.startswith("one of theirs\ntwo xxx")
    assert (len(text), text[-1], text.count("\n")) == (2_800, "…", 1)
    assert len(made["attachments"][0]["title"]) == 250


@given(st.text(max_size=20), st.integers(1, 20))
def test_cut_text_is_within_its_limit(text: str, limit: int) -> None:
    made = cut(text, limit)
    assert len(made) <= limit
    assert made == text or (made.endswith("…") and text.startswith(made[:-1]))


@given(st.text())
def test_plain_text_is_one_line_that_can_be_encoded(text: str) -> None:
    assert plain(text).encode().decode().isprintable()


# --- PagerDuty -----------------------------------------------------------------------------------


def test_pagerduty_opens_and_closes_the_same_incident() -> None:
    opened, closed = PAGERDUTY.render(notification(), KEY), PAGERDUTY.render(resolved(), KEY)
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == closed["dedup_key"] == notification().key
    assert opened["routing_key"] == "R0UT1NG"


def test_pagerduty_has_what_it_requires() -> None:
    made = PAGERDUTY.render(notification(title="t" * 2_000, workflow="", audience=Audience.PLATFORM), KEY)
    payload = made["payload"]
    assert len(payload["summary"]) == 1_024
    assert (payload["source"], payload["severity"]) == ("trueup", "critical")
    assert PAGERDUTY.render(notification(severity=Severity.TICKET), KEY)["payload"]["severity"] == "warning"


def test_pagerduty_links_to_the_alert_its_runbook_and_its_tasks() -> None:
    assert PAGERDUTY.render(notification(), KEY)["links"] == [
        {"href": "https://trueup.example/alerts/1", "text": "details"},
        {"href": "https://runbooks.example/refunds", "text": "runbook"},
        {"href": "https://trueup.example/tasks/1", "text": "task-1"},
    ]


def test_pagerduty_is_shown_text_as_it_is() -> None:
    made = PAGERDUTY.render(notification(title="a < b & *c* {key} {routing_key}"), KEY)
    assert made["payload"]["summary"] == "a < b & *c* {key} {routing_key}"


# --- templates of your own -----------------------------------------------------------------------


def test_every_name_that_may_be_used_has_a_value() -> None:
    values = values_of(notification(), "none", {})
    assert set(values) == TEXTS | URLS | LISTS
    assert {frozenset(item) for name in LISTS for item in values[name]} == {frozenset(ITEM)}


def test_a_template_of_your_own_is_used(tmp_path: Path) -> None:
    file = tmp_path / "teams.yaml"
    file.write_text(
        'escape: none\nmessage: {"a": ["{title}", 1, {each: links, of: "{text}", join: "+"}], "b": "{slo}!"}'
    )
    made = of_file(file).render(notification(slo=""))
    assert made == {"a": [notification().title, 1, "details+runbook+task-1"]}
    assert json.loads(json.dumps(made)) == made


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[", "is no YAML map"),
        ("- 1", "is no YAML map"),
        ("escape: none", "message: Field required"),
        ("{escape: html, message: {}}", "escape: String should match pattern"),
        ("{escape: none, mesage: {}, message: {}}", "mesage: Extra inputs are not permitted"),
        ("{escape: none, message: {a: ['{titel}']}}", "{titel} is no value"),
        ("{escape: none, message: {a: '{routing_key}'}}", "{routing_key} is no value"),
        ("{escape: none, message: {a: '{word}'}, states: {page: {word: x}}}", "{word} is no value"),
        ("{escape: none, message: {}, states: {paged: {}}}", f"there is no state paged; write {', '.join(STATES)}"),
        (
            "{escape: none, message: {a: {each: tasks, of: x}}}",
            "each: tasks is no list; write one of failed_tasks, links",
        ),
        ("{escape: none, message: {a: {each: links}}}", "each: links takes `of` and, for a text, `join`"),
        ("{escape: none, message: {a: {each: links, of: {}, join: x}}}", "with `join` needs texts"),
        ("{escape: none, message: {a: {needs: runbok}}}", "needs: runbok is no value"),
        ("{escape: none, message: {a: {1: x}}}", "are not all texts"),
        ("{escape: none, message: {}, limits: {title: 0}}", "limits.title: Input should be greater than"),
    ],
)
def test_a_template_that_cannot_be_used_is_told_before_an_alert_needs_it(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=f"the template teams .*{re.escape(told)}"):
        parse(text, "teams")


def test_a_template_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the template .*absent\.yaml .*check the path"):
        of_file(tmp_path / "absent.yaml")
