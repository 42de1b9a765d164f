"""Which dead letters a person gets who asks for some of them."""

from __future__ import annotations

import base64

import pytest
from clickhouse_connect.driver.client import Client

from deploy.local.clickhouse import ClickHouse
from schemas.rows import DeadLetter, Replay
from schemas.words import Reason
from sinks.clickhouse.client import Address, connect
from sinks.clickhouse.dead_letters import Position, Wanted, counts, dead_letters, discard
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


AT = (NOON + 100) * 1_000_000
"""When they are discarded."""
HOSTILE = "o'); DROP TABLE discard_rows; -- \n\x1b[31m {at:Int64}"


@pytest.fixture
def some(clickhouse: ClickHouse) -> Client:
    """Of two records that no one can use, and of one that names no task."""
    address = Address(port=clickhouse.port, database="discarded")
    connect(address, database="").command("DROP DATABASE IF EXISTS discarded")
    migrate(address, retention_days=0)
    client = connect(address)
    reasons = {0: Reason.NOT_OTLP, 1: Reason.NOT_OTLP, 2: Reason.NO_IDENTITY}
    write(client, *(letter(n, reason) for n, reason in reasons.items()))
    return client


def letter(n: int, reason: Reason = Reason.NOT_OTLP, seconds: int = NOON, replayed: int = 0) -> DeadLetter:
    return DeadLetter("otlp_spans", 0, n, -1, seconds * 1_000_000, reason.value, "no", "", replayed)


def write(client: Client, *letters: DeadLetter) -> None:
    ClickHouseStore(client).write("dead_letters", [each.line() for each in letters])


def states(client: Client) -> dict[int, str]:
    return {row["offset"]: row["state"] for row in dead_letters(client, Wanted())}


@pytest.mark.parametrize(
    ("wanted", "offsets", "by_reason"),
    [
        (Wanted(reason="not_otlp"), {0, 1}, {"not_otlp": 2}),
        (Wanted(position=Position("otlp_spans", 0, 2)), {2}, {"no_identity": 1}),
        (Wanted(start=NOON), {0, 1, 2}, {"no_identity": 1, "not_otlp": 2}),
        (Wanted(end=NOON), set(), {}),
    ],
    ids=str,
)
def test_those_that_are_wanted_are_discarded_once(
    some: Client, wanted: Wanted, offsets: set[int], by_reason: dict[str, int]
) -> None:
    assert discard(some, wanted, "ada", "of a test", AT) == by_reason
    assert {n for n, state in states(some).items() if state == "discarded"} == offsets
    assert discard(some, wanted, "bob", "again", AT + 1) == {}
    assert sum(n for _, n, _ in counts(some)) == 3 - len(offsets)


def test_who_and_why_are_kept_as_they_were_said(some: Client) -> None:
    discard(some, Wanted(reason="no_identity"), HOSTILE, HOSTILE, AT)
    (row,) = dead_letters(some, Wanted(state="discarded"))
    assert (row["discarded_by"], row["discarded_why"]) == (HOSTILE, HOSTILE)
    assert states(some) == {0: "open", 1: "open", 2: "discarded"}


def test_a_discarded_one_is_open_again_when_a_copy_cannot_be_used_either_and_resolved_when_it_can(some: Client) -> None:
    discard(some, Wanted(), "ada", "of a test", AT)
    write(some, letter(0, replayed=AT + 1))
    ClickHouseStore(some).write("replays", [Replay("otlp_spans", 0, n, AT + 1).line() for n in (0, 1)])
    assert states(some) == {0: "open", 1: "resolved", 2: "discarded"}
    assert discard(some, Wanted(), "ada", "now", AT + 2) == {"not_otlp": 1}


def test_another_one_that_comes_to_its_place_is_open(some: Client) -> None:
    """As when a topic is made anew."""
    discard(some, Wanted(), "ada", "of a test", AT)
    write(some, letter(1, seconds=NOON + 50))
    assert states(some) == {0: "discarded", 1: "open", 2: "discarded"}
