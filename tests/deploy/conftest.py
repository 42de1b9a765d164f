"""A real Apache Kafka broker for the tests of this folder, where the machine has one."""

from collections.abc import Iterator

import pytest

from deploy.kafka import distribution
from deploy.local.kafka import Kafka


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """One broker without security, shared: every test takes a topic of its own."""
    if reason := distribution.missing():
        pytest.skip(reason)
    with Kafka() as running:
        yield running
