"""A real ClickHouse for the tests of this folder, and in it an empty database for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local.clickhouse import ClickHouse
from tests.audit.world import World
from tests.database import emptied


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouse]:
    with ClickHouse() as running:
        yield running


def empty_world(clickhouse: ClickHouse, name: str) -> World:
    return World(emptied(clickhouse, name))


@pytest.fixture
def world(clickhouse: ClickHouse) -> World:
    """An empty database, and folds that write to it."""
    return empty_world(clickhouse, "of_a_test")


@pytest.fixture(scope="module")
def clickhouse_world(clickhouse: ClickHouse) -> World:
    """An empty database for the tests of a module."""
    return empty_world(clickhouse, "of_a_module")


@pytest.fixture(scope="session")
def landed(clickhouse: ClickHouse) -> World:
    """Three partitions of random logs, all of their tasks closed. Not to be changed."""
    made = empty_world(clickhouse, "landed")
    made.land_three(seed=0, messages=150, tasks=70, batch=80)
    return made


@pytest.fixture
def damaged(landed: World, world: World) -> World:
    """A copy of `landed`, to be damaged."""
    world.copy(landed)
    return world
