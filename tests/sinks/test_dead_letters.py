"""Which dead letters a person gets who asks for some of them."""

from __future__ import annotations

import base64

import pytest
from clickhouse_connect.driver.client import Client

from deploy.local.clickhouse import ClickHouse
from schemas.rows import DeadLetter
from schemas.words import Reason
from sinks.clickhouse.client import Address, connect
from sinks.clickhouse.dead_letters import Position, Wanted, dead_letters
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.store import ClickHouseStore

NOON = 1_790_000_000
"""Seconds; the letter of offset n came n seconds later, and half a second."""


@pytest.fixture(scope="module")
def letters(clickhouse: ClickHouse) -> Client:
    address = Address(port=clickhouse.port, database="letters")
    migrate(address, retention_days=0)
    client = connect(address)
    payload = base64.b64encode(b"?").decode()
    found = [
        DeadLetter("otlp_spans", 0, n, -1, (NOON + n) * 1_000_000 + 500_000, Reason.NOT_OTLP.value, "no", payload)
        for n in range(3)
    ]
    ClickHouseStore(client).write("dead_letters", [letter.line() for letter in found])
    return client


@pytest.mark.parametrize(
    ("wanted", "offsets"),
    [
        (Wanted(), [2, 1, 0]),
        (Wanted(start=NOON + 1), [2, 1]),
        (Wanted(end=NOON + 1), [0]),
        (Wanted(start=NOON + 1, end=NOON + 2), [1]),
        (Wanted(reason=Reason.NOT_OTLP.value, state="open"), [2, 1, 0]),
        (Wanted(reason=Reason.NO_IDENTITY.value), []),
        (Wanted(position=Position("otlp_spans", 0, 1)), [1]),
        (Wanted(position=Position("otlp_spans", 0, 1, 7)), []),
    ],
    ids=str,
)
def test_only_the_wanted_ones_are_found_the_newest_first(letters: Client, wanted: Wanted, offsets: list[int]) -> None:
    assert [row["offset"] for row in dead_letters(letters, wanted)] == offsets
