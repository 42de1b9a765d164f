"""Kafka: does it answer, are the topics as they must be, how far behind is the group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from kafka import KafkaConsumer
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError

from pipeline.config import ConfigError, Settings, show_duration
from pipeline.doctor.check import Check, judged
from pipeline.doctor.lag import Lag, lags
from pipeline.kafka import client_options
from pipeline.reach import trouble

LEAST_RETENTION_MS = 86_400_000
"""A day: what is shorter is lost in the first outage that lasts over a night."""
BATCH_BYTES = 1_024
"""Kafka's limit is of a record batch: what it has besides the message (its header, the key, record headers)."""
LAG_SECONDS = 60.0
"""Age of the oldest message that the group has not handled, from which on it is behind."""


def kafka(settings: Settings, now: Callable[[], float]) -> Iterator[Check]:
    """Kafka, its topics, and the lag of each."""
    k = settings.kafka
    try:
        consumer = KafkaConsumer(**client_options(settings), enable_auto_commit=False)
    except (KafkaError, ConfigError) as error:
        told = error if isinstance(error, ConfigError) else trouble(settings, error)
        yield Check("Kafka", False, str(told), "start it (`trueup up`), or set kafka.bootstrap")
        return
    try:
        yield Check("Kafka", True, k.bootstrap)
        topics = (k.spans_topic, k.logs_topic, k.actions_topic, k.deadletter_topic)
        partitions = {topic: len(consumer.partitions_for_topic(topic) or ()) for topic in topics}
        yield from _topics(settings, partitions)
        for lag in lags(settings, consumer, {topic: n for topic, n in partitions.items() if n}, now):
            yield replace(_lag(lag), oldest=lag.oldest)
    except KafkaError as error:
        yield Check("Kafka", False, str(trouble(settings, error)), "see the brokers' logs")
    finally:
        consumer.close()


def _topics(settings: Settings, partitions: dict[str, int]) -> Iterator[Check]:
    k = settings.kafka
    configured = _configured(settings, [topic for topic, found in partitions.items() if found])
    for topic, found in partitions.items():
        if not found:
            yield Check(f"topic {topic}", False, "0 partitions", "start a worker: it creates the topics")
            continue
        config = configured.get(topic, {})
        kept = config.get("retention.ms")
        told = f"{found} partitions" + (f", kept for {_span(int(kept))}" if kept else "")
        if fault := _fault(settings, config):
            yield Check(f"topic {topic}", False, f"{told}; {fault[0]}", fault[1])
        else:
            yield Check(f"topic {topic}", True, told)
    found = partitions[k.actions_topic]
    if found:
        fix = f"set kafka.partitions to {found}, or recreate the topic and raise kafka.epoch"
        yield judged("partitions", found == k.partitions, f"{found} in Kafka, {k.partitions} configured", fix)


def _fault(settings: Settings, config: dict[str, str]) -> tuple[str, str] | None:
    """What is wrong with a topic, and what to do. A broker that tells no configuration has none that matters."""
    if "compact" in config.get("cleanup.policy", ""):
        return "it is compacted, which removes events", "set cleanup.policy=delete"
    if 0 <= int(config.get("retention.ms", -1)) < LEAST_RETENTION_MS:
        return "an outage that lasts longer loses events", "set retention.ms to a day or more"
    if int(config.get("max.message.bytes", 2**31)) < settings.kafka.message_bytes + BATCH_BYTES:
        return "it takes no message as large as kafka.message_bytes", "raise max.message.bytes, or lower the other"
    return None


def _configured(settings: Settings, topics: list[str]) -> dict[str, dict[str, str]]:
    admin: Any = KafkaAdminClient(**client_options(settings))
    try:
        resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
        found = admin.describe_configs(resources, config_filter="all").get("topic", {}) if resources else {}
        return {topic: {name: entry["value"] for name, entry in config.items()} for topic, config in found.items()}
    finally:
        admin.close()


def _span(milliseconds: int) -> str:
    return "ever" if milliseconds < 0 else show_duration(milliseconds // 1_000)


def _lag(lag: Lag) -> Check:
    name = f"lag of {lag.topic}"
    if lag.beyond:
        fix = "the topic was made anew or lost its end: raise kafka.epoch, and rename kafka.group"
        return Check(name, False, f"the group has read {lag.beyond} messages more than there are", fix)
    if lag.lost:
        fix = "Kafka keeps them too short, or no worker ran for too long: send them again, and raise retention.ms"
        return Check(name, False, f"{lag.lost} messages were removed before they were read", fix)
    if not lag.messages:
        return Check(name, True, "nothing waits")
    fix = "is a worker running, and is ClickHouse? See its /readyz; add workers if it cannot keep up"
    return judged(name, lag.oldest < LAG_SECONDS, f"{lag.messages} messages wait, the oldest {lag.oldest:.0f} s", fix)
