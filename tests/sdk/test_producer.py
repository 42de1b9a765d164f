"""One producer for all exporters with the same connection, and how it is replaced."""

from __future__ import annotations

import threading

import pytest
from trueup import producer
from trueup.producer import FIRST_RETRY, LONGEST_RETRY, SharedProducer, UnreachableError
from trueup.settings import KafkaSettings
from trueup.testing import MemoryKafka


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shared(kafka: MemoryKafka, settings: KafkaSettings, clock: Clock) -> SharedProducer:
    shared = SharedProducer(settings, kafka.connect, clock)
    shared.join()
    return shared


def test_connects_once_and_only_when_asked(kafka: MemoryKafka, shared: SharedProducer) -> None:
    assert not shared.connected
    assert shared.get() == shared.get()
    assert (kafka.connections, shared.connected) == (1, True)


def test_waits_longer_after_every_failure_up_to_a_limit(
    kafka: MemoryKafka, shared: SharedProducer, clock: Clock
) -> None:
    kafka.down = True
    waits = []
    for _ in range(10):
        with pytest.raises(UnreachableError, match="ConnectionRefusedError"):
            shared.get()
        waits.append(shared.retry_in())
        clock.now += waits[-1]
    assert waits[:3] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY]
    assert waits[-1] == LONGEST_RETRY


def test_does_not_try_again_before_it_is_time_unless_told_to(
    kafka: MemoryKafka, shared: SharedProducer, clock: Clock
) -> None:
    kafka.down = True
    with pytest.raises(UnreachableError):
        shared.get()
    kafka.down = False
    with pytest.raises(UnreachableError):
        shared.get()
    assert kafka.connections == 0
    shared.retry_now()
    shared.get()
    assert kafka.connections == 1


def test_warns_once_of_a_broker_that_is_away(
    kafka: MemoryKafka, shared: SharedProducer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    kafka.down = True
    for _ in range(3):
        with pytest.raises(UnreachableError):
            shared.get()
        clock.now += 5
    (record,) = caplog.records
    assert "no connection to Kafka at 127.0.0.1:1" in record.getMessage()
    assert "TRUEUP_KAFKA_BOOTSTRAP" in record.getMessage()


def test_a_discarded_producer_is_closed_and_replaced_after_a_pause(
    kafka: MemoryKafka, shared: SharedProducer, clock: Clock
) -> None:
    generation, first = shared.get()
    shared.discard(generation, "no acknowledgement")
    assert (shared.connected, kafka.open) == (False, 0)
    with pytest.raises(UnreachableError, match="no acknowledgement"):
        shared.get()
    clock.now += FIRST_RETRY
    next_generation, second = shared.get()
    assert next_generation > generation
    assert second is not first


def test_discarding_what_was_replaced_already_does_nothing(
    kafka: MemoryKafka, shared: SharedProducer, clock: Clock
) -> None:
    generation, _ = shared.get()
    shared.discard(generation, "x")
    clock.now += FIRST_RETRY
    current = shared.get()
    shared.discard(generation, "x")
    assert shared.get() == current


def test_success_makes_the_next_trouble_a_new_one(kafka: MemoryKafka, shared: SharedProducer, clock: Clock) -> None:
    for _ in range(5):
        generation, _ = shared.get()
        shared.works()
        shared.discard(generation, "x")
        assert shared.retry_in() == FIRST_RETRY
        clock.now += FIRST_RETRY


def test_exporters_with_the_same_connection_share_it_whatever_their_topics(kafka: MemoryKafka) -> None:
    one, other = KafkaSettings(spans_topic="a"), KafkaSettings(spans_topic="b", queue_bytes=2_000_000)
    first, second = producer.acquire(one, kafka.connect), producer.acquire(other, kafka.connect)
    assert first is second
    first.get()
    producer.release(first, one, kafka.connect)
    assert kafka.open == 1
    producer.release(second, other, kafka.connect)
    assert kafka.open == 0


def test_another_connection_is_not_shared(kafka: MemoryKafka) -> None:
    one, other = KafkaSettings(bootstrap="a:1"), KafkaSettings(bootstrap="b:1")
    first, second = producer.acquire(one, kafka.connect), producer.acquire(other, kafka.connect)
    assert first is not second
    producer.release(first, one, kafka.connect)
    producer.release(second, other, kafka.connect)


def test_after_the_last_one_left_a_newcomer_gets_a_fresh_one(kafka: MemoryKafka, settings: KafkaSettings) -> None:
    first = producer.acquire(settings, kafka.connect)
    producer.release(first, settings, kafka.connect)
    second = producer.acquire(settings, kafka.connect)
    assert second is not first
    with pytest.raises(UnreachableError):
        first.get()
    producer.release(second, settings, kafka.connect)


def test_a_connection_made_while_the_last_one_leaves_is_closed_again(settings: KafkaSettings) -> None:
    kafka, connecting, may_connect = MemoryKafka(), threading.Event(), threading.Event()

    def connect(settings: KafkaSettings) -> producer.Producer:
        connecting.set()
        may_connect.wait(20)
        return kafka.connect(settings)

    shared = SharedProducer(settings, connect)
    shared.join()
    raised: list[BaseException] = []

    def get() -> None:
        try:
            shared.get()
        except UnreachableError as error:
            raised.append(error)

    thread = threading.Thread(target=get)
    thread.start()
    connecting.wait(20)
    shared.leave()  # does not wait for the attempt
    may_connect.set()
    thread.join(20)
    assert (len(raised), kafka.connections, kafka.open) == (1, 1, 0)
