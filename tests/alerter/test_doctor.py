"""What the doctor reads of what the agents sent, and what the alerter asks of it."""

from __future__ import annotations

from clickhouse_connect.driver.client import Client

from deploy.local.clickhouse import ClickHouse
from pipeline.config import Settings
from pipeline.doctor import examine
from pipeline.doctor.telemetry import DAYS, telemetry
from sinks.clickhouse.client import connect
from sinks.clickhouse.store import ClickHouseStore
from tests.database import emptied
from tests.objectives.samples import NOW, row

DAY = 1_440


def finding(client: Client, now: int = NOW) -> str:
    return next(check.finding for check in telemetry(client, now * 60.0) if check.name == "cost")


def unpriced(*minutes: int) -> list[bytes]:
    return [row(f"task-{at}", minute, unpriced=1).line() for at, minute in enumerate(minutes)]


def test_advice_is_about_the_last_days_and_of_old_telemetry_about_its_last_days(client: Client) -> None:
    store, old = ClickHouseStore(client), NOW - 300 * DAY
    store.write("tasks", unpriced(old, old - DAY, old - (DAYS + 1) * DAY))
    assert finding(client).startswith("2 of 2 finished tasks")
    store.write("tasks", [row("new", NOW - 1).line(), row("of a wrong clock", NOW + 900 * DAY).line()])
    assert finding(client).startswith("0 of 2 finished tasks")


def test_the_alerter_has_nothing_examined_that_it_does_not_use(clickhouse: ClickHouse) -> None:
    address = emptied(clickhouse, "doctor")
    ClickHouseStore(connect(address)).write("tasks", unpriced(NOW))
    settings = Settings(
        kafka={"bootstrap": "127.0.0.1:1"},  # type: ignore[arg-type]
        clickhouse={"url": clickhouse.url, "database": address.database},  # type: ignore[arg-type]
    )
    names = [check.name for check in examine(settings, lambda: NOW * 60.0, advice=False)]
    assert names == ["Kafka", "ClickHouse", "migrations", "rights", "clocks", "worker"]
    every = [check.name for check in examine(settings, lambda: NOW * 60.0)]
    assert every[: len(names)] == names
    assert "cost" in every
