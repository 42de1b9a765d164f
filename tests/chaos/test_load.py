"""The load knows exactly what Kafka has of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from kafka import KafkaConsumer, TopicPartition

from chaos.lab import until
from chaos.ledger import Ledger
from chaos.load import Load
from chaos.log import whole_log
from deploy.kafka import distribution
from deploy.local.kafka import Kafka
from pipeline.config import Settings
from pipeline.kafka import ensure_topics
from pipeline.normalise.normaliser import Normaliser, Packed
from pipeline.worker.folding import Arrival
from schemas.words import Kind
from tests.events import sent, told_in

pytestmark = pytest.mark.e2e
RATE, SPANS = 2_000, 400


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    if reason := distribution.missing():
        pytest.skip(reason)
    with Kafka() as kafka:
        settings = Settings.model_validate({"kafka": {"bootstrap": kafka.bootstrap, "partitions": 3}})
        ensure_topics(settings)
        yield settings


@pytest.fixture(scope="module")
def ledger(settings: Settings) -> Ledger:
    """Of a load that has come to its end, with poison in it."""
    ledger = Ledger()
    load = Load(settings, ledger, seed=4, rate=RATE, otlp=SPANS, seconds=3)
    load.start()
    load.poison(5)
    until(lambda: ledger.sent > 2 * (RATE + SPANS), 60, "the load is under way")
    load.finish()
    return ledger


def messages(settings: Settings, topic: str) -> list[Arrival]:
    """A whole topic."""
    k = settings.kafka
    of_topic = settings.model_copy(update={"kafka": k.model_copy(update={"actions_topic": topic})})
    return [message for batch in whole_log(of_topic) for message in batch]


def test_kafka_has_each_event_as_often_as_it_was_sent(settings: Settings, ledger: Ledger) -> None:
    dead = {(p.topic, p.partition, p.offset) for p in ledger.dead}
    packed, seen = Packed(), Counter[int]()
    for message in messages(settings, "agent.actions"):
        if ("agent.actions", message.partition, message.offset) not in dead:
            seen.update(event.hash for event in told_in(message.payload))
    for partition, offset, received, payload in messages(settings, "otlp_spans"):
        Normaliser(settings).add(packed, "otlp_spans", partition, offset, received, payload)
    made = sent(packed)
    seen.update(event.hash for event in made if event.kind != Kind.LINK)
    assert seen == Counter(ledger.events)
    assert {event.hash for event in made if event.kind == Kind.LINK} <= ledger.links


def test_each_poison_has_its_place(ledger: Ledger) -> None:
    assert len(ledger.dead) == ledger.poison >= 10
    assert {place.topic for place in ledger.dead} == {"agent.actions", "otlp_spans"}


def test_the_ends_of_the_partitions_are_known(settings: Settings, ledger: Ledger) -> None:
    topics = ("agent.actions", "otlp_spans")
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka.bootstrap)
    ends = consumer.end_offsets([TopicPartition(topic, p) for topic in topics for p in range(3)])
    consumer.close()
    assert ledger.reached(topics) == {tp: end for tp, end in ends.items() if end}
    assert ledger.refused == 0
