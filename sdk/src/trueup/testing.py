"""A Kafka that lives in memory, to test what an agent emits, and what it does when Kafka is in trouble.

kafka = MemoryKafka()
with kafka.telemetry("refund-agent") as telemetry:
    run_the_agent(telemetry)
assert kafka.events()[0].event_name == "trueup.task.claimed"
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from trueup.exporter import KafkaLogExporter, KafkaSpanExporter
from trueup.producer import Done, Failure, TopicUnavailableError
from trueup.settings import KafkaSettings
from trueup.telemetry import Telemetry


class Delivery(NamedTuple):
    """A message that was sent, acknowledged or not."""

    topic: str
    payload: bytes


class MemoryKafka:
    """Stands for a Kafka cluster: `connect` is for exporters, the rest for the test. Safe from any thread."""

    def __init__(self) -> None:
        self.down = False
        """No connection can be made."""
        self.silent = False
        """Messages are taken, and never acknowledged."""
        self.failure: Failure | None = None
        """What every message is answered with, instead of an acknowledgement."""
        self.missing_topics: set[str] = set()
        """Topics that cannot be written."""
        self.sent: list[Delivery] = []
        """Everything that was handed over, also what failed."""
        self.acknowledged: list[Delivery] = []
        self.connections = 0
        """How often a connection was made."""
        self.open = 0
        """How many connections are open."""
        self.changed = threading.Condition()
        """Notified when something of this changes."""

    def connect(self, settings: KafkaSettings) -> _MemoryProducer:
        """What exporters take as `connect`."""
        with self.changed:
            if self.down:
                raise ConnectionRefusedError(f"nobody listens on {settings.bootstrap}")
            self.connections += 1
            self.open += 1
            self.changed.notify_all()
        return _MemoryProducer(self)

    def telemetry(
        self, service_name: str | None = None, *, kafka: KafkaSettings | None = None, **options: Any
    ) -> Telemetry:
        """A `Telemetry` with these options that sends here."""
        settings = kafka or KafkaSettings()
        return Telemetry(
            service_name,
            kafka=settings,
            span_exporter=KafkaSpanExporter(settings, connect=self.connect),
            log_exporter=KafkaLogExporter(settings, connect=self.connect),
            **options,
        )

    def spans(self) -> list[Span]:
        """The spans that were acknowledged, in the order of their messages."""
        return [
            span
            for request in self._requests("otlp_spans", ExportTraceServiceRequest)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def events(self) -> list[LogRecord]:
        """The log records that were acknowledged, in the order of their messages."""
        return [
            record
            for request in self._requests("otlp_logs", ExportLogsServiceRequest)
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def resources(self) -> list[dict[str, object]]:
        """The resource attributes of every acknowledged message of spans."""
        requests = self._requests("otlp_spans", ExportTraceServiceRequest)
        return [attributes_of(r.resource.attributes) for request in requests for r in request.resource_spans]

    def _requests(self, topic: str, kind: Any) -> list[Any]:
        with self.changed:
            return [kind.FromString(message.payload) for message in self.acknowledged if message.topic == topic]


class _MemoryProducer:
    def __init__(self, kafka: MemoryKafka) -> None:
        self._kafka = kafka
        self._closed = False

    def send(self, topic: str, payload: bytes, done: Done) -> None:
        kafka, delivery = self._kafka, Delivery(topic, payload)
        with kafka.changed:
            if topic in kafka.missing_topics:
                raise TopicUnavailableError(topic)
            kafka.sent.append(delivery)
            answer = None if kafka.silent or self._closed else partial(done, kafka.failure)
            if answer is not None and kafka.failure is None:
                kafka.acknowledged.append(delivery)
            kafka.changed.notify_all()
        if answer is not None:
            answer()

    def close(self) -> None:
        with self._kafka.changed:
            if not self._closed:
                self._closed = True
                self._kafka.open -= 1
                self._kafka.changed.notify_all()


def attributes_of(attributes: Iterable[KeyValue]) -> dict[str, object]:
    """OTLP attributes as a dictionary of Python values."""
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        items: Sequence[AnyValue] = value.array_value.values
        return [_value(item) for item in items]
    if kind == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    return getattr(value, kind)
