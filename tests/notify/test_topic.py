"""The Kafka topic as a receiver, with the broker of the local stack."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from deploy.local.broker import Broker
from deploy.local.process import free_port
from pipeline.config import Settings
from pipeline.notify.build import notifier_of, receiver_of
from pipeline.notify.document import document
from pipeline.notify.receiver import Receiver, Rejected, Retryable
from tests.notify.world import Receipts, notification, resolved

TOPIC = {"type": "kafka", "name": "topic"}


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


def settings(bootstrap: str, **changes: Any) -> Settings:
    return Settings(kafka={"bootstrap": bootstrap}, notify={"receivers": [{**TOPIC, **changes}]})  # type: ignore[arg-type]


def receiver(bootstrap: str, **changes: Any) -> Receiver:
    made = settings(bootstrap, **changes)
    return receiver_of(made, made.notify.receivers[0])


def read(broker: Broker, topic: str, wanted: int, seconds: float = 20.0) -> list[tuple[bytes, Any]]:
    """Key and document of the first messages of a topic, in order."""
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, enable_auto_commit=False)
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek(partition, 0)
        found: list[Any] = []
        deadline = time.monotonic() + seconds
        while len(found) < wanted and time.monotonic() < deadline:
            found += consumer.poll(timeout_ms=200).get(partition, [])
        assert len(found) == wanted
        return [(message.key, json.loads(message.value)) for message in found]
    finally:
        consumer.close()


def test_the_topic_has_each_notification_under_the_key_of_its_alert(broker: Broker) -> None:
    receipts = Receipts()
    with notifier_of(settings(broker.bootstrap), receipts) as notifier:
        sent = [notification("a"), notification("b"), resolved("a")]
        for each in sent:
            assert notifier.offer(each) == {"topic"}
        assert all(receipt.ok for receipt in receipts.wait(lambda all_: len(all_) == 3))
    found = read(broker, "agent.alerts", wanted=3)
    assert sorted(key for key, _ in found) == [b"a", b"a", b"b"]
    assert [value for key, value in found if key == b"a"] == [document(sent[0]), document(sent[2])]


def test_a_topic_that_is_there_is_used(broker: Broker) -> None:
    broker.create_topics({"ours": 1})
    one, two = receiver(broker.bootstrap, topic="ours"), receiver(broker.bootstrap, topic="ours")
    for replica in (one, two):
        replica.send(notification())
        replica.close()
    assert read(broker, "ours", wanted=2) == [(notification().key.encode(), document(notification()))] * 2


def test_kafka_that_is_away_is_tried_again() -> None:
    away = receiver(f"127.0.0.1:{free_port()}")
    with pytest.raises(Retryable, match=r"Kafka has not taken it for agent.alerts: .*127.0.0.1"):
        away.send(notification())
    away.close()


def test_kafka_that_goes_away_and_comes_back_is_found_again() -> None:
    broker = Broker().start()
    kept = receiver(broker.bootstrap, timeout=1)
    kept.send(notification())
    port = broker.port
    broker.stop()
    with pytest.raises(Retryable, match=r"Kafka has not taken it for agent\.alerts"):
        kept.send(notification(at=2))
    with Broker(port) as back:
        deadline = time.monotonic() + 30
        while True:
            try:
                kept.send(notification(at=2))
                break
            except Retryable:
                assert time.monotonic() < deadline
        assert document(notification(at=2)) in [value for _, value in read(back, "agent.alerts", wanted=1)]
        kept.close()


def test_a_notification_that_is_too_large_is_not_tried_again(broker: Broker) -> None:
    made = receiver(broker.bootstrap)
    with pytest.raises(Rejected, match=r"too large for agent\.alerts"):
        made.send(notification(text=("x" * 3_000_000,)))
    made.close()
