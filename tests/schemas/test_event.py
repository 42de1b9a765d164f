"""What the identity of an event and its place depend on."""

from __future__ import annotations

from collections import Counter

from schemas.event import FIELDS, HEAD, event_hash, partition_of
from schemas.message import Piece


def test_hashes_and_partitions_are_the_same_everywhere_and_for_ever() -> None:
    """They are in the tables: another function would count every event of the past again."""
    assert event_hash("0102:0304") == 0x4EEC_F89A_2454_5120
    assert [partition_of(task, 12) for task in ("T-1", "T-2", "", "\ud800")] == [8, 1, 10, 4]


def test_tasks_spread_over_the_partitions() -> None:
    counts = Counter(partition_of(f"task-{i}", 12) for i in range(12_000))
    assert set(counts) == set(range(12))
    assert max(counts.values()) < 1.2 * min(counts.values())


def test_what_events_have_in_common_is_at_their_end() -> None:
    assert FIELDS[-len(HEAD) :] == HEAD
    assert Piece.__struct_fields__ == (*HEAD, "events")
