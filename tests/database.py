"""Databases with our tables and nothing in them. To make the tables takes thirty times as long as to empty them."""

from __future__ import annotations

from clickhouse_connect.driver.client import Client

from deploy.local.clickhouse import ClickHouse
from sinks.clickhouse.client import Address, connect
from sinks.clickhouse.migrate import migrate

_clients: dict[tuple[int | None, str], Client] = {}


def emptied(clickhouse: ClickHouse, name: str) -> Address:
    """A database of this name: the same one each time, so whoever had it before must be done with it."""
    address = Address(port=clickhouse.port, database=name)
    made = (clickhouse.pid, name)
    if made not in _clients:
        migrate(address, retention_days=0)
        _clients[made] = connect(address)
    client = _clients[made]
    client.command(f"TRUNCATE ALL TABLES FROM {name} NOT LIKE 'migrations'")
    client.command(f"SYSTEM START MERGES {name}.raw_events")  # a test may have stopped them
    return address
