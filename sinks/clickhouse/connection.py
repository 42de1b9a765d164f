"""A client that is made when it is needed, and again after ClickHouse did not let it in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clickhouse_connect.driver.client import Client

from sinks.port import Barred


class Connection:
    """`with connection.client() as client:` from any thread.

    `connect` is called when it is needed, and again after a `Barred`: a password that was changed in its file is taken
    without a restart. What `connect` raises is raised by `client`. A client that is given is kept.
    """

    def __init__(self, connect: Client | Callable[[], Client]) -> None:
        self._connect = connect
        self._connected: Client | None = None

    @classmethod
    def of(cls, given: Client | Callable[[], Client] | Connection) -> Connection:
        """What is given, as a connection; those who are given the same one share it."""
        return given if isinstance(given, Connection) else cls(given)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """The client. What is done with it must raise our exceptions (`sinks.clickhouse.client.translated`)."""
        client = self._connected
        try:
            if client is None:
                client = self._connect if isinstance(self._connect, Client) else self._connect()
                self._connected = client
            yield client
        except Barred:
            if self._connected is client:  # else another thread has connected anew
                self._connected = None
            raise
