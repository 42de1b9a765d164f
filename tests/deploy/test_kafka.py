"""The local Apache Kafka: ordinary clients work with it, and single brokers can fail."""

import asyncio
import itertools
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiokafka
import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.helpers import create_ssl_context
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

from deploy.local.kafka import Kafka
from deploy.local.process import StartError, free_port

requires_kafka = pytest.mark.usefixtures("requires_kafka")


def new_topic(settings: dict[str, str], partitions: int = 1) -> str:
    """A topic that no other test uses, replicated as the cluster does by default."""
    name = f"topic-{uuid.uuid4().hex}"
    admin = KafkaAdminClient(**settings)
    admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=-1)])
    admin.close()
    return name


def produce(settings: dict[str, str], topic: str, *values: bytes, **options: Any) -> None:
    """Send, and return when the brokers have acknowledged every value."""
    producer = KafkaProducer(**settings, **options)
    sent = [producer.send(topic, value) for value in values]
    for future in sent:
        future.get(timeout=60)
    producer.close()


def consume(settings: dict[str, str], topic: str, count: int) -> list[bytes]:
    """The first `count` values of the topic's partition 0, or fewer when they do not come within 30 s."""
    consumer = KafkaConsumer(topic, **settings, auto_offset_reset="earliest", consumer_timeout_ms=30_000)
    values = [message.value for message in itertools.islice(consumer, count)]
    consumer.close()
    return values


@requires_kafka
def test_kafka_python_reads_what_it_wrote(kafka: Kafka) -> None:
    topic = new_topic(kafka.client_settings)

    produce(kafka.client_settings, topic, b"one", b"two")

    assert consume(kafka.client_settings, topic, 2) == [b"one", b"two"]


@requires_kafka
def test_aiokafka_reads_what_it_wrote(kafka: Kafka) -> None:
    topic = new_topic(kafka.client_settings)

    async def round_trip() -> bytes:
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
            await producer.send_and_wait(topic, b"one")
        options = {"bootstrap_servers": kafka.bootstrap, "auto_offset_reset": "earliest"}
        async with aiokafka.AIOKafkaConsumer(topic, group_id=topic, **options) as consumer:
            return bytes((await asyncio.wait_for(consumer.getone(), 30)).value)

    assert asyncio.run(round_trip()) == b"one"


@requires_kafka
def test_a_message_above_the_limit_is_refused_and_one_below_it_is_not() -> None:
    with Kafka(message_max_bytes=2_000_000) as kafka:
        topic = new_topic(kafka.client_settings)

        produce(kafka.client_settings, topic, bytes(1_900_000), max_request_size=10_000_000)
        with pytest.raises(Exception, match=r"MessageSizeTooLarge|RecordTooLarge"):
            produce(kafka.client_settings, topic, bytes(2_100_000), max_request_size=10_000_000)


@requires_kafka
def test_nothing_is_left_of_a_cluster_without_a_data_folder() -> None:
    with Kafka() as kafka:
        host, _, port = kafka.bootstrap.partition(":")
        directory = kafka.directory
        assert directory.exists()

    assert not directory.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


@requires_kafka
def test_a_cluster_with_a_data_folder_still_has_the_messages_after_a_restart(tmp_path: Path) -> None:
    with Kafka(data=tmp_path) as kafka:
        topic = new_topic(kafka.client_settings)
        produce(kafka.client_settings, topic, b"one")

    with Kafka(data=tmp_path) as kafka:
        assert consume(kafka.client_settings, topic, 1) == [b"one"]


@pytest.fixture(scope="module")
def three_brokers(requires_kafka: None) -> Iterator[Kafka]:
    with Kafka(brokers=3) as kafka:
        yield kafka


def leader_of(settings: dict[str, str], topic: str) -> int:
    """The id of the broker that leads the topic's partition 0."""
    admin = KafkaAdminClient(**settings)
    described = admin.describe_topics([topic])
    admin.close()
    return int(described[0]["partitions"][0]["leader_id"])


@requires_kafka
def test_killing_the_leader_loses_nothing_and_it_comes_back(three_brokers: Kafka) -> None:
    kafka = three_brokers
    topic = new_topic(kafka.client_settings)
    produce(kafka.client_settings, topic, b"before", acks="all")
    leader = leader_of(kafka.client_settings, topic)

    kafka.kill(leader)
    produce(kafka.client_settings, topic, b"without it", acks="all")
    kafka.restart(leader)
    produce(kafka.client_settings, topic, b"with it again", acks="all")

    assert consume(kafka.client_settings, topic, 3) == [b"before", b"without it", b"with it again"]


@requires_kafka
def test_pausing_the_leader_moves_the_lead_and_it_can_run_on(three_brokers: Kafka) -> None:
    kafka = three_brokers
    topic = new_topic(kafka.client_settings)
    leader = leader_of(kafka.client_settings, topic)

    others = [address for number, address in enumerate(kafka.bootstrap.split(","), 1) if number != leader]
    settings = {**kafka.client_settings, "bootstrap_servers": ",".join(others)}

    kafka.pause(leader)
    produce(settings, topic, b"while it hangs", acks="all", request_timeout_ms=2000)
    followed_by = leader_of(settings, topic)
    kafka.resume(leader)

    assert followed_by != leader
    assert consume(kafka.client_settings, topic, 1) == [b"while it hangs"]


@pytest.fixture(scope="module")
def secure(requires_kafka: None) -> Iterator[Kafka]:
    with Kafka(secure=True) as kafka:
        yield kafka


@requires_kafka
def test_kafka_python_logs_in_over_tls_with_scram(secure: Kafka) -> None:
    topic = new_topic(secure.client_settings)

    produce(secure.client_settings, topic, b"one")

    assert consume(secure.client_settings, topic, 1) == [b"one"]


@requires_kafka
def test_aiokafka_logs_in_over_tls_with_scram(secure: Kafka) -> None:
    topic = new_topic(secure.client_settings)
    settings = dict(secure.client_settings)
    context = create_ssl_context(cafile=settings.pop("ssl_cafile"))

    async def send() -> int:
        async with aiokafka.AIOKafkaProducer(**settings, ssl_context=context) as producer:
            return int((await producer.send_and_wait(topic, b"one")).offset)

    assert asyncio.run(send()) == 0


@requires_kafka
def test_a_wrong_password_is_refused(secure: Kafka, caplog: pytest.LogCaptureFixture) -> None:
    settings = {**secure.client_settings, "sasl_plain_password": "wrong"}
    context = create_ssl_context(cafile=settings.pop("ssl_cafile"))

    async def log_in() -> None:
        producer = aiokafka.AIOKafkaProducer(**settings, ssl_context=context)
        try:
            await producer.start()
        finally:
            await producer.stop()

    with pytest.raises(KafkaConnectionError, match="Unable to bootstrap"):
        asyncio.run(log_in())
    assert "invalid credentials" in caplog.text


def every_command_line() -> Iterator[bytes]:
    """Of the processes of this machine, but those that end while they are looked at."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes()


@requires_kafka
def test_the_password_is_on_no_command_line_and_in_no_file_of_the_broker(secure: Kafka) -> None:
    assert secure.credentials is not None
    password = secure.credentials.password.encode()
    command_lines = [line for line in every_command_line() if b"kafka.Kafka" in line]

    assert command_lines
    assert not [line for line in command_lines if password in line]
    assert not [path for path in secure.directory.rglob("*") if path.is_file() and password in path.read_bytes()]


def test_two_brokers_are_refused_because_two_controllers_have_no_majority() -> None:
    with pytest.raises(ValueError, match="1 or 3 brokers, not 2"):
        Kafka(brokers=2)


@requires_kafka
def test_the_command_prints_the_bootstrap_address_and_runs_until_it_is_interrupted() -> None:
    port = free_port()
    command = [sys.executable, "-m", "deploy.local.kafka", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        printed = process.stdout.readline()
        settings = {"bootstrap_servers": printed.strip()}
        produce(settings, new_topic(settings), b"one")
        process.send_signal(signal.SIGINT)

        assert process.wait(30) == 0
    assert printed == f"127.0.0.1:{port}\n"


@requires_kafka
def test_a_taken_port_is_named_with_the_fix() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(StartError, match=f"127.0.0.1:{port}.*another process has that port.*--port"):
            Kafka(port=port).start()
