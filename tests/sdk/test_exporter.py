"""The exporters: OTLP protobuf in Kafka messages."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from trueup.drops import DropReason
from trueup.exporter import KafkaLogExporter, KafkaSpanExporter
from trueup.producer import Failure, Trouble
from trueup.settings import KafkaSettings
from trueup.testing import MemoryKafka, attributes_of


@pytest.fixture
def exporter(kafka: MemoryKafka, settings: KafkaSettings) -> Iterator[KafkaSpanExporter]:
    exporter = KafkaSpanExporter(settings, connect=kafka.connect)
    yield exporter
    exporter.shutdown(0)


def spans(count: int, text: str = "") -> list[ReadableSpan]:
    tracer = TracerProvider(resource=Resource.create({"service.name": "agent"}), shutdown_on_exit=False).get_tracer(
        "test"
    )
    made = [tracer.start_span(f"span {number}", attributes={"text": text}) for number in range(count)]
    for span in made:
        span.end()
    return made  # type: ignore[return-value]


def record(event_name: str | None = None, scope: str = "agent", body: str = "text") -> ReadableLogRecord:
    written = LogRecord(
        timestamp=1, severity_number=SeverityNumber.INFO, body=body, event_name=event_name, attributes={"a": 1}
    )
    return ReadableLogRecord(written, Resource.create({}), InstrumentationScope(scope))


def test_a_batch_of_spans_is_one_message_with_everything_in_it(kafka: MemoryKafka, exporter: KafkaSpanExporter) -> None:
    batch = spans(3)
    assert exporter.export(batch) is SpanExportResult.SUCCESS
    assert exporter.force_flush()
    assert [(m.topic, type(m.payload)) for m in kafka.acknowledged] == [("otlp_spans", bytes)]
    assert [span.name for span in kafka.spans()] == ["span 0", "span 1", "span 2"]
    context = batch[0].get_span_context()
    assert context is not None
    assert kafka.spans()[0].trace_id == context.trace_id.to_bytes(16, "big")
    assert kafka.spans()[0].span_id == context.span_id.to_bytes(8, "big")
    assert kafka.resources()[0]["service.name"] == "agent"
    assert exporter.delivered == 3


def test_log_records_keep_their_event_name(kafka: MemoryKafka, settings: KafkaSettings) -> None:
    exporter = KafkaLogExporter(settings, connect=kafka.connect)
    assert exporter.export([record("trueup.cost")]) is LogRecordExportResult.SUCCESS
    assert exporter.force_flush()
    (event,) = kafka.events()
    assert (event.event_name, attributes_of(event.attributes)) == ("trueup.cost", {"a": 1})
    assert kafka.acknowledged[0].topic == "otlp_logs"
    exporter.shutdown()


@pytest.mark.parametrize("scope", ["kafka", "kafka.producer.sender", "trueup.drops"])
def test_logs_of_the_transport_itself_are_not_sent(kafka: MemoryKafka, settings: KafkaSettings, scope: str) -> None:
    """Each would cause a send, and each send another log line."""
    exporter = KafkaLogExporter(settings, connect=kafka.connect)
    exporter.export([record(scope=scope), record("trueup.cost", scope="trueup"), record(scope="kafkaesque")])
    exporter.force_flush()
    assert len(kafka.events()) == 2
    exporter.shutdown()


def test_a_request_over_the_limit_is_split_and_a_span_over_it_is_dropped(kafka: MemoryKafka) -> None:
    settings = KafkaSettings(max_request_size=3000)
    exporter = KafkaSpanExporter(settings, connect=kafka.connect)
    batch = [*spans(10, "x" * 500), *spans(1, "y" * 5000), *spans(5)]
    assert exporter.export(batch) is SpanExportResult.FAILURE
    exporter.shutdown()
    assert len(kafka.acknowledged) > 1
    assert max(len(message.payload) for message in kafka.acknowledged) <= 3000
    assert sorted(span.span_id for span in kafka.spans()) == sorted(
        span.context.span_id.to_bytes(8, "big") for span in batch if span.context and span is not batch[10]
    )
    assert exporter.dropped == {DropReason.TOO_LARGE: 1}


def test_a_span_that_cannot_be_encoded_does_not_take_the_others_with_it(
    kafka: MemoryKafka, exporter: KafkaSpanExporter
) -> None:
    batch = spans(4)
    batch[2]._name = "\ud800"  # a lone surrogate is no UTF-8
    assert exporter.export(batch) is SpanExportResult.FAILURE
    exporter.force_flush()
    assert [span.name for span in kafka.spans()] == ["span 0", "span 1", "span 3"]
    assert exporter.dropped == {DropReason.ENCODING: 1}


def test_a_full_queue_drops_and_counts_spans_not_messages(kafka: MemoryKafka) -> None:
    kafka.down = True
    settings = KafkaSettings(max_request_size=5000, queue_bytes=5000, exit_timeout=0.01)
    exporter = KafkaSpanExporter(settings, connect=kafka.connect)
    assert exporter.export(spans(10)) is SpanExportResult.SUCCESS
    assert exporter.export(spans(20, "x" * 300)) is SpanExportResult.FAILURE
    assert exporter.dropped[DropReason.QUEUE_FULL] > 0
    assert exporter.dropped.total() + exporter.held == 30
    exporter.shutdown()
    assert exporter.dropped.total() == 30
    assert exporter.dropped[DropReason.BROKER_UNREACHABLE] >= 10


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(Trouble.TOO_LARGE, DropReason.TOO_LARGE), (Trouble.REFUSED, DropReason.DELIVERY_FAILED)],
)
def test_what_the_broker_will_not_take_is_counted(
    kafka: MemoryKafka, exporter: KafkaSpanExporter, trouble: Trouble, reason: DropReason
) -> None:
    kafka.failure = Failure(trouble, "no")
    exporter.export(spans(6))
    assert exporter.force_flush()
    assert exporter.dropped == {reason: 6}
    assert exporter.delivered == 0


def test_spans_after_the_shutdown_are_counted(exporter: KafkaSpanExporter) -> None:
    exporter.shutdown()
    exporter.shutdown()
    assert exporter.export(spans(2)) is SpanExportResult.FAILURE
    assert exporter.dropped == {DropReason.AFTER_SHUTDOWN: 2}


def test_a_shutdown_says_what_was_lost(
    kafka: MemoryKafka, exporter: KafkaSpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    kafka.silent = True
    exporter.export(spans(2))
    exporter.shutdown()
    assert "dropped spans: 2 delivery_failed (not acknowledged before" in caplog.text


def test_a_flush_that_fails_says_so_in_time(kafka: MemoryKafka, exporter: KafkaSpanExporter) -> None:
    kafka.silent = True
    exporter.export(spans(1))
    started = time.monotonic()
    assert not exporter.force_flush(10)
    assert time.monotonic() - started < 10


def test_both_exporters_share_one_connection(kafka: MemoryKafka, settings: KafkaSettings) -> None:
    for_spans = KafkaSpanExporter(settings, connect=kafka.connect)
    for_logs = KafkaLogExporter(settings, connect=kafka.connect)
    for_spans.export(spans(1))
    for_logs.export([record()])
    assert for_spans.force_flush()
    assert for_logs.force_flush()
    assert (kafka.connections, kafka.open) == (1, 1)
    for_spans.shutdown()
    assert kafka.open == 1
    for_logs.shutdown()
    assert kafka.open == 0


def test_nothing_that_breaks_inside_reaches_the_agent(
    kafka: MemoryKafka, settings: KafkaSettings, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: KafkaSettings) -> Any:
        raise ValueError("unexpected")

    exporter = KafkaSpanExporter(settings, connect=broken)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("work"):
        pass
    provider.shutdown()
    assert exporter.dropped == {DropReason.BROKER_UNREACHABLE: 1}
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


def test_a_closed_port_costs_the_agent_nothing_but_its_telemetry(settings: KafkaSettings) -> None:
    """Nobody listens there: the real client, without a broker."""
    started = time.monotonic()
    exporter = KafkaSpanExporter(settings)
    assert exporter.export(spans(5)) is SpanExportResult.SUCCESS
    exporter.shutdown(0.2)
    assert time.monotonic() - started < 5
    assert exporter.dropped == {DropReason.BROKER_UNREACHABLE: 5}
