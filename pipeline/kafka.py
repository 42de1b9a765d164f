"""kafka-python at the edges of the pipeline: topics, a producer, and how far the group has come."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from pipeline.config import ConfigError, Settings
from pipeline.reach import Unreachable, ca_file, trouble
from pipeline.section import LONGEST_DAYS
from schemas.event import TIME_END
from schemas.mapping.records import DAY_US

__all__ = ["Positions", "Progress", "Unreachable", "client_options", "ensure_topics", "micros", "producer"]

Positions = dict[TopicPartition, int]
ANSWER_MS = 5_000
"""How long the brokers have to answer at all."""


def micros(timestamp: float) -> int:
    """A Kafka timestamp (milliseconds) in microseconds; 0 if it is none, or one that no row could hold and keep.

    Producers set what they like; -1 is Kafka's for none.
    """
    at = round(timestamp) * 1_000
    return at if 0 < at < TIME_END - LONGEST_DAYS * DAY_US else 0


def client_options(settings: Settings) -> dict[str, Any]:
    """What every client of kafka-python is told. Secrets are read here and go nowhere else."""
    k = settings.kafka
    options: dict[str, Any] = {
        "bootstrap_servers": k.bootstrap.split(","),
        "bootstrap_timeout_ms": ANSWER_MS,
        "security_protocol": k.security_protocol,
    }
    if k.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": k.sasl_mechanism,
            "sasl_plain_username": k.sasl_username,
            "sasl_plain_password": k.password,
        }
    if k.security_protocol.endswith("SSL") and (authority := ca_file(k)) is not None:
        options["ssl_cafile"] = authority
    return options


def ensure_topics(settings: Settings) -> None:
    """Create the topics that are missing. Raises ConfigError if agent.actions has another partition count."""
    k = settings.kafka
    wanted = {
        k.spans_topic: k.partitions,
        k.logs_topic: k.partitions,
        k.actions_topic: k.partitions,
        k.deadletter_topic: 1,
    }
    try:
        admin = KafkaAdminClient(**client_options(settings))
        try:
            present = set(admin.list_topics())
            for name, partitions in wanted.items():
                if name not in present:
                    _create(admin, NewTopic(name, num_partitions=partitions, replication_factor=k.replication))
        finally:
            admin.close()
        consumer = KafkaConsumer(**client_options(settings))
        try:
            found = _partitions(consumer, k.actions_topic)
        finally:
            consumer.close()
    except KafkaError as error:
        raise trouble(settings, error) from None
    if found != k.partitions:
        raise ConfigError(
            f"{k.actions_topic} has {found} partitions and kafka.partitions says {k.partitions}; "
            "set kafka.partitions to what it has, or recreate the topic and raise kafka.epoch"
        )


def _partitions(consumer: Any, topic: str) -> int:
    """How many partitions a topic has. Not every broker knows at once of one that was just created."""
    deadline = time.monotonic() + ANSWER_MS / 1_000
    while not (found := consumer.partitions_for_topic(topic)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return len(found or ())


def _create(admin: Any, topic: Any) -> None:
    try:
        admin.create_topics([topic])
    except TopicAlreadyExistsError:
        return


def producer(settings: Settings, **options: Any) -> Any:
    """An idempotent producer; `options` are kafka-python's and win. Raises Unreachable or ConfigError."""
    largest = max(settings.kafka.message_bytes * 2, 2_000_000)
    ours = {"acks": "all", "linger_ms": 5, "max_request_size": largest}
    try:
        return KafkaProducer(**client_options(settings), **{**ours, **options})
    except KafkaError as error:
        raise trouble(settings, error) from None


class Progress:
    """How far the consumer group has come. Committed means durable: rows are in ClickHouse."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        try:
            self._consumer = KafkaConsumer(
                **client_options(settings), group_id=settings.kafka.group, enable_auto_commit=False
            )
        except KafkaError as error:
            raise trouble(settings, error) from None

    def committed(self, tps: Mapping[TopicPartition, int]) -> Positions:
        """What the group has committed; 0 where nothing."""
        return {tp: self._consumer.committed(tp) or 0 for tp in tps}

    def behind(self, targets: Positions) -> int:
        """How many messages are left until the group is at the targets."""
        wanted = {tp: end for tp, end in targets.items() if end > 0}
        return sum(
            max(0, end - at) for (_, end), at in zip(wanted.items(), self.committed(wanted).values(), strict=True)
        )

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
