"""Providers, processors and exporters put together: one handle for one service."""

from __future__ import annotations

import atexit
import os
import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from opentelemetry._logs import Logger
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Tracer
from opentelemetry.util.types import AttributeValue

from trueup import attributes as names
from trueup import checks
from trueup.attributes import StageWord
from trueup.drops import DropReason, Drops
from trueup.emitter import SCOPE, Emitter
from trueup.exporter import KafkaLogExporter, KafkaSpanExporter
from trueup.processors import TaskLogProcessor, TaskSpanProcessor
from trueup.settings import KafkaSettings, SettingsError

BATCH_DELAY_MS = 500
"""How long a finished span or an event waits for company before it is encoded, unless OTEL_B[S|LR]P_* say so."""
BATCH_QUEUE = 8192
"""Spans, and log records, that wait for that; the SDK itself drops (and warns of) what is beyond."""


class Telemetry(Emitter):
    """Everything one service needs: `task`, the event calls, `flush`, `shutdown`, `dropped`.

    Several live side by side in one process without touching OpenTelemetry's global providers; those
    with the same Kafka settings share one producer. Raises SettingsError for settings that cannot work.

    `tracer_provider` and `logger_provider`: existing providers to add to; their resource stays as it is.
    `span_exporter` and `log_exporter`: instead of those to Kafka. `strict`: invalid arguments raise.
    """

    def __init__(
        self,
        service_name: str | None = None,
        *,
        workflow: str | None = None,
        stage: StageWord | None = None,
        environment: str | None = None,
        service_version: str | None = None,
        resource_attributes: Mapping[str, AttributeValue] | None = None,
        bootstrap: str | None = None,
        kafka: KafkaSettings | None = None,
        strict: bool = False,
        tracer_provider: TracerProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        span_exporter: SpanExporter | None = None,
        log_exporter: LogRecordExporter | None = None,
    ) -> None:
        if kafka is not None and bootstrap is not None:
            raise SettingsError("bootstrap is in kafka already; give one of the two")
        self.strict = strict
        self.workflow = None if workflow is None else checks.text(workflow, "workflow")
        self.stage = None if stage is None else checks.one_of(names.Stage, stage, "stage")
        self.refused = Drops("calls")
        settings = kafka or KafkaSettings.from_env(bootstrap=bootstrap)
        self._exit_timeout = settings.exit_timeout
        described = {
            names.SERVICE_NAME: service_name,
            names.SERVICE_VERSION: service_version,
            names.ENVIRONMENT: environment,
            names.WORKFLOW: self.workflow,
            names.STAGE: self.stage,
        }
        known = {name: value for name, value in described.items() if value is not None}
        resource = Resource.create({**(resource_attributes or {}), **known})
        self._owned: list[TracerProvider | LoggerProvider] = []
        self._span_exporter = span_exporter or KafkaSpanExporter(settings)
        self._log_exporter = log_exporter or KafkaLogExporter(settings)
        self._build_tracing(tracer_provider, resource)
        self._build_logging(logger_provider, resource)
        self._closed = False
        atexit.register(self.shutdown)

    def _build_tracing(self, provider: TracerProvider | None, resource: Resource) -> None:
        if provider is None:
            provider = TracerProvider(resource=resource, shutdown_on_exit=False)
            self._owned.append(provider)
        self._spans = BatchSpanProcessor(
            self._span_exporter,
            max_queue_size=_unless_set("OTEL_BSP_MAX_QUEUE_SIZE", BATCH_QUEUE),
            schedule_delay_millis=_unless_set("OTEL_BSP_SCHEDULE_DELAY", BATCH_DELAY_MS),
        )
        provider.add_span_processor(TaskSpanProcessor())
        provider.add_span_processor(self._spans)
        self.tracer_provider = provider
        """Give it to instrumentations that are not to use the global one."""

    def _build_logging(self, provider: LoggerProvider | None, resource: Resource) -> None:
        if provider is None:
            provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
            self._owned.append(provider)
        self._logs = BatchLogRecordProcessor(
            self._log_exporter,
            max_queue_size=_unless_set("OTEL_BLRP_MAX_QUEUE_SIZE", BATCH_QUEUE),
            schedule_delay_millis=_unless_set("OTEL_BLRP_SCHEDULE_DELAY", BATCH_DELAY_MS),
        )
        provider.add_log_record_processor(TaskLogProcessor())
        provider.add_log_record_processor(self._logs)
        self.logger_provider = provider
        """The same for log records."""

    @property
    def tracer(self) -> Tracer:
        """For spans of your own."""
        return self.tracer_provider.get_tracer(SCOPE)

    @property
    def logger(self) -> Logger:
        """For events of your own."""
        return self.logger_provider.get_logger(SCOPE)

    @property
    def dropped(self) -> Counter[DropReason]:
        """What was not delivered so far, by reason: spans, log records and refused calls together."""
        counts = self.refused.counts
        for exporter in self._kafka_exporters():
            counts += exporter.dropped
        return counts

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until Kafka acknowledged what was emitted so far; False if `timeout` seconds were not enough."""
        deadline = time.monotonic() + timeout
        with self.guard():
            self._spans.force_flush()
            self._logs.force_flush()
            exporters = (self._span_exporter, self._log_exporter)
            return all(e.force_flush(int(_left(deadline) * 1000)) is not False for e in exporters)
        return False

    def shutdown(self, timeout: float | None = None) -> None:
        """Flush for up to `timeout` seconds (default: exit_timeout), then drop and count the rest.

        Happens by itself when the interpreter exits. Existing providers that were passed in go on without us.
        """
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.shutdown)
        deadline = time.monotonic() + (self._exit_timeout if timeout is None else timeout)
        with self.guard():
            self._spans.force_flush()
            self._logs.force_flush()
            for exporter in self._kafka_exporters():
                exporter.shutdown(_left(deadline))
            for part in (*self._owned, self._spans, self._logs):
                part.shutdown()
        self.refused.tell_rest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()

    def _kafka_exporters(self) -> list[KafkaSpanExporter | KafkaLogExporter]:
        exporters = (self._span_exporter, self._log_exporter)
        return [e for e in exporters if isinstance(e, KafkaSpanExporter | KafkaLogExporter)]


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _unless_set(variable: str, value: int) -> int | None:
    """None where the operator set OpenTelemetry's own variable: the SDK then reads it."""
    return None if variable in os.environ else value
