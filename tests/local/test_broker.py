"""The Kafka broker of the local stack, as kafka-python sees it."""

import socket
from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from deploy.local.broker import Broker
from deploy.local.process import StartError


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


def topics(broker: Broker) -> dict[str, int]:
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        return {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
    finally:
        admin.close()


def consume(broker: Broker, topic: str, partition: int, count: int) -> list[bytes]:
    consumer = KafkaConsumer(
        bootstrap_servers=broker.bootstrap, consumer_timeout_ms=20_000, max_partition_fetch_bytes=50_000_000
    )
    try:
        place = TopicPartition(topic, partition)
        consumer.assign([place])
        consumer.seek(place, 0)
        return [next(consumer).value for _ in range(count)]
    finally:
        consumer.close()


def test_topics_have_the_partitions_that_were_asked_for(broker: Broker) -> None:
    broker.create_topics({"spans": 6, "actions": 12})
    assert topics(broker).items() >= {"spans": 6, "actions": 12}.items()


def test_a_topic_that_exists_is_kept_if_it_has_the_same_partitions(broker: Broker) -> None:
    broker.create_topics({"again": 4})
    broker.create_topics({"again": 4})
    with pytest.raises(ValueError, match="again has 4 partitions, not 5"):
        broker.create_topics({"again": 5})


def test_messages_keep_their_order_within_a_partition(broker: Broker) -> None:
    broker.create_topics({"ordered": 2})
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    for number in range(100):
        producer.send("ordered", str(number).encode(), partition=1)
    producer.close()
    assert consume(broker, "ordered", 1, 100) == [str(number).encode() for number in range(100)]


def test_a_message_may_be_larger_than_kafkas_default_limit(broker: Broker) -> None:
    broker.create_topics({"large": 1})
    value = b"x" * 3_000_000
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, max_request_size=10_000_000)
    producer.send("large", value, partition=0).get(60)
    producer.close()
    assert consume(broker, "large", 0, 1) == [value]


def test_clients_are_sent_to_the_loopback_address(broker: Broker) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    nodes = [(node["host"], node["port"]) for node in admin.describe_cluster()["brokers"]]
    admin.close()
    assert nodes == [("127.0.0.1", broker.port)]


def test_the_environment_does_not_change_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_ENGINE", "s3://bucket/")
    monkeypatch.setenv("SCHEMA_REGISTRY", "file:///no/such/folder")
    monkeypatch.setenv("LISTENER_URL", "tcp://0.0.0.0:1")
    with Broker() as broker:
        broker.create_topics({"t": 1})
        assert topics(broker) == {"t": 1}


def test_a_stop_ends_the_process_and_forgets_the_topics() -> None:
    broker = Broker().start()
    broker.create_topics({"t": 1})
    broker.stop()
    assert not broker.running
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((broker.host, broker.port))
    with Broker(broker.port) as second:
        assert topics(second) == {}


def test_a_taken_port_is_a_clear_error(broker: Broker) -> None:
    with pytest.raises(StartError, match=f"127.0.0.1:{broker.port}: another process has that port. Fix: "):
        Broker(broker.port).start()


def test_a_missing_program_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", "/no/such/program")
    with pytest.raises(StartError, match="/no/such/program"):
        Broker().start()
