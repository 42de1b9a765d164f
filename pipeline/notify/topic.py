"""A topic of Kafka: the document as JSON, keyed by alert, so that those of one alert stay in order."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, MessageSizeTooLargeError, TopicAlreadyExistsError

from pipeline.config import ConfigError, Settings
from pipeline.kafka import Unreachable, client_options, producer
from pipeline.notify.document import document, encoded
from pipeline.notify.notification import Notification
from pipeline.notify.receiver import Rejected, Retryable

_GRACE = 2.0
"""Seconds in which the producer notices that its time is over."""


class Topic:
    """A receiver. Connects at the first notification, and makes the topic if it is missing; `timeout` in seconds."""

    def __init__(self, settings: Settings, topic: str, timeout: float) -> None:
        self._settings = settings
        self._topic = topic
        self._timeout = timeout
        self._producer: Any = None

    def send(self, notification: Notification) -> None:
        """Returns when the brokers have the message. Raises Retryable or Rejected."""
        try:
            producer = self._connected()
            message = encoded(document(notification))
            key = notification.key.encode("utf-8", "replace")
            producer.send(self._topic, value=message, key=key).get(self._timeout + _GRACE)
        except MessageSizeTooLargeError as error:
            raise Rejected(f"the notification is too large for {self._topic}: {error}") from None
        except (KafkaError, Unreachable, ConfigError) as error:
            self.close()  # after some errors a producer never sends again; a new one is cheap
            raise Retryable(f"Kafka has not taken it for {self._topic}: {error or type(error).__name__}") from None

    def close(self) -> None:
        """Leave Kafka."""
        if self._producer is not None:
            with suppress(KafkaError):  # what it could not send has been told as not sent
                self._producer.close(timeout=self._timeout)
            self._producer = None

    def _connected(self) -> Any:
        if self._producer is None:
            _make(self._settings, self._topic)
            ms = round(self._timeout * 1_000)
            # The producer gives up before we do: what it sent after that would come out of order.
            patience = {"max_block_ms": ms, "request_timeout_ms": ms // 2, "delivery_timeout_ms": ms}
            self._producer = producer(self._settings, **patience)
        return self._producer


def _make(settings: Settings, topic: str) -> None:
    admin = KafkaAdminClient(**client_options(settings))
    try:
        if topic not in set(admin.list_topics()):
            admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=settings.kafka.replication)])
    except TopicAlreadyExistsError:
        pass  # another replica was faster
    finally:
        admin.close()
