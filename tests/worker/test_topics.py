"""Topics are made when they are missing, and waited for: a broker may not know yet what another has just made."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline import kafka
from pipeline.config import ConfigError, Settings

SETTINGS = Settings.model_validate({"kafka": {"partitions": 6}})


class Brokers:
    """Stands for kafka-python's clients: `late` is how often it is asked before it knows the new topic."""

    def __init__(self, late: int, partitions: int = 6) -> None:
        self.late, self.partitions = late, partitions
        self.created: list[str] = []

    def __call__(self, **_: Any) -> Brokers:
        return self

    def list_topics(self) -> list[str]:
        return []

    def create_topics(self, topics: list[Any]) -> None:
        self.created += [topic.name for topic in topics]

    def partitions_for_topic(self, _topic: str) -> set[int]:
        self.late -= 1
        return set() if self.late >= 0 else set(range(self.partitions))

    def close(self) -> None:
        """Nothing to close."""


def given(monkeypatch: pytest.MonkeyPatch, brokers: Brokers) -> None:
    for name in ("KafkaAdminClient", "KafkaConsumer"):
        monkeypatch.setattr(kafka, name, brokers)


def test_a_topic_that_is_not_known_everywhere_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    brokers = Brokers(late=2)
    given(monkeypatch, brokers)
    kafka.ensure_topics(SETTINGS)
    assert brokers.created == ["otlp_spans", "otlp_logs", "agent.actions", "agent.deadletter"]


def test_another_number_of_partitions_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, Brokers(late=0, partitions=4))
    with pytest.raises(ConfigError, match=r"has 4 partitions and kafka.partitions says 6"):
        kafka.ensure_topics(SETTINGS)
