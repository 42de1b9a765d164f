"""Migrations: ordered, known by their checksums, applied once; a changed one is refused."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

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


def test_tables_of_which_single_tasks_are_asked_for_have_small_granules(address: Address) -> None:
    migrate(address, retention_days=0)
    for table in ("task_rows", "raw_events"):
        assert "index_granularity = 256" in created(address, table)
    assert "index_granularity = 8192" in created(address, "window_rows")


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
