"""The OpenTelemetry Collector: what is sent to it over OTLP is in Kafka, keyed, complete and without content."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiokafka
import grpc
import httpx2
import pytest
from aiokafka.helpers import create_ssl_context
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from deploy.collector import build
from deploy.local.collector import CONFIG, Collector
from deploy.local.kafka import Kafka

TOPICS = ("otlp_spans", "otlp_logs")
PARTITIONS = 4


@pytest.fixture(scope="module")
def requires_collector(requires_kafka: None) -> None:
    if reason := build.missing():
        pytest.skip(reason)


def create_topics(kafka: Kafka) -> None:
    admin = KafkaAdminClient(**kafka.client_settings)
    admin.create_topics([NewTopic(name, num_partitions=PARTITIONS, replication_factor=1) for name in TOPICS])
    admin.close()


@pytest.fixture(scope="module")
def broker(requires_collector: None) -> Iterator[Kafka]:
    """A Kafka of its own, since the topics have fixed names."""
    with Kafka(message_max_bytes=1_048_588) as kafka:
        create_topics(kafka)
        yield kafka


@pytest.fixture(scope="module")
def collector(broker: Kafka) -> Iterator[Collector]:
    with Collector(kafka=broker.bootstrap) as running:
        yield running


class Reader:
    """Everything that comes into a topic after it was made."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._settings = dict(kafka.client_settings)
        ca = self._settings.pop("ssl_cafile", None)
        self._context = create_ssl_context(cafile=ca) if ca else None
        self._partitions = [aiokafka.TopicPartition(topic, number) for number in range(PARTITIONS)]
        self._start = asyncio.run(self._ends())

    def messages(self, count: int) -> list[Any]:
        """The first `count` messages; TimeoutError when they do not come within 30 s."""
        return self.until(lambda messages: len(messages) == count)

    def until(self, complete: Callable[[list[Any]], bool]) -> list[Any]:
        """Messages from the start on until they are `complete`; TimeoutError after 30 s."""
        return asyncio.run(asyncio.wait_for(self._read(complete), 30))

    def _consumer(self) -> aiokafka.AIOKafkaConsumer:
        return aiokafka.AIOKafkaConsumer(**self._settings, ssl_context=self._context)

    async def _ends(self) -> dict[Any, int]:
        async with self._consumer() as consumer:
            return dict(await consumer.end_offsets(self._partitions))

    async def _read(self, complete: Callable[[list[Any]], bool]) -> list[Any]:
        messages: list[Any] = []
        async with self._consumer() as consumer:
            consumer.assign(self._partitions)
            for partition, offset in self._start.items():
                consumer.seek(partition, offset)
            while not complete(messages):
                messages.append(await consumer.getone())
        return messages


def post(url: str, body: bytes, content_type: str = "application/x-protobuf", seconds: float = 10) -> int:
    return httpx2.post(url, content=body, headers={"Content-Type": content_type}, timeout=seconds).status_code


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def traces(*spans: Span) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(spans)
    return request


def span(trace_id: bytes, number: int = 1, *attributes: KeyValue) -> Span:
    return Span(trace_id=trace_id, span_id=number.to_bytes(8), name="chat", attributes=attributes)


def spans_of(message: Any) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(message.value)
    return [each for resource in request.resource_spans for scope in resource.scope_spans for each in scope.spans]


def attributes_of(holder: Any) -> dict[str, str]:
    return {each.key: each.value.string_value for each in holder.attributes}


def test_protobuf_over_http_arrives_as_protobuf_keyed_by_its_trace(broker: Kafka, collector: Collector) -> None:
    reader = Reader(broker, "otlp_spans")
    trace_id = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
    sent = traces(span(trace_id, 1, text("trueup.task.id", "task-1")))

    assert post(f"{collector.http_url}/v1/traces", sent.SerializeToString()) == 200

    (message,) = reader.messages(1)
    (received,) = spans_of(message)
    assert message.key == trace_id.hex().encode()
    assert (received.trace_id, received.name, attributes_of(received)) == (
        trace_id,
        "chat",
        {"trueup.task.id": "task-1"},
    )


def test_json_over_http_arrives_as_protobuf(broker: Kafka, collector: Collector) -> None:
    reader = Reader(broker, "otlp_spans")
    sent = {
        "resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "tool"}]}]}]
    }

    assert post(f"{collector.http_url}/v1/traces", json.dumps(sent).encode(), "application/json") == 200

    (message,) = reader.messages(1)
    assert [(each.trace_id.hex(), each.name) for each in spans_of(message)] == [("ab" * 16, "tool")]


def test_grpc_arrives_as_protobuf(broker: Kafka, collector: Collector) -> None:
    reader = Reader(broker, "otlp_spans")
    sent = traces(span(b"g" * 16))

    with grpc.insecure_channel(collector.grpc_endpoint) as channel:
        TraceServiceStub(channel).Export(sent, timeout=10)  # type: ignore[no-untyped-call]

    (message,) = reader.messages(1)
    assert [each.trace_id for each in spans_of(message)] == [b"g" * 16]


def test_the_spans_of_a_request_are_split_by_trace_and_a_trace_keeps_its_partition(
    broker: Kafka, collector: Collector
) -> None:
    reader = Reader(broker, "otlp_spans")
    ids = [bytes([number]) * 16 for number in range(1, 6)]
    request = traces(*(span(trace_id, number) for number in (1, 2) for trace_id in ids)).SerializeToString()

    for _ in range(2):
        assert post(f"{collector.http_url}/v1/traces", request) == 200

    messages = reader.messages(2 * len(ids))
    assert all(
        {each.trace_id for each in spans_of(message)} == {bytes.fromhex(message.key.decode())} for message in messages
    )
    assert len({message.partition for message in messages}) > 1
    assert len({(message.key, message.partition) for message in messages}) == len(ids)


def test_log_events_arrive_with_their_event_name(broker: Kafka, collector: Collector) -> None:
    reader = Reader(broker, "otlp_logs")
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.event_name = "trueup.task.verified"
    record.attributes.extend([text("trueup.task.id", "task-1"), text("trueup.verdict", "success")])

    assert post(f"{collector.http_url}/v1/logs", request.SerializeToString()) == 200

    (message,) = reader.messages(1)
    (received,) = ExportLogsServiceRequest.FromString(message.value).resource_logs[0].scope_logs[0].log_records
    assert received.event_name == "trueup.task.verified"
    assert attributes_of(received) == {"trueup.task.id": "task-1", "trueup.verdict": "success"}


CONTENT = (
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.prompt.0.content", "gen_ai.completion.0.content",
    "input.value", "output.value", "llm.input_messages.0.message.content", "llm.tools.0.tool.json_schema",
    "retrieval.documents.0.document.content", "traceloop.entity.input", "crewai.task.description",
    "gcp.vertex.agent.llm_request", "pydantic_ai.all_messages", "tool_arguments", "message",
)  # fmt: skip
NO_CONTENT = (
    "trueup.task.id", "trueup.input.format", "gen_ai.operation.name", "gen_ai.usage.input_tokens",
    "gen_ai.prompt.name", "gen_ai.tool.name", "gen_ai.tool.call.id", "llm.model_name", "llm.token_count.prompt",
    "openinference.span.kind", "metadata", "traceloop.entity.name", "crewai.crew.token_usage", "error.type",
    "gen_ai.evaluation.name", "gen_ai.evaluation.score.label", "gcp.vertex.agent.event_id",
)  # fmt: skip


def test_content_is_dropped_from_spans_and_the_rest_is_kept(broker: Kafka, collector: Collector) -> None:
    reader = Reader(broker, "otlp_spans")
    sent = span(b"c" * 16, 1, *(text(key, "secret") for key in CONTENT), *(text(key, "kept") for key in NO_CONTENT))
    event = sent.events.add(name="gen_ai.user.message")
    event.attributes.extend([text("content", "secret"), text("id", "kept")])

    post(f"{collector.http_url}/v1/traces", traces(sent).SerializeToString())

    (received,) = spans_of(reader.messages(1)[0])
    assert attributes_of(received) == dict.fromkeys(NO_CONTENT, "kept")
    assert attributes_of(received.events[0]) == {"id": "kept"}


def test_content_is_dropped_from_log_events_and_the_rest_is_kept(broker: Kafka, collector: Collector) -> None:
    reader = Reader(broker, "otlp_logs")
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    records.add(event_name="gen_ai.user.message", body=AnyValue(string_value="secret"))
    records.add(event_name="trueup.task.feedback", body=AnyValue(string_value="kept"))
    records[0].attributes.extend([text("gen_ai.input.messages", "secret"), text("gen_ai.provider.name", "kept")])

    post(f"{collector.http_url}/v1/logs", request.SerializeToString())

    (message,) = reader.messages(1)
    first, second = ExportLogsServiceRequest.FromString(message.value).resource_logs[0].scope_logs[0].log_records
    assert (first.body.string_value, attributes_of(first)) == ("", {"gen_ai.provider.name": "kept"})
    assert second.body.string_value == "kept"


def test_a_request_above_kafkas_message_limit_is_split_and_nothing_of_it_is_lost(
    broker: Kafka, collector: Collector
) -> None:
    reader = Reader(broker, "otlp_spans")
    big = [span(b"b" * 16, number, text("note", "x" * 10_000)) for number in range(1, 301)]

    assert post(f"{collector.http_url}/v1/traces", traces(*big).SerializeToString()) == 200

    def spans(messages: list[Any]) -> set[bytes]:
        return {each.span_id for message in messages for each in spans_of(message)}

    messages = reader.until(lambda messages: len(spans(messages)) == len(big))
    assert spans(messages) == {each.span_id for each in big}
    assert max(len(message.value) for message in messages) < 1_000_000


def test_otlp_json_can_be_chosen(broker: Kafka) -> None:
    reader = Reader(broker, "otlp_spans")

    with Collector(kafka=broker.bootstrap, encoding="otlp_json") as collector:
        assert post(f"{collector.http_url}/v1/traces", traces(span(b"j" * 16)).SerializeToString()) == 200

    (message,) = reader.messages(1)
    (received,) = json.loads(message.value)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert (received["traceId"], received["spanId"]) == ((b"j" * 16).hex(), "0000000000000001")


def test_a_request_is_not_acknowledged_before_kafka_has_it(requires_collector: None) -> None:
    with Kafka() as kafka:
        create_topics(kafka)
        with Collector(kafka=kafka.bootstrap) as collector:
            request = traces(span(b"w" * 16)).SerializeToString()
            kafka.pause(1)
            with pytest.raises(httpx2.TimeoutException):
                post(f"{collector.http_url}/v1/traces", request, seconds=2)
            kafka.resume(1)

            assert post(f"{collector.http_url}/v1/traces", request, seconds=30) == 200


def test_it_delivers_to_a_kafka_behind_tls_and_scram(requires_collector: None, tmp_path: Path) -> None:
    with Kafka(secure=True) as kafka:
        assert kafka.credentials is not None
        create_topics(kafka)
        reader = Reader(kafka, "otlp_spans")
        password = tmp_path / "password"
        password.write_text(kafka.credentials.password)
        environment = {
            "TRUEUP_KAFKA__SSL_CA_FILE": str(kafka.credentials.certificate),
            "TRUEUP_KAFKA__SASL_USERNAME": kafka.credentials.username,
            "TRUEUP_KAFKA__SASL_PASSWORD_FILE": str(password),
        }
        scram = CONFIG.with_name("kafka-scram.yaml")
        with Collector(kafka=kafka.bootstrap, overlays=[scram], environment=environment) as collector:
            assert post(f"{collector.http_url}/v1/traces", traces(span(b"s" * 16)).SerializeToString()) == 200

        assert len(reader.messages(1)) == 1
