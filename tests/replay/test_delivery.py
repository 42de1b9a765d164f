"""A message that is too large for Kafka: its sender is told whose limit that is, and all others arrive, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from deploy.kafka import distribution
from deploy.local.kafka import Kafka
from pipeline.config import ConfigError, Settings
from pipeline.deadletter.replay import replay
from pipeline.kafka import client_options, ensure_topics
from pipeline.normalise.origin import Origin
from pipeline.replay import delivery
from pipeline.replay.delivery import Delivery, TooLarge
from pipeline.replay.send import BadFile, send
from tests.command import runner
from tests.otlp import span, traces

pytestmark = pytest.mark.skipif(bool(distribution.missing()), reason=str(distribution.missing()))

LIMIT = 1_000_000
TOPIC = "otlp_spans"


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """Of an Apache Kafka with a limit like its default."""
    with Kafka(message_max_bytes=LIMIT) as kafka:
        settings = Settings(kafka={"bootstrap": kafka.bootstrap, "partitions": 2, "message_bytes": 100_000})
        ensure_topics(settings)
        yield settings


@pytest.fixture
def arrived(settings: Settings) -> Iterator[Callable[[], list[Any]]]:
    """What has arrived since the test began."""
    consumer: Any = KafkaConsumer(**client_options(settings), group_id=None)
    consumer.assign([TopicPartition(TOPIC, p) for p in range(settings.kafka.partitions)])
    for tp, end in consumer.end_offsets(consumer.assignment()).items():
        consumer.seek(tp, end)

    def read() -> list[Any]:
        found: list[Any] = []
        ends = consumer.end_offsets(consumer.assignment())
        while any(consumer.position(tp) < end for tp, end in ends.items()):
            for records in consumer.poll(1_000).values():
                found += records
        return found

    yield read
    consumer.close()


def message(n: int, size: int) -> bytes:
    return f"{n:09}".encode().ljust(size, b"x")


def test_what_kafka_refuses_harms_no_other_message(settings: Settings, arrived: Callable[[], list[Any]]) -> None:
    sizes = [10, 50_000, LIMIT + 1, 20, 200_000, 2 * LIMIT, 2 * LIMIT, 30, 100_001, 40]
    refused = []
    with Delivery(settings) as sender:
        for n, size in enumerate(sizes):
            try:
                sender.send(TOPIC, message(n, size), partition=0)
            except TooLarge as error:
                refused.append((n, str(error)))
        sender.settle()
    told = f"bytes, and Kafka takes none so large; raise max.message.bytes of {TOPIC}"
    assert refused == [(n, f"{sizes[n]} {told}") for n in (2, 5, 6)]
    found = arrived()
    assert [(int(m.value[:9]), len(m.value)) for m in found] == [
        (n, size) for n, size in enumerate(sizes) if size <= LIMIT
    ]
    assert sender.reached == {(TOPIC, 0): found[-1].offset + 1}


def test_a_message_that_is_never_sent_is_told_with_our_own_limit(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "LARGEST", 150_000)
    with Delivery(settings) as sender, pytest.raises(TooLarge, match="160000 bytes, and no message over 150000 bytes"):
        sender.send(TOPIC, message(0, 160_000))
    assert sender.reached == {}


def test_a_kafka_that_takes_less_than_is_configured_is_told_by_the_name_of_the_setting(settings: Settings) -> None:
    larger = settings.kafka.model_copy(update={"message_bytes": 3 * LIMIT})
    with Delivery(settings.model_copy(update={"kafka": larger})) as sender:
        sender.send(TOPIC, message(0, 2 * LIMIT))
        with pytest.raises(ConfigError, match=r"no message of kafka.message_bytes \(3000000\); lower it"):
            sender.settle()


def test_a_dead_letters_message_that_has_no_room_for_its_header_is_told_and_the_others_are_sent(
    settings: Settings, arrived: Callable[[], list[Any]]
) -> None:
    with Delivery(settings) as sender:
        for n, size in enumerate((10, LIMIT - 80, 20)):
            sender.send(TOPIC, message(n, size), partition=1)
        sender.settle()
    small, full, last = (Origin(TOPIC, 1, m.offset, m.timestamp * 1_000) for m in arrived())
    done = replay(settings, [small, full, last])
    assert list(done.sent) == [small, last]
    why = f"it has {LIMIT - 80} bytes, and Kafka takes none so large; raise max.message.bytes of {TOPIC}"
    assert done.gone == {full: why}
    assert [int(m.value[:9]) for m in arrived()] == [0, 2]


def test_replay_sends_all_but_the_record_that_is_too_large_and_exits_with_2(
    settings: Settings, arrived: Callable[[], list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("TRUEUP_KAFKA__BOOTSTRAP", settings.kafka.bootstrap)
    small, large = span(name="small"), span({"gen_ai.input.messages": "x" * 3 * LIMIT}, name="large")
    file = tmp_path / "runs.jsonl"
    file.write_bytes(b"\n".join([traces(small), traces(small, large, small), traces(small)]))
    done = runner(capsys)("replay", str(file), "--no-wait")
    assert (done.code, done.out) == (2, "")
    refused, sent = done.err.splitlines()
    assert refused.startswith(f"trueup: not sent: {file}:2: a record of 30")
    assert refused.endswith("bytes, and Kafka takes none so large; raise max.message.bytes of otlp_spans")
    assert sent == "4 records in 4 messages sent; not waited for"
    assert sum(m.value.count(b'"small"') for m in arrived()) == 4


def test_a_bad_line_is_told_with_what_was_sent_before_it(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    file.write_bytes(b"\n".join([traces(span(), span()), b"not a request"]))
    with pytest.raises(BadFile, match=r"jsonl:2: not JSON .*\. 2 records before it are sent; to send them again"):
        send(settings, [file])
