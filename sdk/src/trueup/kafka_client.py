"""kafka-python behind the Producer protocol: the only place that knows the client and its errors."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from functools import cache, partial
from itertools import count
from typing import Any

from trueup.drops import RareWarning
from trueup.producer import Done, Failure, TopicUnavailableError, Trouble
from trueup.settings import KafkaSettings

logger = logging.getLogger(__name__)

PROBE_TIMEOUT = 2.0
CLIENT_NAME = "trueup"
"""Start of the client id, and with it of the names of the client's threads."""

_numbers = count(1)


def connect(settings: KafkaSettings) -> KafkaPython:
    """A connected producer. Blocks for some seconds at most; raises OSError or KafkaError."""
    _probe(settings.servers)
    _calm_client_logs()
    return KafkaPython(settings)


class KafkaPython:
    """An idempotent KafkaProducer that can be closed at any time without waiting.

    A refused message leaves a hole in its sequence numbers, and ends it: whatever else it has fails with it, and
    is for the next producer.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        from kafka.partitioner import StickyPartitioner

        self._ended = False
        self._client = _producer_class()(
            client_id=f"{CLIENT_NAME}-{os.getpid()}-{next(_numbers)}",
            partitioner=StickyPartitioner(),
            **settings.producer_options(),
        )

    def send(self, topic: str, payload: bytes, done: Done) -> None:
        """See Producer.send."""
        from kafka.errors import KafkaTimeoutError

        try:
            future = self._client.send(topic, payload)
        except KafkaTimeoutError as error:
            raise TopicUnavailableError(str(error)) from error
        future.add_callback(partial(_acknowledged, done))
        future.add_errback(partial(self._failed, done))

    def close(self) -> None:
        """See Producer.close."""
        try:
            self._client.close(timeout=0)
        except Exception:
            logger.exception("the Kafka client did not close")

    def _failed(self, done: Done, error: BaseException) -> None:
        trouble = Trouble.CONNECTION if self._ended else _trouble(error)
        self._ended = self._ended or trouble is not Trouble.CONNECTION
        done(Failure(trouble, f"{type(error).__name__}: {error}"))


def _acknowledged(done: Done, _metadata: object) -> None:
    done(None)


def _trouble(error: BaseException) -> Trouble:
    from kafka import errors

    if isinstance(error, errors.MessageSizeTooLargeError | errors.RecordListTooLargeError):
        return Trouble.TOO_LARGE
    answered = isinstance(error, errors.BrokerResponseError) and not error.retriable
    kept_out = isinstance(error, errors.ClusterAuthorizationFailedError | errors.SaslAuthenticationFailedError)
    return Trouble.REFUSED if answered and not kept_out else Trouble.CONNECTION


@cache
def _producer_class() -> Callable[..., Any]:
    """KafkaProducer takes a third of a second to import: only when there is something to connect to."""
    from kafka import KafkaProducer
    from kafka.errors import KafkaTimeoutError

    class Producer(KafkaProducer):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            # At exit it would close itself before the last spans are exported. The exporter closes it.
            self._unregister_cleanup()

        def flush(self, timeout: float | None = None) -> None:
            """Without raising: close() calls this, and would leave its threads running."""
            try:
                super().flush(timeout)
            except KafkaTimeoutError:
                return

    return Producer


def _probe(servers: tuple[str, ...]) -> None:
    """Raise OSError unless a server takes a connection: cheaper and quieter than the client's own way."""
    trouble: OSError | None = None
    for server in servers:
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), PROBE_TIMEOUT).close()
        except OSError as error:
            trouble = error
        else:
            return
    if trouble is not None:
        raise trouble


class _OncePerMinute(logging.Filter):
    """Thins out what the client logs about our connection; the application's own use of it is left alone."""

    def __init__(self) -> None:
        super().__init__()
        self._warnings: dict[str, RareWarning] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or not (record.threadName or "").startswith(CLIENT_NAME):
            return True
        return self._warnings.setdefault(f"{record.name}:{record.lineno}", RareWarning()).due()


_once_per_minute = _OncePerMinute()


def _calm_client_logs() -> None:
    _producer_class()  # imports the client, and with it makes its loggers
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("kafka."):
            logging.getLogger(name).addFilter(_once_per_minute)
