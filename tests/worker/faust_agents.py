"""Agents whose batches a test handles, and the logs that they read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tests.worker.faust_log import FIRST, Log

TAKEN = 2
"""Messages of a batch."""


class Failed(Exception):
    """What an agent raises here."""


class Taker:
    """An agent: `handle` is called with each batch of its stream, by one of Faust's ways to take batches."""

    def __init__(self, way: str, handle: Callable[[Any, Any], Coroutine[Any, Any, None]]) -> None:
        self._way, self._handle = way, handle
        self.runs = self.returned = 0

    async def __call__(self, stream: Any) -> None:
        self.runs += 1
        if self._way == "async for":
            async for value in stream:
                await self._handle(stream, [value])
        else:
            async for batch in getattr(stream, self._way)(TAKEN, within=0.01):
                await self._handle(stream, batch)
        self.returned += 1


def agent(taker: Taker) -> Any:
    """A function of it, since Faust takes no other callable for an agent."""

    async def agent(stream: Any) -> None:
        await taker(stream)

    return agent


def log(messages: int) -> Log:
    """A partition with so many messages."""
    made = Log()
    made.append(FIRST, *(b"%d" % number for number in range(messages)))
    return made


def offsets(batch: Sequence[Any]) -> list[int]:
    return [event.message.offset for event in batch]


async def ack(stream: Any, batch: Sequence[Any]) -> None:
    for event in batch:
        await stream.ack(event)


async def holds(stream: Any) -> None:
    """An agent that acks nothing."""
    async for _ in stream.noack_take(TAKEN, within=0.01):
        pass
