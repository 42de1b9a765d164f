"""Whatever is done to real telemetry: each record becomes events that the log takes, is foreign, or a dead letter."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.normalise.normaliser import Normaliser, Packed
from schemas.words import Kind, Reason
from tests.captures import measured
from tests.captures.measured import RECEIVED
from tests.captures.mutate import Pool
from tests.events import sent

POOL = Pool()
NORMALISER = Normaliser(measured.settings(privacy={"allow": ["metadata", "session.id"]}, limits={"attributes": 25}))
seeds = st.integers(0, 2**64 - 1)


def check(topic: str, payload: bytes) -> Packed:
    packed = Packed()
    NORMALISER.add(packed, topic, 0, 0, RECEIVED, payload)
    found = sent(packed)
    assert sum(event.kind != Kind.LINK for event in found) == packed.counts["events"]
    whole = sum(dead.index == -1 for dead in packed.dead_letters)
    dead = len(packed.dead_letters) - whole
    assert not (whole and packed.counts["records"])
    # a record is several events at most where it carries judgements
    judged = sum("#" in event.event_id for event in found)
    assert packed.counts["records"] <= packed.counts["events"] + packed.counts["foreign"] + dead
    assert packed.counts["events"] + packed.counts["foreign"] + dead <= packed.counts["records"] + judged
    assert {letter.reason for letter in packed.dead_letters} <= set(Reason)
    assert all(letter.line() for letter in packed.dead_letters)
    return packed


@given(seeds)
@settings(max_examples=400, deadline=None)
def test_damaged_records(seed: int) -> None:
    check(*POOL.damaged_record(seed))


@given(seeds)
@settings(max_examples=150, deadline=None)
def test_damaged_bytes(seed: int) -> None:
    check(*POOL.damaged_bytes(seed))


def test_the_damage_does_something() -> None:
    """Most damaged records are still events; every reason that one record can have for not being one occurs."""
    became: Counter[str] = Counter()
    for seed in range(3_000):
        packed = check(*POOL.damaged_record(seed))
        became["events"] += bool(packed.counts["events"])
        became.update(letter.reason for letter in packed.dead_letters)
    assert became["events"] > 1_000
    expected = {Reason.NOT_OTLP, Reason.NO_IDENTITY, Reason.INVALID_ATTRIBUTE, Reason.TIME_OUT_OF_RANGE}
    assert expected | {Reason.UNKNOWN_EVENT, Reason.LIMIT_EXCEEDED} <= became.keys()


@pytest.mark.long
@given(seeds)
@settings(max_examples=100_000, deadline=None)
def test_damaged_records_for_long(seed: int) -> None:
    check(*POOL.damaged_record(seed))


@pytest.mark.long
@given(seeds)
@settings(max_examples=20_000, deadline=None)
def test_damaged_bytes_for_long(seed: int) -> None:
    check(*POOL.damaged_bytes(seed))
