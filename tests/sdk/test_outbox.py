"""The bounded queue between an exporter and Kafka."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from trueup.drops import DropReason, Drops
from trueup.outbox import MOST_REFUSALS, Outbox
from trueup.producer import Failure, SharedProducer, Trouble
from trueup.settings import KafkaSettings
from trueup.testing import MemoryKafka

Eventually = Callable[[Callable[[], bool]], None]
Make = Callable[..., Outbox]


@pytest.fixture
def shared(kafka: MemoryKafka, settings: KafkaSettings) -> SharedProducer:
    shared = SharedProducer(settings, kafka.connect)
    shared.join()
    return shared


@pytest.fixture
def drops() -> Drops:
    return Drops("spans")


@pytest.fixture
def make(shared: SharedProducer, drops: Drops) -> Iterator[Make]:
    made: list[Outbox] = []

    def outbox(**options: float) -> Outbox:
        settings = {"limit": 1000, "delivery_timeout": 30.0, "watch_interval": 0.01} | options
        made.append(Outbox("topic", shared, drops, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield outbox
    for each in made:
        each.close(0)


def payloads(kafka: MemoryKafka) -> list[bytes]:
    return [delivery.payload for delivery in kafka.acknowledged]


def test_delivers_in_order(make: Make, kafka: MemoryKafka, drops: Drops) -> None:
    outbox = make()
    for number in range(20):
        assert outbox.offer(b"%d" % number, 2)
    assert outbox.flush(20)
    assert payloads(kafka) == [b"%d" % number for number in range(20)]
    assert (outbox.delivered, outbox.held, drops.counts.total()) == (40, 0, 0)


def test_holds_what_it_is_offered_while_kafka_is_away_and_sends_it_afterwards(make: Make, kafka: MemoryKafka) -> None:
    kafka.down = True
    outbox = make()
    outbox.offer(b"early", 1)
    assert not outbox.flush(0.05)
    assert outbox.held == 1
    kafka.down = False
    assert outbox.flush(20)
    assert payloads(kafka) == [b"early"]


def test_refuses_and_counts_what_does_not_fit_and_takes_more_when_there_is_room(
    make: Make, kafka: MemoryKafka, drops: Drops
) -> None:
    kafka.silent = True
    outbox = make(limit=100)
    assert outbox.offer(b"x" * 60, 3)
    assert not outbox.offer(b"y" * 60, 5)
    assert outbox.offer(b"z" * 40, 1)
    assert drops.counts == {DropReason.QUEUE_FULL: 5}
    assert outbox.held == 4


def test_what_kafka_has_but_did_not_acknowledge_counts_against_the_limit(
    make: Make, kafka: MemoryKafka, eventually: Eventually
) -> None:
    """The client's own buffer is not bounded, so the outbox must bound it."""
    kafka.silent = True
    outbox = make(limit=100)
    outbox.offer(b"x" * 100, 1)
    eventually(lambda: len(kafka.sent) == 1)
    assert not outbox.offer(b"y", 1)


def test_an_offer_never_waits_for_a_connection(settings: KafkaSettings, drops: Drops) -> None:
    connecting, may_connect = threading.Event(), threading.Event()

    def connect(settings: KafkaSettings) -> object:
        connecting.set()
        may_connect.wait(20)
        raise OSError

    shared = SharedProducer(settings, connect)  # type: ignore[arg-type]
    shared.join()
    outbox = Outbox("topic", shared, drops, limit=1000, delivery_timeout=30)
    connecting.wait(20)
    assert outbox.offer(b"x", 1)
    outbox.close(0)
    assert drops.counts == {DropReason.BROKER_UNREACHABLE: 1}
    may_connect.set()


def test_a_lost_connection_costs_nothing(make: Make, kafka: MemoryKafka, drops: Drops, eventually: Eventually) -> None:
    kafka.failure = Failure(Trouble.CONNECTION, "gone")
    outbox = make()
    outbox.offer(b"again", 1)
    eventually(lambda: len(kafka.sent) == 1)
    kafka.failure = None
    assert outbox.flush(20)
    assert payloads(kafka) == [b"again"]
    assert kafka.connections == 2
    assert drops.counts.total() == 0


def test_a_producer_that_falls_silent_is_replaced_and_what_it_had_is_sent_again(
    make: Make, kafka: MemoryKafka, drops: Drops, eventually: Eventually
) -> None:
    kafka.silent = True
    outbox = make(delivery_timeout=0.05)
    outbox.offer(b"first", 1)
    outbox.offer(b"second", 1)
    eventually(lambda: kafka.connections == 2)
    kafka.silent = False
    assert outbox.flush(20)
    assert payloads(kafka) == [b"first", b"second"]
    assert drops.counts.total() == 0


def test_a_late_acknowledgement_of_what_was_sent_again_is_not_counted_twice(
    kafka: MemoryKafka, shared: SharedProducer, drops: Drops
) -> None:
    answers: list[Callable[[Failure | None], None]] = []
    both = threading.Event()

    class Slow:
        def send(self, topic: str, payload: bytes, done: Callable[[Failure | None], None]) -> None:
            answers.append(done)
            if len(answers) == 2:
                both.set()

        def close(self) -> None: ...

    shared = SharedProducer(KafkaSettings(), lambda settings: Slow())
    shared.join()
    outbox = Outbox("topic", shared, drops, limit=1000, delivery_timeout=0.05, watch_interval=0.01)
    outbox.offer(b"once", 1)
    assert both.wait(20)
    answers[0](None)
    assert (outbox.delivered, outbox.held) == (0, 1)
    answers[1](None)
    answers[1](None)
    assert (outbox.delivered, outbox.held) == (1, 0)
    outbox.close(0)


def test_what_the_broker_finds_too_large_is_dropped_at_once(make: Make, kafka: MemoryKafka, drops: Drops) -> None:
    kafka.failure = Failure(Trouble.TOO_LARGE, "limit 100")
    outbox = make()
    outbox.offer(b"x", 7)
    assert outbox.flush(20)
    assert drops.counts == {DropReason.TOO_LARGE: 7}
    assert (len(kafka.sent), kafka.connections) == (1, 1)


def test_what_the_broker_refuses_is_tried_a_few_times_then_dropped(
    make: Make, kafka: MemoryKafka, drops: Drops
) -> None:
    kafka.failure = Failure(Trouble.REFUSED, "TopicAuthorizationFailedError")
    outbox = make()
    outbox.offer(b"x", 7)
    assert outbox.flush(20)
    assert drops.counts == {DropReason.DELIVERY_FAILED: 7}
    assert (len(kafka.sent), kafka.connections) == (MOST_REFUSALS, 1)


def test_a_topic_that_is_missing_does_not_disturb_another(
    make: Make, kafka: MemoryKafka, shared: SharedProducer, drops: Drops, caplog: pytest.LogCaptureFixture
) -> None:
    kafka.missing_topics.add("topic")
    outbox = make()
    outbox.offer(b"x", 1)
    other = Outbox("other", shared, drops, limit=1000, delivery_timeout=30)
    other.offer(b"y", 1)
    assert other.flush(20)
    assert not outbox.flush(0.02)
    assert kafka.connections == 1
    assert "Kafka topic topic cannot be written" in caplog.text
    kafka.missing_topics.clear()
    assert outbox.flush(20)
    assert payloads(kafka) == [b"y", b"x"]
    other.close(0)


def test_an_error_of_the_client_itself_costs_nothing(settings: KafkaSettings, drops: Drops, kafka: MemoryKafka) -> None:
    class Broken:
        def send(self, *_: object) -> None:
            raise RuntimeError("KafkaProducer already closed!")

        def close(self) -> None: ...

    attempts = iter([Broken()])
    shared = SharedProducer(settings, lambda s: next(attempts, None) or kafka.connect(s))
    shared.join()
    outbox = Outbox("topic", shared, drops, limit=1000, delivery_timeout=30)
    outbox.offer(b"x", 1)
    assert outbox.flush(20)
    assert payloads(kafka) == [b"x"]
    outbox.close(0)


def test_close_waits_no_longer_than_its_timeout_and_counts_the_rest(
    make: Make, kafka: MemoryKafka, drops: Drops, eventually: Eventually
) -> None:
    kafka.silent = True
    outbox = make()
    outbox.offer(b"x", 3)
    outbox.offer(b"y", 4)
    eventually(lambda: len(kafka.sent) == 2)
    started = time.monotonic()
    outbox.close(0.05)
    assert time.monotonic() - started < 10
    assert drops.counts == {DropReason.DELIVERY_FAILED: 7}


def test_many_shutdowns_without_a_broker_take_the_time_of_one(make: Make, kafka: MemoryKafka, drops: Drops) -> None:
    kafka.down = True
    outboxes = [make() for _ in range(5)]
    for outbox in outboxes:
        outbox.offer(b"x", 1)
    outboxes[0].close(0.05)
    started = time.monotonic()
    for outbox in outboxes[1:]:
        outbox.close(20)
    assert time.monotonic() - started < 10
    assert drops.counts == {DropReason.BROKER_UNREACHABLE: 5}


def test_what_is_offered_after_the_end_is_counted(make: Make, drops: Drops, kafka: MemoryKafka) -> None:
    outbox = make()
    outbox.close(1)
    assert not outbox.offer(b"x", 2)
    outbox.close(1)
    assert drops.counts == {DropReason.AFTER_SHUTDOWN: 2}


def test_close_tries_to_connect_once_more_instead_of_sleeping_through_the_pause(
    make: Make, kafka: MemoryKafka, shared: SharedProducer, drops: Drops
) -> None:
    kafka.down = True
    outbox = make()
    outbox.offer(b"x", 1)
    for _ in range(6):  # the pause is now longer than a test
        outbox.flush(0.01)
    kafka.down = False
    outbox.close(20)
    assert payloads(kafka) == [b"x"]
    assert drops.counts.total() == 0


def test_an_interpreter_that_starts_no_more_threads_is_no_error(
    make: Make, drops: Drops, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.12 starts none once it is ending."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    outbox = make()
    assert outbox.offer(b"x", 2)
    outbox.close(0.01)
    assert drops.counts == {DropReason.BROKER_UNREACHABLE: 2}


def test_flush_of_nothing_is_done(make: Make) -> None:
    assert make().flush(0)


def test_many_threads_lose_nothing(make: Make, kafka: MemoryKafka, drops: Drops) -> None:
    outbox = make(limit=1_000_000)

    def offer(name: int) -> None:
        for number in range(100):
            outbox.offer(b"%d-%d" % (name, number), 1)

    threads = [threading.Thread(target=offer, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outbox.flush(20)
    assert sorted(payloads(kafka)) == sorted(b"%d-%d" % (name, n) for name in range(8) for n in range(100))
    assert outbox.delivered == 800
