"""What the worker needs of Faust and Kafka, in one place: the app, raw topics, acks, deliveries."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import faust
from faust.types import TP

from pipeline.config import Settings
from pipeline.kafka import micros
from pipeline.reach import tls
from pipeline.worker.buffer import BufferedApp
from pipeline.worker.consumer import PromptConsumer

HOUR = 3_600.0


def faust_app(settings: Settings) -> Any:
    """The Faust app. Every setting here answers a measured behaviour (docs/decisions/0001-faust-without-tables.md)."""
    k = settings.kafka
    app = BufferedApp(
        k.group,
        broker=[f"kafka://{address.strip()}" for address in k.bootstrap.split(",")],
        broker_credentials=_credentials(settings),
        value_serializer="raw",
        key_serializer="raw",
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=8 * 1024 * 1024,
        broker_commit_interval=settings.worker.commit,
        broker_max_poll_interval=24 * HOUR,  # a worker that waits for ClickHouse must keep its membership
        broker_session_timeout=k.session_timeout,
        broker_heartbeat_interval=k.session_timeout / 6,
        broker_rebalance_timeout=k.session_timeout * 1.5,
        broker_request_timeout=30.0,
        producer_acks=-1,
        producer_max_request_size=max(k.message_bytes * 2, 2_000_000),
        producer_linger_ms=5,
        stream_wait_empty=False,  # safe: whatever is in flight at a rebalance may be folded again
        stream_buffer_maxsize=4096,
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=0,
        store="memory://",
        web_enabled=False,
        datadir=str(Path(tempfile.gettempdir()) / "trueup-faust"),  # Faust makes it; nothing is kept there
        id_format="{id}",
        version=1,
    )
    app.transport.Consumer = PromptConsumer
    return app


def _credentials(settings: Settings) -> Any:
    k = settings.kafka
    context = tls(k) if k.security_protocol.endswith("SSL") else None
    if k.security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=k.sasl_username, password=k.password, mechanism=k.sasl_mechanism, ssl_context=context
        )
    return faust.SSLCredentials(context) if context else None


def raw_topic(app: Any, *names: str) -> Any:
    """Topics of bytes. Decoding is ours: an error in Faust's own decoding stops an agent for good."""
    return app.topic(*names, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


def received(message: Any) -> int:
    """The Kafka timestamp of a message in microseconds; 0: it has none that can be."""
    return micros(message.timestamp * 1_000)


def of_this_generation(app: Any, batch: Iterable[Any]) -> list[Any]:
    """Without what was buffered before a rebalance: it is delivered again to whoever owns it now."""
    generation = app.consumer_generation_id
    return [event for event in batch if event.message.generation_id == generation]


async def ack(stream: Any, events: Sequence[Any]) -> None:
    """Let the offsets of a batch be committed, in order."""
    for event in events:
        await stream.ack(event)


async def go_back(app: Any, topic: str, partition: int, offset: int) -> None:
    """Let the group read a partition from an offset again, whatever was committed. For a worker that stops."""
    await app.consumer._commit({TP(topic, partition): offset})


async def delivered(sent: Sequence[Any]) -> None:
    """Return when the brokers have every message. Raises what the delivery raised: Faust itself only logs it."""
    await asyncio.gather(*sent)


def assigned(app: Any, topic: str) -> set[int]:
    """The partitions of a topic that this worker owns."""
    return {tp.partition for tp in app.consumer.assignment() if tp.topic == topic} if app.consumer else set()
