"""kafka-python behind the Producer protocol."""

from __future__ import annotations

import logging
import socket
import threading

import pytest
from kafka import errors
from trueup import kafka_client
from trueup.kafka_client import CLIENT_NAME
from trueup.producer import Failure, Trouble
from trueup.settings import KafkaSettings


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (errors.MessageSizeTooLargeError(), Trouble.TOO_LARGE),
        (errors.RecordListTooLargeError(), Trouble.TOO_LARGE),
        (errors.TopicAuthorizationFailedError(), Trouble.REFUSED),
        (errors.InvalidTopicError(), Trouble.REFUSED),
        (errors.InvalidRecordError(), Trouble.REFUSED),
        (errors.KafkaTimeoutError(), Trouble.CONNECTION),
        (errors.KafkaConnectionError(), Trouble.CONNECTION),
        (errors.NotEnoughReplicasError(), Trouble.CONNECTION),
        (errors.ClusterAuthorizationFailedError(), Trouble.CONNECTION),
        (errors.SaslAuthenticationFailedError(), Trouble.CONNECTION),
        (errors.IllegalStateError(), Trouble.CONNECTION),
        (RuntimeError(), Trouble.CONNECTION),
    ],
)
def test_what_each_error_of_the_client_means(error: BaseException, trouble: Trouble) -> None:
    (failure,) = failures(error)
    assert failure.trouble is trouble
    assert type(error).__name__ in failure.text


def test_a_refused_message_ends_a_producer_and_the_rest_is_for_the_next_one() -> None:
    """An idempotent producer fails everything after a hole in its sequence numbers, with the error of the first."""
    found = failures(errors.MessageSizeTooLargeError(), errors.MessageSizeTooLargeError(), errors.InvalidTopicError())
    assert [failure.trouble for failure in found] == [Trouble.TOO_LARGE, Trouble.CONNECTION, Trouble.CONNECTION]
    found = failures(errors.KafkaTimeoutError(), errors.MessageSizeTooLargeError(), errors.KafkaTimeoutError())
    assert [failure.trouble for failure in found] == [Trouble.CONNECTION, Trouble.TOO_LARGE, Trouble.CONNECTION]


def failures(*happened: BaseException) -> list[Failure]:
    """What one producer answers when these come in this order."""
    producer = object.__new__(kafka_client.KafkaPython)
    producer._ended = False
    answers: list[Failure | None] = []
    for error in happened:
        producer._failed(answers.append, error)
    return [answer for answer in answers if answer is not None]


def test_a_closed_port_is_found_without_the_client_and_its_noise(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(OSError, match="refused"):
        kafka_client.connect(KafkaSettings(bootstrap="127.0.0.1:1, [::1]:1"))
    assert caplog.records == []


def test_one_server_of_several_is_enough_to_go_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        kafka_client._probe(("127.0.0.1:1", f"127.0.0.1:{server.getsockname()[1]}"))


def emit(logger: logging.Logger, times: int, thread_name: str) -> None:
    def lose_connections() -> None:
        for _ in range(times):
            logger.error("Connection lost")

    thread = threading.Thread(target=lose_connections, name=thread_name)
    thread.start()
    thread.join()


def test_the_client_logs_our_trouble_once_a_minute_and_the_applications_always(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_client._once_per_minute, "_warnings", {})  # as if no test had a connection lost before
    logger = logging.getLogger("kafka.net.manager")
    caplog.set_level(logging.WARNING, logger.name)  # a command that ran in this process made the client silent
    kafka_client._calm_client_logs()
    emit(logger, 5, f"{CLIENT_NAME}-1-1-network-thread")
    assert len(caplog.records) == 1
    emit(logger, 5, "kafka-python-producer-1-network-thread")
    assert len(caplog.records) == 6
