"""Splitting a batch into requests that a broker accepts."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from trueup.drops import DropReason
from trueup.splitting import Piece, pieces_of


class JsonRequest:
    """Stands for a protobuf request: the items as JSON, behind a header that every request repeats."""

    def __init__(self, items: Sequence[str]) -> None:
        if "unencodable" in items:
            raise TypeError("cannot be written")
        self._bytes = b"HEADER" + json.dumps(list(items)).encode()

    def ByteSize(self) -> int:  # noqa: N802 - protobuf's name
        return len(self._bytes)

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        return self._bytes


class Dropped:
    def __init__(self) -> None:
        self.reasons: list[DropReason] = []
        self.details: list[str] = []

    def __call__(self, reason: DropReason, count: int, detail: str) -> None:
        self.reasons += [reason] * count
        self.details.append(detail)


def items_in(pieces: list[Piece]) -> list[list[str]]:
    return [json.loads(piece.payload.removeprefix(b"HEADER")) for piece in pieces]


words = st.text(st.characters(min_codepoint=97, max_codepoint=122), max_size=60) | st.just("unencodable")


@given(st.lists(words, max_size=40), st.integers(min_value=10, max_value=200))
def test_every_item_is_in_one_piece_or_dropped_for_a_reason_that_is_true_of_it(batch: list[str], limit: int) -> None:
    dropped = Dropped()
    pieces = pieces_of(batch, JsonRequest, limit, dropped)

    assert all(len(piece.payload) <= limit for piece in pieces)
    assert [len(items) for items in items_in(pieces)] == [piece.items for piece in pieces]

    def fits(item: str) -> bool:
        return item != "unencodable" and JsonRequest([item]).ByteSize() <= limit

    assert [item for items in items_in(pieces) for item in items] == [item for item in batch if fits(item)]
    expected = [
        DropReason.ENCODING if item == "unencodable" else DropReason.TOO_LARGE for item in batch if not fits(item)
    ]
    assert dropped.reasons == expected


@given(st.lists(st.text(max_size=20), min_size=1, max_size=40))
def test_a_batch_that_fits_stays_one_request(batch: list[str]) -> None:
    assert len(pieces_of(batch, JsonRequest, 1_000_000, Dropped())) == 1


def test_an_empty_batch_is_no_request() -> None:
    assert pieces_of([], JsonRequest, 100, Dropped()) == []


def test_the_reason_does_not_quote_what_could_not_be_encoded() -> None:
    dropped = Dropped()
    pieces_of(["unencodable"], JsonRequest, 100, dropped)
    assert dropped.details == ["TypeError"]
