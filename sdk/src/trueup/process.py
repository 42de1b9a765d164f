"""The telemetry of this process: what `trueup.configure()` set up, else OpenTelemetry's global providers."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping

from opentelemetry import _logs, trace
from opentelemetry._logs import Logger
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer
from opentelemetry.util.types import AttributeValue

from trueup import attributes as names
from trueup.attributes import StageWord
from trueup.drops import Drops
from trueup.emitter import SCOPE, Emitter
from trueup.processors import TaskSpanProcessor
from trueup.settings import KafkaSettings
from trueup.telemetry import Telemetry

logger = logging.getLogger(__name__)


class Default(Emitter):
    """Emits through the configured telemetry. Without one, through the global providers, whoever set them.

    So that `opentelemetry-instrument` with OTEL_TRACES_EXPORTER=trueup_kafka needs nothing else.
    """

    def __init__(self) -> None:
        self._telemetry: Telemetry | None = None
        self._with_task_context: weakref.WeakSet[TracerProvider] = weakref.WeakSet()
        self._warned = False
        self.strict = False
        self.workflow = None
        self.stage = None
        self.refused = Drops("calls")

    def use(self, telemetry: Telemetry) -> None:
        """Emit through this from now on."""
        self._telemetry = telemetry
        self.strict, self.refused = telemetry.strict, telemetry.refused
        self.workflow, self.stage = telemetry.workflow, telemetry.stage

    def close(self) -> None:
        """Shut down what is in use."""
        if self._telemetry is not None:
            self._telemetry.shutdown()

    @property
    def tracer(self) -> Tracer:
        """Starts the root spans of tasks."""
        if self._telemetry is not None:
            return self._telemetry.tracer
        provider = trace.get_tracer_provider()
        if not isinstance(provider, TracerProvider):
            self._warn()
        elif provider not in self._with_task_context:
            self._with_task_context.add(provider)
            provider.add_span_processor(TaskSpanProcessor())
        return provider.get_tracer(SCOPE)

    @property
    def logger(self) -> Logger:
        """Emits the events."""
        if self._telemetry is not None:
            return self._telemetry.logger
        provider = _logs.get_logger_provider()
        if not isinstance(provider, LoggerProvider):
            self._warn()
        return provider.get_logger(SCOPE)

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "telemetry goes nowhere: call trueup.configure(), or set OTEL_TRACES_EXPORTER=trueup_kafka "
                "and OTEL_LOGS_EXPORTER=trueup_kafka and start with opentelemetry-instrument"
            )


default = Default()


def configure(
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
) -> Telemetry:
    """Set up telemetry for this process, once, at its start; the calls of this module then use it.

    Makes the global OpenTelemetry providers, or adds to them where they exist already (their resource, and
    with it the service's name, then stays as it is). Never waits for Kafka. Raises SettingsError or
    InvalidArgumentError for arguments that cannot work. Calling it again replaces what was there.
    """
    default.close()  # first: the new processors may be added to the old one's providers
    tracer_provider, logger_provider = trace.get_tracer_provider(), _logs.get_logger_provider()
    telemetry = Telemetry(
        service_name,
        workflow=workflow,
        stage=stage,
        environment=environment,
        service_version=service_version,
        resource_attributes=resource_attributes,
        bootstrap=bootstrap,
        kafka=kafka,
        strict=strict,
        tracer_provider=tracer_provider if isinstance(tracer_provider, TracerProvider) else None,
        logger_provider=logger_provider if isinstance(logger_provider, LoggerProvider) else None,
    )
    default.use(telemetry)
    if isinstance(tracer_provider, TracerProvider):
        there = tracer_provider.resource.attributes.get(names.SERVICE_NAME)
        if service_name not in (None, there):
            logger.warning("spans keep service.name %r: the TracerProvider was there before", there)
    else:
        trace.set_tracer_provider(telemetry.tracer_provider)
    if not isinstance(logger_provider, LoggerProvider):
        _logs.set_logger_provider(telemetry.logger_provider)
    return telemetry
