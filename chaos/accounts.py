"""Where everything went that was sent: it landed, it had landed before, or it is a dead letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from clickhouse_connect.driver.client import Client

from chaos.ledger import Ledger, Place
from sinks.clickhouse.client import select_lines, translated

Hashes = npt.NDArray[np.uint64]


class Accounts(NamedTuple):
    """sent = landed + duplicates + dead_letters + lost + lost_poison."""

    sent: int
    landed: int
    """Distinct events that were sent and are in ClickHouse."""
    duplicates: int
    """Times that one of them was sent again."""
    dead_letters: int
    """Records of poison that are dead letters, each at its own place."""
    lost: int
    """Times that an event was sent that is not in ClickHouse."""
    lost_poison: int
    """Records of poison of which nothing tells."""
    unsent: int
    """Events in ClickHouse that nobody sent."""
    unpoisoned: int
    """Dead letters of what was no poison."""

    @property
    def wrong(self) -> int:
        """What must be zero."""
        return self.lost + self.lost_poison + self.unsent + self.unpoisoned


def settle(ledger: Ledger, landed: Hashes, dead: Mapping[Place, str]) -> Accounts:
    """`landed`: the hashes of the events in ClickHouse; `dead`: the places of its dead letters, and what they hold.

    A producer that sent a message again may have put it into the log twice: a dead letter more that holds what one of
    the poison's holds is such a copy.
    """
    sent = np.frombuffer(ledger.events, dtype=np.uint64)
    distinct, times = np.unique(sent, return_counts=True)
    is_landed = np.isin(distinct, landed)
    there, told = int(is_landed.sum()), int(times[is_landed].sum())
    poisoned = ledger.dead & dead.keys()
    known = {dead[place] for place in poisoned}
    made = np.fromiter(ledger.links, dtype=np.uint64, count=len(ledger.links))
    unasked = np.setdiff1d(np.setdiff1d(landed, distinct), made)
    return Accounts(
        sent=ledger.sent,
        landed=there,
        duplicates=told - there,
        dead_letters=len(poisoned),
        lost=len(sent) - told,
        lost_poison=ledger.poison - len(poisoned),
        unsent=len(unasked),
        unpoisoned=sum(held not in known for place, held in dead.items() if place not in poisoned),
    )


def landed_hashes(client: Client) -> Hashes:
    """Of every event in ClickHouse; an event that a trace sent on to its task is there under both."""
    with translated():
        answer = client.raw_query("SELECT DISTINCT hash FROM raw_events", fmt="RowBinary")
    return np.frombuffer(answer, dtype="<u8")


def dead_places(client: Client) -> dict[Place, str]:
    """Of every dead letter in ClickHouse, with what it holds: its record, reason and payload."""
    sql = (
        """SELECT topic, partition, offset, index, concat(topic, toString(index), reason, payload) FROM dead_letters"""
    )
    rows = (msgspec.json.decode(line) for line in select_lines(client, sql))
    return {Place(*place): held for *place, held in rows}
