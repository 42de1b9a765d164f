"""A ClickHouse with our tables for the tests that need one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from clickhouse_connect.driver.client import Client

from deploy.local.clickhouse import ClickHouse
from sinks.clickhouse.client import Address, connect
from sinks.clickhouse.migrate import migrate

_databases = count()


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[ClickHouse]:
    with ClickHouse() as running:
        yield running


@pytest.fixture
def client(clickhouse: ClickHouse) -> Client:
    """A client of a database of the test's own."""
    address = Address(port=clickhouse.port, database=f"alerter_{next(_databases)}")
    migrate(address, retention_days=0)
    return connect(address)
