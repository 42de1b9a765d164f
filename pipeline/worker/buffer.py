"""Faust's buffer between Kafka and a stage, bounded by bytes as well as by messages.

Faust counts messages. A message may have a megabyte, so that while ClickHouse is away its thousands would be
gigabytes, and the worker be killed for its memory just then.
"""

from __future__ import annotations

from typing import Any

import faust
from mode.utils.queues import ThrowableQueue

BYTES = 64 * 1024 * 1024
"""At 80% of this Faust stops to fetch a partition; what is fetched already, 8 MB a partition, still comes."""


class Buffer(ThrowableQueue):  # type: ignore[misc]
    """A queue of events that is under pressure when it holds many messages, or many bytes."""

    _bytes = 0
    maxsize: int

    def qsize(self) -> int:
        """The number of messages, or what the bytes are worth of it."""
        return max(len(self._queue), self._bytes * self.maxsize // BYTES)

    def full(self) -> bool:
        """Only by messages: Faust stops to deliver to every stage while one is full."""
        return self.maxsize > 0 and len(self._queue) >= self.maxsize

    def clear(self) -> None:
        super().clear()
        self._bytes = 0

    def _put(self, item: Any) -> None:
        super()._put(item)
        self._bytes += _size(item)

    def _get(self) -> Any:
        item = super()._get()
        self._bytes -= _size(item)
        return item


def _size(item: Any) -> int:
    message = getattr(item, "message", None)
    return len(message.value or b"") if message is not None else 0


class BufferedApp(faust.App):  # type: ignore[misc]
    """A Faust app with such buffers."""

    def FlowControlQueue(self, maxsize: int | None = None, *, clear_on_resume: bool = False) -> Buffer:  # noqa: N802
        """What Faust makes its buffers with."""
        return Buffer(maxsize=maxsize, flow_control=self.flow_control, clear_on_resume=clear_on_resume)
