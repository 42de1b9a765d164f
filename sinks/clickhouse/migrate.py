"""Migrations: ordered SQL files, each applied once and known by its checksum.

A file that changed after it was applied is refused: a new file is the way to change a table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

import msgspec
from clickhouse_connect.driver.client import Client

from sinks.clickhouse.client import Address, connect, insert_lines, insert_statement, select_lines, translated
from sinks.port import Refused

RETAINED = {
    "raw_events": "toDateTime(fromUnixTimestamp64Micro(at, 'UTC'))",
    "window_rows": "toDateTime(minute, 'UTC')",
    "task_rows": "if(last_at > 0, toDateTime(fromUnixTimestamp64Micro(last_at, 'UTC')), written)",
    "dead_letter_rows": "toDateTime(fromUnixTimestamp64Micro(received, 'UTC'))",
    "envelope_rows": "toDateTime(fromUnixTimestamp64Micro(received, 'UTC'))",
    "replay_rows": "toDateTime(fromUnixTimestamp64Micro(at, 'UTC'))",
    "discard_rows": "toDateTime(fromUnixTimestamp64Micro(at, 'UTC'))",
}
"""Table -> from when its rows age. All have the same retention: a task is rebuilt from its events."""

FINE = ("task_rows", "raw_events")
"""Tables of which single tasks are asked for: of each a granule of every part is read."""
GRANULARITY = 256
"""Rows of a granule of these, where ClickHouse takes 8192. It cannot be altered: tables there are keep theirs."""

_LEDGER = """CREATE TABLE IF NOT EXISTS migrations (
    number UInt32, name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = ReplacingMergeTree ORDER BY number"""


@dataclass(frozen=True)
class Migration:
    """One file of `migrations/`."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self) -> Iterator[str]:
        """Its statements, in order."""
        for part in self.sql.split(";\n"):
            body = "\n".join(line for line in part.splitlines() if not line.startswith("--")).strip()
            if body:
                yield body.rstrip(";")


def known() -> list[Migration]:
    """The migrations that this version brings, in order."""
    found = []
    for file in files("sinks.clickhouse.migrations").iterdir():
        if file.name.endswith(".sql"):
            number, name = file.name.removesuffix(".sql").split("_", 1)
            found.append(Migration(int(number), name, file.read_text()))
    return sorted(found, key=lambda m: m.number)


def pending(address: Address) -> list[Migration]:
    """Those not applied yet. Raises Refused if one was changed after it was applied."""
    with translated():
        client = connect(address, database="")
        exists = "SELECT 1 FROM system.tables WHERE database = {d:String} AND name = 'migrations'"
        if not select_lines(client, exists, {"d": address.database}):
            return known()
        lines = select_lines(connect(address), "SELECT number, checksum FROM migrations FINAL")
        applied: dict[int, str] = dict(msgspec.json.decode(line) for line in lines)
    for migration in known():
        if applied.get(migration.number, migration.checksum) != migration.checksum:
            raise Refused(
                f"migration {migration.number:04}_{migration.name} was changed after it was applied; "
                "restore the file and write a new migration"
            )
    return [m for m in known() if m.number not in applied]


def migrate(address: Address, *, retention_days: int) -> list[Migration]:
    """Apply what is pending and set the retention (days; 0 keeps everything). Returns what was applied."""
    with translated():
        root = connect(address, database="")
        root.command("CREATE DATABASE IF NOT EXISTS {d:Identifier}", parameters={"d": address.database})
        client = connect(address)
        client.command(_LEDGER)
        todo = pending(address)
        for migration in todo:
            for statement in migration.statements():
                client.command(_as_run(statement))
            row = msgspec.json.encode((migration.number, migration.name, migration.checksum))
            insert_lines(client, insert_statement(client, "migrations", ("number", "name", "checksum")), [row])
        _retain(client, retention_days)
    return todo


def _as_run(statement: str) -> str:
    """So that a migration that was cut off in the middle can be applied again, and with the granules of FINE."""
    name = statement.removeprefix("CREATE TABLE ").split(" ", 1)[0]
    fine = f"\nSETTINGS index_granularity = {GRANULARITY}" if name in FINE else ""
    return (
        statement.replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ", 1).replace(
            "CREATE VIEW ", "CREATE OR REPLACE VIEW ", 1
        )
        + fine
    )


def _retain(client: Client, days: int) -> None:
    for table, age in RETAINED.items():
        has_ttl = " TTL " in str(client.command("SHOW CREATE TABLE {t:Identifier}", parameters={"t": table}))
        if days:
            client.command(f"ALTER TABLE {table} MODIFY TTL {age} + INTERVAL {int(days)} DAY")
        elif has_ttl:
            client.command(f"ALTER TABLE {table} REMOVE TTL")
