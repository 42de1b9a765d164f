"""A real Apache Kafka for the tests of this folder, where the machine has one."""

from collections.abc import Iterator

import pytest

from deploy.kafka import distribution
from deploy.local.kafka import Kafka


@pytest.fixture(scope="session")
def requires_kafka() -> None:
    """Skip where Apache Kafka is not on the machine; the reason has the command that provides it."""
    if reason := distribution.missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka(requires_kafka: None) -> Iterator[Kafka]:
    """One broker without security, shared: every test takes a topic of its own."""
    with Kafka() as running:
        yield running
