"""What is sent to the OpenTelemetry Collector is measured, however it came in and is written to Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import grpc
import httpx2
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from deploy.collector import build
from deploy.local.collector import Collector
from tests.e2e.lab import Lab, now_ns

PROTOBUF = {"Content-Type": "application/x-protobuf"}
COMPRESSIBLE = "again " * 500
"""So much that the collector compresses the message, and the worker has to read that."""

_number = count(1)


@pytest.fixture(scope="module", params=["otlp_proto", "otlp_json"])
def collector(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Collector]:
    if reason := build.missing():
        pytest.skip(reason)
    with Collector(kafka=lab.settings.kafka.bootstrap, encoding=request.param) as collector:
        yield collector


def attributes(**values: str | float | bool) -> list[KeyValue]:
    """By attribute names with `__` for each dot."""
    kinds = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}
    return [
        KeyValue(key=key.replace("__", "."), value=AnyValue(**{kinds[type(value)]: value}))  # type: ignore[arg-type]
        for key, value in values.items()
    ]


def work(task: str, trace_id: bytes) -> ExportTraceServiceRequest:
    """A task with a model call, in one trace."""
    request, at = ExportTraceServiceRequest(), now_ns()
    group = request.resource_spans.add()
    group.resource.attributes.extend(attributes(trueup__workflow="collected"))
    root, call = (group.scope_spans.add().spans.add() for _ in range(2))
    for n, each in enumerate((root, call), start=1):
        each.trace_id, each.span_id, each.name = trace_id, n.to_bytes(8), "work"
        each.start_time_unix_nano, each.end_time_unix_nano = at - 2_000_000, at
        each.attributes.extend(attributes(trueup__task__id=task, note=COMPRESSIBLE))
    call.parent_span_id = root.span_id
    root.attributes.extend(attributes(trueup__task__outcome="success"))
    usage = {"gen_ai__usage__input_tokens": 2**29, "gen_ai__usage__output_tokens": 7, "trueup__cost__usd": 0.25}
    call.attributes.extend(attributes(gen_ai__operation__name="chat", gen_ai__request__model="m", **usage))
    return request


def learnt(task: str) -> ExportLogsServiceRequest:
    """What a verifier and a customer said of the task, outside its trace."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    said: dict[str, dict[str, Any]] = {
        "trueup.task.verified": {"trueup__verdict": "failure"},
        "trueup.task.feedback": {"trueup__complaint": True},
    }
    for name, values in said.items():
        made = records.add(event_name=name, time_unix_nano=now_ns())
        made.attributes.extend(attributes(trueup__task__id=task, note=COMPRESSIBLE, **values))
    return request


def over_http(collector: Collector, spans: ExportTraceServiceRequest, records: ExportLogsServiceRequest) -> None:
    for path, sent in (("traces", spans), ("logs", records)):
        url = f"{collector.http_url}/v1/{path}"
        answer = httpx2.post(url, content=sent.SerializeToString(), headers=PROTOBUF, timeout=30)
        assert answer.status_code == 200, answer.text


def over_grpc(collector: Collector, spans: ExportTraceServiceRequest, records: ExportLogsServiceRequest) -> None:
    with grpc.insecure_channel(collector.grpc_endpoint) as channel:
        TraceServiceStub(channel).Export(spans, timeout=30)  # type: ignore[no-untyped-call]
        LogsServiceStub(channel).Export(records, timeout=30)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("send", [over_http, over_grpc])
def test_a_task_goes_all_the_way(lab: Lab, collector: Collector, send: Any) -> None:
    task = f"collected-{next(_number)}"
    send(collector, work(task, task.encode().ljust(16, b"-")), learnt(task))
    lab.land(*lab.ends())

    row = lab.task(task)
    assert (row["claim"], row["verdict"], row["complaint"], row["workflow"]) == ("success", "failure", 1, "collected")
    assert (row["model_calls"], row["input_tokens"], row["output_tokens"]) == (1, 2**29, 7)
    assert sorted(event["kind"] for event in lab.events(task)) == ["feedback", "model_call", "other", "verdict"]
