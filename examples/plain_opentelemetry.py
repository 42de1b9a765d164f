# /// script
# requires-python = ">=3.11"
# dependencies = ["trueup-sdk"]
#
# [tool.uv.sources]
# trueup-sdk = { path = "../sdk" }
# ///
"""Plain OpenTelemetry: spans and events of the contract, written by hand, with no more than opentelemetry-sdk.

What any OpenTelemetry SDK in any language can do: an agent that answers two questions and gets one of them wrong,
and a check that finds out. Only the exporters are Trueup's; a Collector with a Kafka exporter would do as well.

In one terminal `make up`, or `trueup demo --kafka-port 9092 --clickhouse-port 8123`, in another, without a network:

    uv run examples/plain_opentelemetry.py
    (or: pip install ./sdk && python examples/plain_opentelemetry.py)

and then `trueup report --by case_type` or `trueup task invoice-2`.
"""

from __future__ import annotations

import time

from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode, Tracer
from trueup.exporter import KafkaLogExporter, KafkaSpanExporter

RESOURCE = Resource({"service.name": "invoice-agent", "service.version": "1.0", "trueup.workflow": "invoices"})


def call_model(tracer: Tracer, task: dict[str, str], tokens_in: int, tokens_out: int) -> None:
    """A call of a scripted model, told as OpenTelemetry's GenAI conventions tell it."""
    with tracer.start_as_current_span("chat gpt-4.1-mini", attributes=task) as span:
        span.set_attribute("gen_ai.operation.name", "chat")
        span.set_attribute("gen_ai.provider.name", "openai")
        span.set_attribute("gen_ai.request.model", "gpt-4.1-mini")
        span.set_attribute("gen_ai.usage.input_tokens", tokens_in)
        span.set_attribute("gen_ai.usage.output_tokens", tokens_out)


def call_tool(tracer: Tracer, task: dict[str, str], *, fails: bool = False) -> None:
    """A call of a tool, which may fail."""
    with tracer.start_as_current_span("execute_tool book", attributes=task) as span:
        span.set_attribute("gen_ai.operation.name", "execute_tool")
        span.set_attribute("gen_ai.tool.name", "book")
        if fails:
            span.set_attribute("error.type", "LedgerLocked")
            span.set_status(Status(StatusCode.ERROR))


def work(tracer: Tracer, task_id: str) -> None:
    """One task: the root span has the case type and the claim, and every span the task."""
    task = {"trueup.task.id": task_id}
    with tracer.start_as_current_span("invoke_agent invoice-agent", attributes=task) as root:
        root.set_attribute("gen_ai.operation.name", "invoke_agent")
        root.set_attribute("gen_ai.agent.name", "invoice-agent")
        root.set_attribute("trueup.task.type", "supplier invoice")
        call_model(tracer, task, 800, 40)
        call_tool(tracer, task, fails=True)
        call_model(tracer, task, 900, 35)
        call_tool(tracer, task)
        root.set_attribute("trueup.task.outcome", "success")


def main() -> None:
    traces, logs = TracerProvider(resource=RESOURCE), LoggerProvider(resource=RESOURCE)
    traces.add_span_processor(BatchSpanProcessor(KafkaSpanExporter()))
    logs.add_log_record_processor(BatchLogRecordProcessor(KafkaLogExporter()))
    tracer, logger = traces.get_tracer("invoices"), logs.get_logger("ledger-check")

    for task_id in ("invoice-1", "invoice-2"):
        work(tracer, task_id)
    # Later, somewhere else: the ledger was looked at. The agent had claimed success both times.
    for task_id, verdict in (("invoice-1", "success"), ("invoice-2", "failure")):
        found = {"trueup.task.id": task_id, "trueup.verdict": verdict, "trueup.verifier": "ledger-check"}
        record = LogRecord(timestamp=time.time_ns(), event_name="trueup.task.verified", attributes=found)
        logger.emit(record)

    traces.shutdown()
    logs.shutdown()
    print("2 tasks of the workflow `invoices` are on their way: trueup report --by case_type")


if __name__ == "__main__":
    main()
