"""A real ClickHouse for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local.clickhouse import ClickHouse


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouse]:
    with ClickHouse() as running:
        yield running
