"""Dead letters as people ask for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from clickhouse_connect.driver.client import Client

from sinks.clickhouse.client import translated
from sinks.clickhouse.reads import dictionaries

OPEN, RESOLVED, DISCARDED = "open", "resolved", "discarded"
"""States. Resolved: a copy of its message was normalised later, and this was no dead letter of it. Discarded: a person
said that it will not be mended, after it came last."""

COLUMNS = """topic, partition, offset, index, toUnixTimestamp64Micro(received) AS received_us, received,
    reason, detail, records, state, replayed, discarded, discarded_by, discarded_why"""


@dataclass(frozen=True)
class Position:
    """Where a dead letter is in Kafka. `index`: which record of its message; -1 is the whole message, None any."""

    topic: str
    partition: int
    offset: int
    index: int | None = None

    @classmethod
    def parse(cls, text: str) -> Position:
        """`topic/partition/offset`, or `topic/partition/offset/index`. Raises ValueError."""
        topic, *numbers = text.split("/")
        try:
            return cls(topic, *map(int, numbers))
        except (TypeError, ValueError):
            raise ValueError(
                f"{text!r} is no position; write TOPIC/PARTITION/OFFSET or TOPIC/PARTITION/OFFSET/INDEX, "
                "as `trueup deadletter list` does"
            ) from None

    def __str__(self) -> str:
        index = () if self.index is None else (self.index,)
        return "/".join(map(str, (self.topic, self.partition, self.offset, *index)))


@dataclass(frozen=True)
class Wanted:
    """Which dead letters. Times in seconds since the epoch, of their messages' Kafka timestamps."""

    reason: str | None = None
    start: int | None = None
    end: int | None = None
    position: Position | None = None
    state: str | None = None


def dead_letters(
    client: Client, wanted: Wanted, *, limit: int | None = None, payload: bool = False
) -> list[dict[str, Any]]:
    """Dead letters as dictionaries, the newest first: COLUMNS, and the payload (Base64) if it is wanted."""
    where, parameters = _condition(wanted)
    sql = f"SELECT {COLUMNS}{', payload' if payload else ''} FROM dead_letters WHERE {where} "  # noqa: S608 - our own words
    sql += "ORDER BY received DESC, topic, partition, offset, index"
    if limit is not None:
        sql += " LIMIT {limit:UInt32}"
        parameters["limit"] = limit
    return dictionaries(client, sql, parameters)


def discard(client: Client, wanted: Wanted, by: str, why: str, at: int) -> dict[str, int]:
    """Those that are open, and wanted, will not be mended: reason -> how many. `at`: microseconds since the epoch."""
    where, parameters = _condition(replace(wanted, state=OPEN))
    parameters |= {"at": at, "by": by, "why": why}
    with translated():
        client.command(
            f"""INSERT INTO discard_rows
            SELECT topic, partition, offset, index, toUnixTimestamp64Micro(received), {{at:Int64}}, {{by:String}},
                {{why:String}}
            FROM dead_letters WHERE {where}""",  # noqa: S608 - our own words
            parameters=parameters,
        )
    done = """SELECT reason, count() AS n FROM dead_letters
        WHERE state = {state:String} AND toUnixTimestamp64Micro(discarded) = {at:Int64} AND discarded_by = {by:String}
        GROUP BY reason ORDER BY reason"""
    found = dictionaries(client, done, {"state": DISCARDED, "at": at, "by": by})
    return {row["reason"]: row["n"] for row in found}


def _condition(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """The condition on `dead_letters`, and the values that it takes as parameters."""
    terms, parameters = ["1"], dict[str, Any]()

    def only(term: str, **values: Any) -> None:
        terms.append(term)
        parameters.update(values)

    if wanted.reason is not None:
        only("reason = {reason:String}", reason=wanted.reason)
    if wanted.state is not None:
        only("state = {state:String}", state=wanted.state)
    if wanted.start is not None:
        only("received >= toDateTime({start:UInt32}, 'UTC')", start=wanted.start)
    if wanted.end is not None:
        only("received < toDateTime({end:UInt32}, 'UTC')", end=wanted.end)
    if wanted.position is not None:
        at = wanted.position
        only("topic = {topic:String} AND partition = {partition:UInt16}", topic=at.topic, partition=at.partition)
        only("offset = {offset:UInt64}", offset=at.offset)
        if at.index is not None:
            only("index = {index:Int32}", index=at.index)
    return " AND ".join(terms), parameters


def position_of(row: dict[str, Any]) -> Position:
    """The position of a row."""
    return Position(row["topic"], row["partition"], row["offset"], row["index"])


def counts(client: Client) -> list[tuple[str, int, int]]:
    """(reason, open, resolved) of every reason there is, in their order."""
    sql = """SELECT reason, countIf(state = 'open') AS open, countIf(state = 'resolved') AS resolved
        FROM dead_letters GROUP BY reason ORDER BY reason"""
    return [(row["reason"], row["open"], row["resolved"]) for row in dictionaries(client, sql)]
