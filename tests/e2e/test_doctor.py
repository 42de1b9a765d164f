"""What the doctor finds of Kafka, of its topics and of the worker; on the local broker, and on a real Apache Kafka."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.structs import OffsetAndMetadata

from pipeline.deadletter.originals import Gone, originals
from pipeline.doctor import Check, examine
from pipeline.kafka import client_options
from pipeline.normalise.origin import Origin
from tests.e2e.lab import Lab, now_ns
from tests.e2e.rig import Rig
from tests.otlp import span, traces

SPANS = "otlp_spans"
SOUND = {"retention.ms": "604800000", "cleanup.policy": "delete", "max.message.bytes": "1048588"}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("rig")) as rig:
        yield rig


@pytest.fixture(scope="module")
def lab(rig: Rig) -> Iterator[Lab]:
    with Lab(rig) as lab:
        yield lab


@pytest.fixture(scope="module")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """On a real broker, which has topic configurations and removes messages."""
    with Rig(tmp_path_factory.mktemp("apache"), broker="apache") as rig:
        yield rig


def look(rig: Rig, later: float = 0.0) -> dict[str, Check]:
    """The checks by name, as they would be some seconds later."""
    return {check.name: check for check in examine(rig.settings, now=lambda: time.time() + later)}


def good(n: int) -> bytes:
    return traces(span({"trueup.task.id": f"task-{n}"}, traceId=f"{n + 1:032x}", at=now_ns()))


def test_without_a_worker_it_says_so(rig: Rig) -> None:
    checks = look(rig)
    assert checks["worker"].finding == "nothing has been folded yet"
    assert [name for name, check in checks.items() if not check.ok] == ["worker"]


def test_what_waits_is_counted_and_is_a_fault_once_it_is_old(rig: Rig, lab: Lab) -> None:
    for n in range(7):
        lab.spans(good(n))
    assert look(rig)[f"lag of {SPANS}"].finding.startswith("7 messages wait, the oldest ")
    assert look(rig)[f"lag of {SPANS}"].ok
    late = look(rig, later=120)[f"lag of {SPANS}"]
    assert not late.ok
    assert 120 <= late.oldest < 180
    assert "is a worker running" in late.fix


def test_with_a_worker_that_has_caught_up_all_is_well(rig: Rig, lab: Lab) -> None:
    rig.start_worker()
    lab.land(lab.spans(good(10)), lab.spans(b"\xff no OTLP"))
    checks = look(rig)
    assert [name for name, check in checks.items() if not check.ok] == []
    assert checks[f"lag of {SPANS}"].finding == "nothing waits"
    assert checks["dead letters: not_otlp"].finding == "1 open, 0 resolved"
    assert checks["rights"].finding == "default may read and append"


def test_a_worker_that_is_silent_is_a_fault(rig: Rig, lab: Lab) -> None:
    checks = look(rig, later=120)
    assert not checks["worker"].ok
    assert "last folded 1" in checks["worker"].finding


def test_clocks_that_are_apart_are_a_fault(rig: Rig) -> None:
    assert not look(rig, later=3)["clocks"].ok


def test_a_group_that_has_read_more_than_there_is_is_a_fault(rig: Rig) -> None:
    """As after the loss of a broker's log."""
    group = {"group": "ahead"}
    settings = rig.settings.model_copy(update={"kafka": rig.settings.kafka.model_copy(update=group)})
    consumer = KafkaConsumer(**client_options(settings), group_id="ahead", enable_auto_commit=False)
    consumer.commit({TopicPartition("otlp_logs", 1): OffsetAndMetadata(1_000, "", -1)})
    consumer.close()
    found = {check.name: check for check in examine(settings)}["lag of otlp_logs"]
    assert (found.ok, found.finding) == (False, "the group has read 1000 messages more than there are")
    assert "kafka.epoch" in found.fix


def test_a_topic_that_is_not_there_and_another_number_of_partitions_are_faults(rig: Rig) -> None:
    kafka = rig.settings.kafka.model_copy(update={"partitions": 5, "logs_topic": "nowhere"})
    checks = {check.name: check for check in examine(rig.settings.model_copy(update={"kafka": kafka}))}
    assert (checks["partitions"].ok, checks["partitions"].finding) == (False, "2 in Kafka, 5 configured")
    assert look(rig)["partitions"].ok  # said of the right number, too, so that an alert of a wrong one ends
    assert not checks["topic nowhere"].ok


@pytest.mark.parametrize(
    ("name", "value", "finding"),
    [
        ("retention.ms", "3600000", "2 partitions, kept for 1h; an outage that lasts longer loses events"),
        ("cleanup.policy", "compact", "it is compacted, which removes events"),
        ("max.message.bytes", "900000", "it takes no message as large as kafka.message_bytes"),
    ],
)
def test_a_topic_that_would_lose_events_is_a_fault(apache: Rig, name: str, value: str, finding: str) -> None:
    assert look(apache)["topic otlp_logs"].finding == "2 partitions, kept for 7d"
    alter(apache, "otlp_logs", {**SOUND, name: value})
    try:
        found = look(apache)["topic otlp_logs"]
        assert (found.ok, finding in found.finding) == (False, True)
    finally:
        alter(apache, "otlp_logs", SOUND)


def alter(rig: Rig, topic: str, configs: dict[str, str]) -> None:
    admin = KafkaAdminClient(**client_options(rig.settings))
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)], incremental=False)
    admin.close()


def test_messages_that_kafka_removed_before_they_were_read_are_a_fault(apache: Rig) -> None:
    with Lab(apache) as lab:
        apache.start_worker()
        place = lab.put(SPANS, good(1), partition=0)
        lab.land(place)
        apache.stop_workers()
        for n in range(5):
            last = lab.put(SPANS, good(n), partition=0)
        admin = KafkaAdminClient(**client_options(apache.settings))
        admin.delete_records({TopicPartition(SPANS, 0): last.offset})
        admin.close()
        found = look(apache)[f"lag of {SPANS}"]
        assert (found.ok, found.finding) == (False, "4 messages were removed before they were read")

        (gone,) = originals(apache.settings, [Origin(SPANS, 0, place.offset, 1)])
        assert isinstance(gone[1], Gone)
        assert f"begins at offset {last.offset} (retention)" in gone[1].why
        (other,) = originals(apache.settings, [Origin(SPANS, 0, last.offset, 1)])
        assert "another message is at its place" in other[1].why
        (beyond,) = originals(apache.settings, [Origin(SPANS, 0, last.offset + 10, 1)])
        assert "nothing at that offset" in beyond[1].why
