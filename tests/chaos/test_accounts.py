"""Every event that was sent is landed, a duplicate, or told as lost; every poison is a dead letter, or lost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.work import Work
from chaos.accounts import Accounts, settle
from chaos.ledger import Ledger, Outgoing, Place
from schemas.words import Kind

hashes = st.integers(0, 2**64 - 1)


class Answer(NamedTuple):
    topic: str
    partition: int
    offset: int


def ledger(events: list[int], dead: set[Place] | None = None) -> Ledger:
    made = Ledger()
    made.events.extend(events)
    for place in dead or set():
        made.poison += 1
        message = Outgoing(place.topic, place.partition, b"", (place.record,))
        made.acknowledged(message, Answer(place.topic, place.partition, place.offset))
    return made


def landed(*events: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(events, dtype=np.uint64)


POISON = Place("agent.actions", 1, 7, -1)


def test_all_is_well() -> None:
    found = settle(ledger([1, 2, 2, 3, 2**64 - 1], {POISON}), landed(3, 2, 1, 2**64 - 1), {POISON: "x"})
    assert found == Accounts(6, landed=4, duplicates=1, dead_letters=1, lost=0, lost_poison=0, unsent=0, unpoisoned=0)
    assert found.wrong == 0


def test_an_event_that_is_not_there_is_lost_as_often_as_it_was_sent() -> None:
    found = settle(ledger([1, 2, 2]), landed(1), {})
    assert (found.landed, found.duplicates, found.lost, found.wrong) == (1, 0, 2, 2)


def test_poison_of_which_nothing_tells_is_lost() -> None:
    found = settle(ledger([], {POISON}), landed(), {POISON._replace(offset=8): "x"})
    assert (found.dead_letters, found.lost_poison, found.unpoisoned) == (0, 1, 1)


def test_what_nobody_sent_is_told() -> None:
    assert settle(ledger([1]), landed(1, 5), {}).unsent == 1


def test_links_that_the_normaliser_makes_are_known() -> None:
    event = next(e for e in Work(1, 1_000_000, 1).events() if e.kind == Kind.MODEL_CALL)
    made = Ledger()
    made.note([event], over_otlp=True)
    (link,) = made.links
    assert settle(made, landed(event.hash, link), {}).wrong == 0


def test_a_copy_of_poison_that_the_producer_sent_again_is_known_by_what_it_holds() -> None:
    made, again = ledger([], {POISON}), POISON._replace(offset=8)
    assert settle(made, landed(), {POISON: "x", again: "x"}).unpoisoned == 0
    assert settle(made, landed(), {POISON: "x", again: "y"}).unpoisoned == 1
    assert settle(made, landed(), {again: "x"}).unpoisoned == 1


def test_the_end_of_a_partition_is_the_last_that_was_acknowledged() -> None:
    made = ledger([], {POISON, POISON._replace(offset=5), POISON._replace(topic="otlp_spans", offset=2)})
    assert {tp.topic: end for tp, end in made.reached(("agent.actions",)).items()} == {"agent.actions": 8}


@given(st.lists(hashes), st.sets(hashes))
def test_nothing_is_counted_twice_or_not_at_all(sent: list[int], there: set[int]) -> None:
    found = settle(ledger(sent), landed(*there), {})
    assert found.sent == len(sent) == found.landed + found.duplicates + found.lost
    assert found.landed == len(there & set(sent))
    assert found.unsent == len(there - set(sent))
