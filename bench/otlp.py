"""The same work as OTLP: what an instrumented agent process exports, spans with GenAI attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from schemas.event import Event
from schemas.words import SPANS, Kind

OPERATIONS = {
    Kind.MODEL_CALL: "chat",
    Kind.TOOL_CALL: "execute_tool",
    Kind.RETRIEVAL: "retrieval",
    Kind.AGENT_RUN: "invoke_agent",
}
SPANS_PER_REQUEST = 512
"""What OpenTelemetry's batch processor exports at once."""


def requests(events: Iterable[Event], per_request: int = SPANS_PER_REQUEST) -> Iterator[tuple[int, bytes]]:
    """(spans, payload) of requests. Each holds spans of one workflow's agent, as its process exports them."""
    filling: dict[str, ResourceSpans] = {}
    for event in events:
        if event.kind not in SPANS:
            continue
        group = filling.get(event.workflow)
        if group is None:
            group = filling[event.workflow] = _resource(event)
        spans = group.scope_spans[0].spans
        spans.append(span_of(event))
        if len(spans) == per_request:
            yield per_request, _payload(filling.pop(event.workflow))
    for group in filling.values():
        yield len(group.scope_spans[0].spans), _payload(group)


def request_of(events: list[Event]) -> bytes:
    """One request of these spans of one agent."""
    group = _resource(events[0])
    group.scope_spans[0].spans.extend(span_of(event) for event in events)
    return _payload(group)


def span_of(event: Event) -> Span:
    """A span that the mapping reads back as this event."""
    operation = OPERATIONS[event.kind]
    span = Span(
        trace_id=bytes.fromhex(event.trace_id),
        span_id=bytes.fromhex(event.span_id),
        parent_span_id=bytes.fromhex(event.parent_id),
        name=f"{operation} {event.name}".strip(),
        start_time_unix_nano=event.start * 1_000,
        end_time_unix_nano=event.at * 1_000,
    )
    said: dict[str, str | int | float | None] = {
        "gen_ai.operation.name": operation,
        "gen_ai.agent.name": event.agent,
        "trueup.task.id": event.task_id,
        "error.type": event.error_type,
    }
    if event.kind == Kind.MODEL_CALL:
        said |= {
            "gen_ai.provider.name": "example",
            "gen_ai.request.model": event.model,
            "gen_ai.response.model": event.model,
            "gen_ai.usage.input_tokens": event.input_tokens,
            "gen_ai.usage.output_tokens": event.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": event.cache_read_tokens,
            "trueup.cost.usd": (event.cost or 0) / 1e9,
        }
    elif event.kind == Kind.TOOL_CALL:
        said |= {"gen_ai.tool.name": event.name, "gen_ai.tool.type": "function"}
    elif event.root:
        said |= {"trueup.task.type": event.case_type, "trueup.task.outcome": event.value}
    for name, value in said.items():
        if value not in ("", None):
            _set(span.attributes.add(), name, value)
    if event.error_type:
        span.status.code = Status.STATUS_CODE_ERROR
    return span


def _resource(event: Event) -> ResourceSpans:
    group = ResourceSpans()
    said = {
        "service.name": event.agent,
        "service.version": event.agent_version,
        "deployment.environment.name": event.environment,
        "trueup.workflow": event.workflow,
        "trueup.stage": event.stage,
        "telemetry.sdk.language": "python",
    }
    for name, value in said.items():
        _set(group.resource.attributes.add(), name, value)
    group.scope_spans.add().scope.name = "bench.agent"
    return group


def _set(pair: object, name: str, value: str | int | float | None) -> None:
    pair.key = name  # type: ignore[attr-defined]
    field = "string_value" if isinstance(value, str) else "double_value" if isinstance(value, float) else "int_value"
    setattr(pair.value, field, value)  # type: ignore[attr-defined]


def _payload(group: ResourceSpans) -> bytes:
    return ExportTraceServiceRequest(resource_spans=[group]).SerializeToString()
