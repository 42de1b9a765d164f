"""Copies the task context onto every span and log record of a task, whoever's instrumentation makes them."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import Span, SpanProcessor

from trueup.propagation import task_attributes


class TaskSpanProcessor(SpanProcessor):
    """Sets workflow, task id, case type and stage from baggage, where a span has none of its own."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Called by the SDK when a span starts, in the thread that starts it."""
        attributes = task_attributes(parent_context)
        if attributes:
            own = span.attributes or {}
            span.set_attributes({name: value for name, value in attributes.items() if name not in own})


class TaskLogProcessor(LogRecordProcessor):
    """The same for log records. Add it before the processor that exports them."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Called by the SDK with every log record."""
        record = log_record.log_record
        if attributes := task_attributes(record.context):
            # A new mapping: one that another processor took already may be encoded at this moment.
            record.attributes = {**attributes, **(record.attributes or {})}

    def shutdown(self) -> None:
        """Nothing to end."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held."""
        return True
