"""What a person is told about a dead letter."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from pipeline.config import Settings
from pipeline.deadletter.explain import MEANING, explain, readable
from schemas.words import Reason
from sinks.clickhouse.dead_letters import Position

SETTINGS = Settings(kafka={"spans_topic": "my_spans", "logs_topic": "my_logs", "actions_topic": "my_actions"})


def test_every_reason_has_a_meaning_and_a_fix() -> None:
    assert set(MEANING) == set(Reason)


def test_topics_are_named_as_they_are_configured() -> None:
    told = " ".join(" ".join(explain(SETTINGS, reason)) for reason in Reason)
    assert all(topic in told for topic in ("my_spans", "my_logs", "my_actions"))
    assert "{" not in told


def test_a_reason_of_another_version_is_no_error() -> None:
    assert "does not know" in explain(SETTINGS, "invented_later")[0]


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b'{"name": "<str of 4>", "n": 1}', {"name": "<str of 4>", "n": 1}),
        (b'["\xff"]', '["\\xff"]'),
        (b"xxxx 00", "xxxx 00"),
        (b"", ""),
        (b"\x00\x01", "\x00\x01"),
    ],
)
def test_a_payload_is_shown_as_what_it_is(payload: bytes, shown: Any) -> None:
    assert readable(base64.b64encode(payload).decode()) == shown


def test_a_payload_that_is_not_base64_is_shown_as_it_is() -> None:
    assert readable("not base64!") == "not base64!"


@pytest.mark.parametrize("text", ["otlp_spans/3/1042", "otlp_spans/3/1042/0", "my.topic-1/0/0/-1"])
def test_a_position_is_written_as_it_is_read(text: str) -> None:
    assert str(Position.parse(text)) == text


@pytest.mark.parametrize("text", ["", "otlp_spans", "otlp_spans/3", "a/b/c", "a/1/2/3/4", "a/1/x"])
def test_what_is_no_position_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="TOPIC/PARTITION/OFFSET"):
        Position.parse(text)
