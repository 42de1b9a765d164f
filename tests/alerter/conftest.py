"""A ClickHouse with our tables for the tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from deploy.local.clickhouse import ClickHouse
from sinks.clickhouse.client import connect
from tests.database import emptied


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[ClickHouse]:
    with ClickHouse() as running:
        yield running


@pytest.fixture
def client(clickhouse: ClickHouse) -> Client:
    """A client of an empty database."""
    return connect(emptied(clickhouse, "alerter"))
