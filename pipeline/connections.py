"""From settings to connections."""

from __future__ import annotations

from urllib.parse import urlsplit

from clickhouse_connect.driver.client import Client

from pipeline.config import Settings
from sinks.clickhouse.client import Address, connect


def address_of(settings: Settings) -> Address:
    """Where ClickHouse is, by these settings."""
    section = settings.clickhouse
    url = urlsplit(section.url)
    secure = url.scheme == "https"
    return Address(
        host=url.hostname or "127.0.0.1",
        port=url.port or (8443 if secure else 8123),
        database=section.database,
        user=section.user,
        password=section.secret,
        secure=secure,
        ca_file=str(section.ca_file) if section.ca_file else None,
        timeout=section.timeout,
    )


def client_of(settings: Settings) -> Client:
    """A client for reading. Raises Transient when ClickHouse is away."""
    return connect(address_of(settings))
