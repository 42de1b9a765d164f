"""Logs, their folds, and the database that they write to; and ways to damage what is in there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.fold.held import Keep
from pipeline.fold.message import Batch, Message
from pipeline.fold.partition import PartitionFold
from schemas.event import Event
from schemas.rows import DeadLetter
from sinks.clickhouse.audit import Audit, audit
from sinks.clickhouse.client import Address, connect
from sinks.clickhouse.store import TABLES, ClickHouseStore
from sinks.port import WRITE_ORDER, Snapshot, write
from tests.audit.logs import Log

PARTITIONS = (0, 1, 7)


class World:
    """One database. A partition's fold begins at the first message that it is given."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.client = connect(address)
        self.store = ClickHouseStore(self.client)
        self.folds: dict[int, PartitionFold] = {}
        self.passed_on: list[Event] = []

    def land_three(self, seed: int, messages: int = 40, tasks: int = 12, batch: int = 10) -> dict[int, Log]:
        """Logs of three partitions, folded and written in batches; at the end whatever is open is given up.

        What is passed on to another task goes to the end of the first partition.
        """
        logs = {partition: Log(10 * seed + partition, tasks) for partition in PARTITIONS}
        for partition, log in logs.items():
            self.land(partition, log.grow(messages), batch)
        if self.passed_on:
            self.land(PARTITIONS[0], [logs[PARTITIONS[0]].add(self.passed_on)])
        for partition, log in logs.items():
            self.land(partition, log.end())
        return logs

    def land(self, partition: int, messages: Sequence[Message], batch: int = 10) -> None:
        """Fold and write, a batch of so many messages after the other."""
        for start in range(0, len(messages), batch):
            snapshot = self.fold(partition, messages[start : start + batch])
            self.passed_on += snapshot.forwards
            write(self.store, snapshot)
            self.folds[partition].written(self.folds[partition].position)

    def fold(self, partition: int, messages: Sequence[Message]) -> Snapshot:
        """What is to be written of these messages."""
        if partition not in self.folds:
            offset, keep = messages[0].offset, Keep(20, 20, 20)
            self.folds[partition] = PartitionFold(partition, self.store, next_offset=offset, keep=keep)
        snapshot = self.folds[partition].fold(Batch(messages))
        dead = (m for m in messages if m.dead)
        snapshot.dead_letters = [
            DeadLetter("agent.actions", partition, m.offset, -1, m.received, "not_an_action_message", "", "").line()
            for m in dead
        ]
        return snapshot

    def audit(self, **limits: Any) -> Audit:
        return audit(self.client, **limits)

    def copy(self, other: World) -> None:
        """Have the rows that another database has."""
        for table, _ in TABLES.values():
            self.client.command(f"INSERT INTO {table} SELECT * FROM {other.address.database}.{table}")

    def insert(self, table: str, changed: Mapping[str, str], where: str) -> None:
        """Write rows of a table again, with other values (column -> expression)."""
        replaced = ", ".join(f"{value} AS `{column}`" for column, value in changed.items())
        chosen = f"SELECT * FROM {table} FINAL WHERE {where}"
        self.client.command(f"INSERT INTO {table} SELECT * REPLACE ({replaced}) FROM ({chosen})")

    def delete(self, table: str, where: str) -> None:
        """Lose rows of a table."""
        self.client.command(f"DELETE FROM {table} WHERE {where}")

    def rows(self, sql: str) -> Sequence[Sequence[Any]]:
        """The rows of a query."""
        return self.client.query(sql).result_rows


def steps(snapshot: Snapshot, size: int) -> list[tuple[str, list[bytes]]]:
    """The writes of a snapshot, in order, of so many rows each."""
    found = []
    for table in WRITE_ORDER:
        lines = getattr(snapshot, table)
        found += [(table, lines[start : start + size]) for start in range(0, len(lines), size)]
    return found
