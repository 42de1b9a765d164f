"""OpenTelemetry exporters that write OTLP protobuf to Kafka, as the Collector's kafka exporter does.

A message's value is an ExportTraceServiceRequest or ExportLogsServiceRequest; its key is empty. Both
exporters are entry points: OTEL_TRACES_EXPORTER=trueup_kafka and OTEL_LOGS_EXPORTER=trueup_kafka.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from trueup import kafka_client, producer
from trueup.drops import DropReason, Drops
from trueup.outbox import Outbox
from trueup.producer import Connect
from trueup.settings import KafkaSettings
from trueup.splitting import Request, pieces_of

Item = TypeVar("Item")


class KafkaExporter(Generic[Item]):
    """What both exporters do: encode, split, and hand over to a background thread.

    Never raises into the agent, never waits for Kafka: only the constructor raises, SettingsError for
    settings that cannot work. Kafka need not be there when it is constructed.
    """

    def __init__(
        self,
        signal: str,
        topic: str,
        encode: Callable[[Sequence[Item]], Request],
        settings: KafkaSettings,
        connect: Connect,
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._encode = encode
        self._drops = Drops(signal)
        self._shared = producer.acquire(settings, connect)
        self._outbox = Outbox(
            topic,
            self._shared,
            self._drops,
            limit=settings.queue_bytes,
            delivery_timeout=settings.delivery_timeout,
        )
        self._closed = False

    @property
    def dropped(self) -> Counter[DropReason]:
        """How many items were dropped so far, by reason. A reason without drops counts 0."""
        return self._drops.counts

    @property
    def delivered(self) -> int:
        """How many items Kafka acknowledged so far."""
        return self._outbox.delivered

    @property
    def held(self) -> int:
        """How many items wait for Kafka now."""
        return self._outbox.held

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        """Wait until Kafka acknowledged (or refused) all that was exported; False after `timeout_millis`."""
        return self._outbox.flush(timeout_millis / 1000)

    def shutdown(self, timeout: float | None = None) -> None:
        """Wait up to `timeout` seconds (default: exit_timeout) for Kafka, then drop and count the rest."""
        if self._closed:
            return
        self._closed = True
        self._outbox.close(self._settings.exit_timeout if timeout is None else timeout)
        producer.release(self._shared, self._settings, self._connect)
        self._drops.tell_rest()

    def _offer(self, batch: Sequence[Item]) -> bool:
        pieces = pieces_of(batch, self._encode, self._settings.max_request_size, self._drops.add)
        taken = [piece.items for piece in pieces if self._outbox.offer(piece.payload, piece.items)]
        return sum(taken) == len(batch)


class KafkaSpanExporter(KafkaExporter[ReadableSpan], SpanExporter):
    """Spans to the topic `otlp_spans`. Settings: the argument, else TRUEUP_KAFKA_* variables."""

    def __init__(self, settings: KafkaSettings | None = None, *, connect: Connect = kafka_client.connect) -> None:
        settings = settings or KafkaSettings.from_env()
        super().__init__("spans", settings.spans_topic, encode_spans, settings, connect)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Take a batch; FAILURE if something of it was dropped at once."""
        return SpanExportResult.SUCCESS if self._offer(spans) else SpanExportResult.FAILURE


class KafkaLogExporter(KafkaExporter[ReadableLogRecord], LogRecordExporter):
    """Log records, events among them, to the topic `otlp_logs`. Settings as for spans.

    What this library and the Kafka client log themselves is left out: sending it would cause more of it.
    """

    def __init__(self, settings: KafkaSettings | None = None, *, connect: Connect = kafka_client.connect) -> None:
        settings = settings or KafkaSettings.from_env()
        super().__init__("log records", settings.logs_topic, encode_logs, settings, connect)

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Take a batch; FAILURE if something of it was dropped at once."""
        others = [record for record in batch if not _is_our_own_log(record)]
        return LogRecordExportResult.SUCCESS if self._offer(others) else LogRecordExportResult.FAILURE


def _is_our_own_log(record: ReadableLogRecord) -> bool:
    scope = record.instrumentation_scope
    name = scope.name if scope else ""
    return not record.log_record.event_name and name.split(".")[0] in ("kafka", "trueup")
