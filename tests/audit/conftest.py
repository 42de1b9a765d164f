"""A real ClickHouse for the tests of this folder, and in it a database for each test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from deploy.local.clickhouse import ClickHouse
from sinks.clickhouse.client import Address
from sinks.clickhouse.migrate import migrate
from tests.audit.world import World

_databases = count()


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouse]:
    with ClickHouse() as running:
        yield running


def empty_world(clickhouse: ClickHouse) -> World:
    address = Address(port=clickhouse.port, database=f"audit_{next(_databases)}")
    migrate(address, retention_days=0)
    return World(address)


@pytest.fixture
def world(clickhouse: ClickHouse) -> World:
    """An empty database, and folds that write to it."""
    return empty_world(clickhouse)


@pytest.fixture(scope="module")
def clickhouse_world(clickhouse: ClickHouse) -> World:
    """An empty database for the tests of a module."""
    return empty_world(clickhouse)


@pytest.fixture(scope="session")
def landed(clickhouse: ClickHouse) -> World:
    """Three partitions of random logs, all of their tasks closed. Not to be changed."""
    made = empty_world(clickhouse)
    made.land_three(seed=0, messages=150, tasks=70, batch=80)
    return made


@pytest.fixture
def damaged(landed: World, world: World) -> World:
    """A copy of `landed`, to be damaged."""
    world.copy(landed)
    return world
