"""The stores that pass the contract: the one in memory, and ClickHouse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from deploy.local.clickhouse import ClickHouse
from sinks.clickhouse.client import Address, connect
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.store import ClickHouseStore
from sinks.memory import MemoryStore
from sinks.port import Store

_databases = count()


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[ClickHouse]:
    with ClickHouse() as running:
        yield running


def _in_memory(_: pytest.FixtureRequest) -> Store:
    return MemoryStore()


def _in_clickhouse(request: pytest.FixtureRequest) -> Store:
    running: ClickHouse = request.getfixturevalue("clickhouse")
    address = Address(port=running.port, database=f"contract_{next(_databases)}")
    migrate(address, retention_days=0)
    return ClickHouseStore(connect(address))


@pytest.fixture(params=[_in_memory, _in_clickhouse], ids=["memory", "clickhouse"])
def store(request: pytest.FixtureRequest) -> Store:
    make: Callable[[pytest.FixtureRequest], Store] = request.param
    return make(request)
