"""Migrations: ordered, known by their checksums, applied once; a changed one is refused."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from deploy.local.clickhouse import ClickHouse
from sinks.clickhouse import migrate as migrations
from sinks.clickhouse.client import Address, connect
from sinks.clickhouse.migrate import RETAINED, Migration, known, migrate, pending
from sinks.port import Refused
from tests.command import Trueup


@pytest.fixture(scope="module")
def server() -> Iterator[ClickHouse]:
    with ClickHouse() as clickhouse:
        yield clickhouse


@pytest.fixture
def address(server: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    """A database that does not exist yet; the configuration names it."""
    name = f"test_{uuid.uuid4().hex}"
    monkeypatch.setenv("TRUEUP_CLICKHOUSE__URL", server.url)
    monkeypatch.setenv("TRUEUP_CLICKHOUSE__DATABASE", name)
    place = Address(host=server.host, port=server.port, database=name)
    yield place
    connect(place, database="").command("DROP DATABASE IF EXISTS {d:Identifier} SYNC", parameters={"d": name})


def tables(address: Address) -> set[str]:
    sql = "SELECT name FROM system.tables WHERE database = {d:String}"
    rows = connect(address, database="").query(sql, parameters={"d": address.database}).result_rows
    return {name for (name,) in rows}


def created(address: Address, table: str) -> str:
    return str(connect(address).command("SHOW CREATE TABLE {t:Identifier}", parameters={"t": table}))


def test_they_are_numbered_from_1_without_a_gap() -> None:
    assert [m.number for m in known()] == list(range(1, len(known()) + 1))


def test_all_are_applied_in_order_and_then_none(trueup: Trueup, address: Address) -> None:
    done = trueup("migrate")
    assert (done.code, done.out) == (0, "")
    applied = [f"applied {m.number:04}_{m.name}" for m in known()]
    assert done.err.splitlines() == [*applied, f"{address} is up to date"]
    assert tables(address) >= {"migrations", "raw_events", "window_rows", "task_rows", "events", "windows", "tasks"}

    again = trueup("migrate")
    assert (again.code, again.err.splitlines()) == (0, [f"{address} is up to date"])
    ledger = connect(address).query("SELECT number, name, checksum FROM migrations FINAL ORDER BY number").result_rows
    assert ledger == [(m.number, m.name, m.checksum) for m in known()]


def test_a_dry_run_prints_the_sql_and_changes_nothing(trueup: Trueup, address: Address) -> None:
    done = trueup("migrate", "--dry-run")
    assert (done.code, done.err) == (0, "")
    for migration in known():
        assert f"-- {migration.number:04}_{migration.name}\n{migration.sql}" in done.out
    assert tables(address) == set()
    migrate(address, retention_days=0)
    assert trueup("migrate", "--dry-run").out == ""


def test_one_that_was_changed_after_it_was_applied_is_refused(
    trueup: Trueup, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(address, retention_days=0)
    first, *rest = known()
    changed = Migration(first.number, first.name, first.sql + "-- and more\n")
    monkeypatch.setattr(migrations, "known", lambda: [changed, *rest])
    for dry in ([], ["--dry-run"]):
        done = trueup("migrate", *dry)
        assert (done.code, done.out) == (2, "")
        assert "migration 0001_tables was changed after it was applied; restore the file" in done.err
    with pytest.raises(Refused):
        pending(address)


def test_one_that_was_cut_off_is_finished(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a crash: some of its statements are in, and the ledger knows nothing of it."""
    connect(address, database="").command("CREATE DATABASE {d:Identifier}", parameters={"d": address.database})
    for statement in list(known()[0].statements())[:2]:
        connect(address).command(statement)
    assert [m.number for m in migrate(address, retention_days=0)] == [m.number for m in known()]
    assert pending(address) == []


def _with_large_granules(address: Address) -> None:
    """The tables as the files alone make them, with rows: two of one task, one not merged yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "FINE", ())
        migrate(address, retention_days=0)
    client = connect(address)
    client.command("INSERT INTO task_rows (task_id, seq, claim) VALUES ('a', 1, ''), ('a', 2, 'success'), ('b', 1, '')")
    client.command("INSERT INTO raw_events (task_id, seq, hash) VALUES ('a', 1, 7)")
    client.command("INSERT INTO raw_events (task_id, seq, hash) VALUES ('a', 9, 7)")


def _rows(address: Address) -> list[list[tuple[object, ...]]]:
    tasks = "SELECT task_id, seq, claim FROM task_rows FINAL ORDER BY task_id"
    events = "SELECT task_id, seq, hash FROM raw_events FINAL"
    return [list(map(tuple, connect(address).query(sql).result_rows)) for sql in (tasks, events)]


@pytest.mark.parametrize("steps", range(6))
def test_tables_with_large_granules_are_made_anew_with_their_rows_wherever_that_is_cut_off(
    address: Address, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    _with_large_granules(address)
    before, done = _rows(address), []
    kind = type(connect(address))
    command = kind.command

    def cut_off(client: Client, statement: str, *args: Any, **given: Any) -> Any:
        if "_to_be_copied" in str(given):
            done.append(statement)
            if len(done) > steps:
                raise KeyboardInterrupt
        return command(client, statement, *args, **given)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "command", cut_off)
        with pytest.raises(KeyboardInterrupt):
            migrate(address, retention_days=0)
    migrate(address, retention_days=0)
    for table in migrations.FINE:
        assert f"index_granularity = {migrations.GRANULARITY}" in created(address, table)
    assert _rows(address) == before == [[("a", 2, "success"), ("b", 1, "")], [("a", 1, 7)]]
    assert not [name for name in tables(address) if "copied" in name]


def test_a_new_one_is_applied_alone(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(address, retention_days=0)
    new = Migration(len(known()) + 1, "notes", "CREATE TABLE notes (`id` UInt8) ENGINE = MergeTree ORDER BY id;\n")
    every = [*known(), new]
    monkeypatch.setattr(migrations, "known", lambda: every)
    assert migrate(address, retention_days=0) == [new]
    assert "notes" in tables(address)


def test_every_table_with_rows_of_telemetry_is_kept_for_so_long_and_no_longer(address: Address) -> None:
    migrate(address, retention_days=30)
    for table in RETAINED:
        assert "toIntervalDay(30)" in created(address, table)
    migrate(address, retention_days=7)
    for table in RETAINED:
        assert "toIntervalDay(7)" in created(address, table)
        assert "toIntervalDay(30)" not in created(address, table)
    migrate(address, retention_days=0)
    for table in RETAINED:
        assert " TTL " not in created(address, table)


def test_comments_and_semicolons_end_no_statement_early() -> None:
    sql = "-- one; two\nCREATE TABLE a (x String DEFAULT ';'\n) ENGINE = Null;\n\n-- three\nCREATE TABLE b;\n"
    assert [s.split()[2] for s in Migration(1, "m", sql).statements()] == ["a", "b"]
