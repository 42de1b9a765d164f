"""Receivers in the configuration, and what docs/notifications.md says of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import ConfigError, Settings, load
from pipeline.notify.alertmanager import Alertmanager
from pipeline.notify.audience import Wanted
from pipeline.notify.build import notifier_of, policy_of, receiver_of
from pipeline.notify.document import document
from pipeline.notify.http import Endpoint
from pipeline.notify.notification import Audience
from pipeline.notify.receipt import Receipt
from pipeline.notify.template import of_file
from pipeline.notify.templated import Templated
from pipeline.notify.topic import Topic
from pipeline.notify.values import LISTS, TEXTS, URLS
from pipeline.notify.webhook import Webhook
from pipeline.slo.windows import Severity
from tests.notify.http_server import HttpServer
from tests.notify.world import START, Receipts, Time, notification

DOCUMENT = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
SECRET = "a word that nobody may see"
HOOK = {"type": "webhook", "name": "hook", "url": "http://127.0.0.1/hook"}
MANAGER = {"type": "alertmanager", "name": "am", "url": "http://127.0.0.1:9093"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)


def write(file: Path, *receivers: dict[str, Any]) -> Path:
    file.write_text(yaml.safe_dump({"notify": {"receivers": list(receivers)}}))
    return file


# --- the configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("receivers", "told"),
    [
        ([{**HOOK, "type": "mail"}], "Input tag 'mail' found using 'type' does not match any of the expected tags"),
        ([{"name": "x"}], "Unable to extract tag using discriminator 'type'"),
        ([{**HOOK, "uri": "http://x"}], "uri: Extra inputs are not permitted"),
        ([{"type": "slack", "name": "chat"}], "chat has nowhere to post: set url_file or url"),
        ([{"type": "pagerduty", "name": "pd"}], "pd has no routing key: set routing_key_file or routing_key"),
        ([HOOK, MANAGER, HOOK], "two receivers are named hook: give each a name of its own"),
        ([{**HOOK, "name": "a b"}], "name: String should match pattern"),
        ([{**HOOK, "severities": ["loud"]}], "severities.0: Input should be 'page' or 'ticket'"),
        ([{**HOOK, "audiences": []}], "audiences: List should have at least 1 item"),
        ([{**HOOK, "timeout": "2m"}], "timeout: Input should be less than or equal to 60"),
        ([{**MANAGER, "url": "http://me:word@host"}], "url: String should match pattern"),
        ([{**MANAGER, "url": "alertmanager:9093"}], "url: String should match pattern"),
        ([{**MANAGER, "hold": "90s"}], "one lost message would resolve the alert; raise hold"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_told(tmp_path: Path, receivers: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path / "trueup.yaml", *receivers))
    assert told in str(error.value)
    assert "notify.receivers" in str(error.value)


def test_no_secret_of_a_receiver_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pipeline.cli.app import app

    receivers = [
        {**HOOK, "url": f"http://h/{SECRET}", "secret": SECRET, "authorization": SECRET},
        {**MANAGER, "authorization": SECRET},
        {"type": "slack", "name": "chat", "url": f"http://h/{SECRET}"},
        {"type": "pagerduty", "name": "pd", "routing_key": SECRET},
    ]
    file = write(tmp_path / "trueup.yaml", *receivers)
    app(["config", "show", "--config", str(file)], standalone_mode=False)
    shown = capsys.readouterr().out
    assert SECRET not in shown + repr(load(file))
    assert shown.count("**********") == 6
    assert "http://127.0.0.1:9093" in shown


def test_a_mistake_beside_a_secret_does_not_tell_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path / "trueup.yaml", {**HOOK, "secret": SECRET, "queue": 0}))
    assert SECRET not in str(error.value)


def test_receivers_come_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUEUP_NOTIFY__RECEIVERS", json.dumps([HOOK]))
    assert [receiver.name for receiver in load().notify.receivers] == ["hook"]


def test_the_policy_is_the_one_of_the_settings() -> None:
    chosen = {"severities": ["page"], "audiences": ["platform"], "labels": {"team": "payments"}}
    asked = {**chosen, "give_up_after": "2h", "queue": 7}
    settings = Settings(notify={"receivers": [{**MANAGER, **asked, "repeat_every": "30s"}, HOOK]})  # type: ignore[arg-type]
    manager, hook = (policy_of(receiver) for receiver in settings.notify.receivers)
    name, labels = MANAGER["name"], {"team": "payments"}
    assert manager.wanted == Wanted(frozenset({Audience.PLATFORM}), frozenset({Severity.PAGE}), labels, name)
    assert (manager.give_up_after, manager.queue, manager.repeat_every) == (7_200, 7, 30)
    assert (hook.wanted, hook.repeat_every) == (Wanted(name="hook"), None)


def test_a_template_that_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("{escape: none, message: {a: '{titel}'}}")
    slack = {"type": "slack", "name": "chat", "url": "http://h/", "template": str(file)}
    with pytest.raises(ConfigError, match=r"\{titel\} is no value"):
        notifier_of(Settings(notify={"receivers": [slack]}), Receipts())  # type: ignore[arg-type]


def test_what_is_configured_is_delivered(tmp_path: Path) -> None:
    """Through the composition root, to a server on the loopback interface."""
    receipts = Receipts()
    with HttpServer() as server:
        (tmp_path / "url").write_text(f"{server.url}/hook")
        receivers = [
            {"type": "webhook", "name": "hook", "url_file": str(tmp_path / "url")},
            {**MANAGER, "url": server.url + "/"},
            {"type": "pagerduty", "name": "pd", "routing_key": "key", "url": f"{server.url}/v2/enqueue"},
        ]
        settings = load(write(tmp_path / "trueup.yaml", *receivers))
        with notifier_of(settings, receipts) as notifier:
            assert notifier.offer(notification()) == {"hook", "am", "pd"}
            told = receipts.wait(lambda all_: len(all_) == 3)
    assert {Receipt(notification().transition_id, name, True, "", 1) for name in ("hook", "am", "pd")} == set(told)
    assert {request.path for request in server.requests} == {"/hook", "/api/v2/alerts", "/v2/enqueue"}


# --- the documentation ---------------------------------------------------------------------------


def test_the_example_can_be_used_and_has_every_type(tmp_path: Path) -> None:
    file = tmp_path / "trueup.yaml"
    file.write_text(blocks("yaml")[0])
    settings = load(file)
    made = [receiver_of(settings, receiver) for receiver in settings.notify.receivers]
    assert [type(each) for each in made] == [Alertmanager, Templated, Templated, Webhook, Topic]


def test_the_json_is_what_is_sent() -> None:
    assert json.loads(blocks("json")[0]) == document(notification())


def test_the_check_of_a_signature_works_as_it_is_written() -> None:
    space: dict[str, Any] = {"hmac": hmac, "hashlib": hashlib, "base64": base64}
    exec(blocks("python")[0], space)  # noqa: S102 - it is ours
    with HttpServer() as server:
        Webhook(Endpoint(lambda: server.url), lambda: SECRET, Time().clock).send(notification())
    (request,) = server.requests
    now = START / 1_000_000
    assert space["is_genuine"](request.headers, request.body, SECRET, now)
    assert not space["is_genuine"](request.headers, request.body + b" ", SECRET, now)
    assert not space["is_genuine"](request.headers, request.body, SECRET, now + 301)


def test_the_template_does_what_is_said_of_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    (template,) = (text for text in blocks("yaml") if "escape:" in text)
    file.write_text(template)
    made = of_file(file).render(notification(owner="", contact="", runbook=""))
    assert made == {
        "text": f"PAGE: {notification().title}",
        "tasks": "<https://trueup.example/tasks/1|task-1>, task-2",
    }


def test_every_value_of_a_template_is_told_and_no_other() -> None:
    table = DOCUMENT.split("| value | meaning |")[1].split("\n\n")[0]
    told = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert told == TEXTS | URLS | LISTS | {"routing_key"}
