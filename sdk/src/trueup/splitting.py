"""Turns a batch into requests that a broker accepts: an oversized request is halved until each piece fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from trueup.drops import DropReason

Item = TypeVar("Item")


class Request(Protocol):
    """An OTLP export request (a protobuf message)."""

    def ByteSize(self) -> int: ...  # noqa: N802 - protobuf's name

    def SerializeToString(self) -> bytes: ...  # noqa: N802 - protobuf's name


class Piece(NamedTuple):
    """A serialised request and the number of spans or log records in it."""

    payload: bytes
    items: int


def pieces_of(
    batch: Sequence[Item],
    encode: Callable[[Sequence[Item]], Request],
    limit: int,
    drop: Callable[[DropReason, int, str], None],
) -> list[Piece]:
    """The batch as requests of at most `limit` bytes, in order.

    An item that is too large alone, or that cannot be encoded, is passed to `drop` with the reason,
    and takes nothing else with it. Never raises.
    """
    if not batch:
        return []
    try:
        request = encode(batch)
        size = request.ByteSize()
        if size <= limit:
            return [Piece(request.SerializeToString(), len(batch))]
        reason, detail = DropReason.TOO_LARGE, f"{size} bytes in one item; the limit is {limit}"
    except Exception as error:  # noqa: BLE001 - one broken item must not take the batch, nor the agent, with it
        reason, detail = DropReason.ENCODING, type(error).__name__  # its text may quote content
    if len(batch) == 1:
        drop(reason, 1, detail)
        return []
    middle = len(batch) // 2
    return pieces_of(batch[:middle], encode, limit, drop) + pieces_of(batch[middle:], encode, limit, drop)
