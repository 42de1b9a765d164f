"""ClickHouse: does it answer, may we do what we must, do the clocks agree, is there a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from clickhouse_connect.driver.client import Client

from pipeline.config import Settings
from pipeline.connections import address_of, client_of
from pipeline.doctor.check import Check, judged
from pipeline.doctor.telemetry import telemetry
from sinks.clickhouse.client import translated
from sinks.clickhouse.dead_letters import counts
from sinks.clickhouse.migrate import pending
from sinks.clickhouse.reads import dictionaries
from sinks.clickhouse.store import TABLES
from sinks.port import Barred, Refused, Transient, Unable

CLOCK_SECONDS = 2.0
"""How far the clocks of this machine and of ClickHouse may be apart."""


def clickhouse(settings: Settings, now: Callable[[], float], *, advice: bool = True) -> Iterator[Check]:
    """ClickHouse and its tables; with `advice` also what is in them."""
    address = address_of(settings)
    try:
        todo = pending(address)
        yield Check("ClickHouse", True, str(address))
        if todo:
            yield Check("migrations", False, f"{len(todo)} pending", "run `trueup migrate`")
            return
        yield Check("migrations", True, "up to date")
        client = client_of(settings)
        yield _rights(client, settings)
        yield _clocks(client, now)
        yield _worker(client, settings, now)
        if advice:
            yield from _dead_letters(client)
            yield from telemetry(client, now())
    except Refused as error:
        yield Check("ClickHouse", False, str(error), "restore the migration file")
    except Barred as error:
        yield Check("ClickHouse", False, error.why, error.fix)
    except Unable as error:
        yield Check("ClickHouse", False, f"{address} could not do it ({error})", error.fix)
    except Transient as error:
        yield Check(
            "ClickHouse", False, f"{address} does not answer ({error})", "start it (`trueup up`), or set clickhouse.url"
        )


def _rights(client: Client, settings: Settings) -> Check:
    """Whether the user may read and append. The names are our own; the configuration checks the database's."""
    database, user = settings.clickhouse.database, settings.clickhouse.user
    with translated():
        refused = [
            table
            for table, _ in TABLES.values()
            if not int(str(client.command(f"CHECK GRANT SELECT, INSERT ON `{database}`.`{table}`")))
        ]
    found = f"{user} may not read and append to {', '.join(refused)}" if refused else f"{user} may read and append"
    return judged("rights", not refused, found, f"GRANT SELECT, INSERT ON {database}.* TO {user}")


def _clocks(client: Client, now: Callable[[], float]) -> Check:
    before = now()
    (row,) = dictionaries(client, "SELECT toFloat64(now64(6)) AS at")
    apart = abs(row["at"] - (before + now()) / 2)
    return judged("clocks", apart < CLOCK_SECONDS, f"{apart:.3f} s apart", "synchronise them (NTP)")


def _worker(client: Client, settings: Settings, now: Callable[[], float]) -> Check:
    sql = "SELECT count() AS n, max(received) / 1e6 AS last FROM envelope_rows"  # what is there twice changes neither
    (row,) = dictionaries(client, sql)
    if not row["n"]:
        return Check("worker", False, "nothing has been folded yet", "start a worker (`trueup worker`)")
    silent = now() - row["last"]
    fine = silent < max(30.0, settings.worker.clock * 6)
    return judged("worker", fine, f"last folded {silent:.0f} s ago", "is a worker running? See its /readyz")


def _dead_letters(client: Client) -> Iterator[Check]:
    for reason, still_open, resolved in counts(client):
        told = f"{still_open} open, {resolved} resolved"
        fix = f"see `trueup deadletter list --reason {reason}`" if still_open else ""
        yield Check(f"dead letters: {reason}", True, told, fix)
