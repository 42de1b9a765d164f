"""The stores that pass the contract: the one in memory, and ClickHouse."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from deploy.local.clickhouse import ClickHouse
from sinks.clickhouse.client import connect
from sinks.clickhouse.store import ClickHouseStore
from sinks.memory import MemoryStore
from sinks.port import Store
from tests.database import emptied


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[ClickHouse]:
    with ClickHouse() as running:
        yield running


def _in_memory(_: pytest.FixtureRequest) -> Store:
    return MemoryStore()


def _in_clickhouse(request: pytest.FixtureRequest) -> Store:
    running: ClickHouse = request.getfixturevalue("clickhouse")
    return ClickHouseStore(connect(emptied(running, "contract")))


@pytest.fixture(params=[_in_memory, _in_clickhouse], ids=["memory", "clickhouse"])
def store(request: pytest.FixtureRequest) -> Store:
    make: Callable[[pytest.FixtureRequest], Store] = request.param
    return make(request)
