"""The handle: providers, processors and exporters put together."""

from __future__ import annotations

import time

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from trueup.checks import InvalidArgumentError
from trueup.drops import DropReason
from trueup.settings import KafkaSettings, SettingsError
from trueup.telemetry import Telemetry
from trueup.testing import MemoryKafka, attributes_of


def test_the_resource_says_whose_telemetry_it_is(kafka: MemoryKafka) -> None:
    with kafka.telemetry(
        "refund-agent",
        workflow="refunds",
        stage="pilot",
        environment="staging",
        service_version="2.0",
        resource_attributes={"k8s.pod.name": "p1", "service.name": "overridden"},
    ) as telemetry:
        telemetry.tracer.start_span("x").end()
    resource = kafka.resources()[0]
    assert resource["service.name"] == "refund-agent"
    assert resource["service.version"] == "2.0"
    assert resource["deployment.environment.name"] == "staging"
    assert resource["trueup.workflow"] == "refunds"
    assert resource["trueup.stage"] == "pilot"
    assert resource["k8s.pod.name"] == "p1"


def test_several_handles_live_side_by_side_and_share_one_connection(kafka: MemoryKafka) -> None:
    with kafka.telemetry("a", workflow="wa") as a, kafka.telemetry("b", workflow="wb") as b:
        with a.task("ta"):
            b.claimed("tb", "success")
        with b.task("tb"):
            pass
        assert a.flush()
        assert b.flush()
        assert (kafka.connections, kafka.open) == (1, 1)
    assert kafka.open == 0
    assert {resource["service.name"] for resource in kafka.resources()} == {"a", "b"}
    by_task = {attributes_of(s.attributes)["trueup.task.id"]: attributes_of(s.attributes) for s in kafka.spans()}
    assert by_task["ta"]["trueup.workflow"] == "wa"
    assert by_task["tb"]["trueup.workflow"] == "wb"


def test_existing_providers_are_added_to_and_outlive_the_handle(kafka: MemoryKafka) -> None:
    own_spans, own_logs = InMemorySpanExporter(), InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    tracers = TracerProvider(resource=Resource.create({"service.name": "there before"}), shutdown_on_exit=False)
    loggers = LoggerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(own_spans))
    loggers.add_log_record_processor(SimpleLogRecordProcessor(own_logs))
    with (
        kafka.telemetry("ignored", tracer_provider=tracers, logger_provider=loggers) as telemetry,
        telemetry.task("t1"),
    ):
        tracers.get_tracer("framework").start_span("chat").end()
        telemetry.verified(verdict="success")
    assert sorted(span.name for span in kafka.spans()) == ["chat", "invoke_agent"]
    assert kafka.resources()[0]["service.name"] == "there before"
    assert len(kafka.events()) == 1
    tracers.get_tracer("framework").start_span("later").end()
    loggers.get_logger("framework").emit(event_name="later")
    assert [span.name for span in own_spans.get_finished_spans()] == ["chat", "invoke_agent", "later"]
    assert len(own_logs.get_finished_logs()) == 2
    assert len(kafka.spans()) == 2


def test_other_exporters_can_be_used(kafka: MemoryKafka) -> None:
    spans, logs = InMemorySpanExporter(), InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    with Telemetry("agent", span_exporter=spans, log_exporter=logs) as telemetry:
        with telemetry.task("t1"):
            telemetry.verified(verdict="success")
        assert telemetry.flush()
        assert len(spans.get_finished_spans()) == 1
        assert len(logs.get_finished_logs()) == 1


def test_what_was_lost_is_counted_together(kafka: MemoryKafka) -> None:
    kafka.silent = True
    telemetry = kafka.telemetry("agent")
    with telemetry.task():
        telemetry.verified(verdict="success")
        telemetry.verified(verdict="perhaps")  # type: ignore[arg-type]
    assert not telemetry.flush(0.01)
    started = time.monotonic()
    telemetry.shutdown(0.05)
    assert time.monotonic() - started < 10
    assert telemetry.dropped == {DropReason.DELIVERY_FAILED: 2, DropReason.INVALID: 1}


def test_a_shutdown_happens_once_and_what_comes_after_it_hurts_nobody(kafka: MemoryKafka) -> None:
    telemetry = kafka.telemetry("agent")
    telemetry.shutdown()
    telemetry.shutdown()
    with telemetry.task() as task:
        task.claim("success")
    telemetry.verified("t1", "success")
    assert kafka.acknowledged == []


def test_opentelemetrys_own_variables_are_respected(kafka: MemoryKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "600")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "trueup.workflow=from-the-environment")
    with kafka.telemetry("agent") as telemetry:
        assert telemetry._spans._batch_processor._max_queue_size == 600
        telemetry.tracer.start_span("x").end()
    assert kafka.resources()[0]["trueup.workflow"] == "from-the-environment"


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"stage": "beta"}, InvalidArgumentError, "stage is 'beta'"),
        ({"workflow": ""}, InvalidArgumentError, "workflow is ''"),
        ({"bootstrap": "kafka"}, SettingsError, "an address is host:port"),
        ({"bootstrap": "a:1", "kafka": KafkaSettings()}, SettingsError, "bootstrap is in kafka already"),
    ],
)
def test_a_start_that_cannot_work_fails_at_once(wrong: dict[str, object], error: type[ValueError], said: str) -> None:
    with pytest.raises(error, match=said):
        Telemetry("agent", **wrong)  # type: ignore[arg-type]
