"""A TCP proxy of our own between the workers and what they talk to: it can cut connections, and delay them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self, TypeVar

Result = TypeVar("Result")
HOST = "127.0.0.1"
_CHUNK = 64 * 1024
_UNDERWAY = 256
"""Chunks held back in one direction of a connection."""
_RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"
"""SO_LINGER of 0 s: the other side sees a reset, as when a machine has gone."""


class Network:
    """Runs proxies in a thread: `with Network() as network: network.proxy(8123).port`."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def proxy(self, target: int) -> Proxy:
        """A proxy from a free loopback port to the loopback port `target`."""
        proxy = Proxy(target, self._loop)
        proxy.port = self._run(proxy.listen())
        return proxy

    def _run(self, what: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    async def _end(self) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


class Proxy:
    """Forwards one port to another. Made by `Network.proxy`; thread-safe."""

    def __init__(self, target: int, loop: asyncio.AbstractEventLoop) -> None:
        self.port = 0
        self.sent = 0
        """Bytes that clients have sent."""
        self._target, self._loop = target, loop
        self._delay = 0.0
        self._writers: set[asyncio.StreamWriter] = set()

    def delay(self, seconds: float) -> None:
        """Every byte comes so much later, from now on."""
        self._delay = seconds

    def cut(self) -> None:
        """Reset every connection there is. New ones are served."""
        self._loop.call_soon_threadsafe(self._cut)

    async def listen(self) -> int:
        """Start to serve; the port."""
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def _cut(self) -> None:
        for writer in list(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        both = {writer}
        self._writers |= both
        try:
            upstream, downstream = await asyncio.open_connection(HOST, self._target)
            both.add(downstream)
            self._writers |= both
            pumps = (self._pump(reader, downstream, from_client=True), self._pump(upstream, writer, from_client=False))
            await _first(*pumps)
        except OSError:
            _reset(writer)  # nobody is there
        finally:
            self._writers -= both
            for each in both:
                each.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_client: bool) -> None:
        """Forward one direction until it ends."""
        underway: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDERWAY)
        await _first(self._take(reader, underway, from_client), self._give(writer, underway))

    async def _take(
        self, reader: asyncio.StreamReader, underway: asyncio.Queue[tuple[float, bytes]], from_client: bool
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            self.sent += len(chunk) if from_client else 0
            await underway.put((self._loop.time() + self._delay, chunk))
        await underway.put((self._loop.time() + self._delay, b""))
        await asyncio.Event().wait()  # `_give` ends the pump, once all is through

    async def _give(self, writer: asyncio.StreamWriter, underway: asyncio.Queue[tuple[float, bytes]]) -> None:
        while True:
            due, chunk = await underway.get()
            if (wait := due - self._loop.time()) > 0:
                await asyncio.sleep(wait)
            if not chunk:
                return
            writer.write(chunk)
            await writer.drain()


async def _first(*works: Coroutine[Any, Any, None]) -> None:
    """Return when the first of them ends, however, after the others have been ended too."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(OSError, asyncio.CancelledError):
                await task


def _reset(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    if found is not None:
        with suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
