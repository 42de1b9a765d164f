"""TCP proxies of our own, to put in front of what a worker talks to: they cut, delay, refuse, and answer themselves."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self, TypeVar

from deploy.local.process import free_port

Result = TypeVar("Result")
HOST = "127.0.0.1"
_CHUNK = 64 * 1024
_UNDERWAY = 256
"""Chunks held back in one direction of a connection."""
_RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"
"""SO_LINGER of 0 s: the other side sees a reset, as when a machine has gone."""
_ANSWER_SECONDS = 30


class Network:
    """Runs proxies in a thread: `with Network() as network: network.proxy(8123).port`."""

    def __init__(self) -> None:
        self._proxies: list[Proxy] = []

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for proxy in self._proxies:
            proxy.refuse()
        _run(self._end(), self._loop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def proxy(self, target: int, context: ssl.SSLContext | None = None) -> Proxy:
        """A proxy from a free loopback port to the loopback port `target`.

        With a TLS `context`, clients speak TLS to it, and it plain TCP to the server.
        """
        proxy = Proxy(target, self._loop, context)
        proxy.pass_on()
        self._proxies.append(proxy)
        return proxy

    async def _end(self) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


@contextmanager
def proxied(target: int, context: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """One proxy, for `with`."""
    with Network() as network:
        yield network.proxy(target, context)


class Proxy:
    """Forwards one port to another. Made by `Network.proxy`; thread-safe."""

    def __init__(self, target: int, loop: asyncio.AbstractEventLoop, context: ssl.SSLContext | None) -> None:
        self.port = free_port(HOST)
        self.sent = 0
        """Bytes that clients have sent."""
        self.cuts = 0
        """How many connections `cut_after` has cut."""
        self._target, self._loop, self._context = target, loop, context
        self._delay = 0.0
        self._cut_after, self._cuts_left = 0, 0
        self._answer: bytes | None = None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def pass_on(self) -> None:
        """Do as a proxy should, from now on."""
        _run(self._pass_on(), self._loop)

    def delay(self, seconds: float) -> None:
        """Every byte comes so much later, from now on."""
        self._delay = seconds

    def cut(self) -> None:
        """Reset every connection there is. New ones are served."""
        self._loop.call_soon_threadsafe(self._cut)

    def cut_after(self, size: int, times: int = 1) -> None:
        """Reset the next connections on which a client sends more than `size` bytes, in the middle."""
        self._cut_after, self._cuts_left = size, times

    def refuse(self) -> None:
        """Reset every connection, and refuse new ones, until `pass_on`."""
        _run(self._refuse(), self._loop)

    def answer(self, status: str, body: str = "") -> None:
        """Answer every HTTP request by oneself, `500 Internal Server Error`, until `pass_on`."""
        text = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        self._answer = text.encode()
        self.cut()

    async def _pass_on(self) -> None:
        self._delay, self._cuts_left, self._answer = 0.0, 0, None
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, HOST, self.port, ssl=self._context)

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._cut()

    def _cut(self) -> None:
        _reset_all(self._writers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        both = {writer}
        self._writers |= both
        try:
            if self._answer is not None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer)
                await writer.drain()
                return
            upstream, downstream = await asyncio.open_connection(HOST, self._target)
            both.add(downstream)
            self._writers |= both
            await _first(self._pump(reader, downstream, both), self._pump(upstream, writer, None))
        except (OSError, asyncio.IncompleteReadError):
            _reset_all(both)  # nobody is there
        finally:
            self._writers -= both
            for each in both:
                each.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, of_client: set[asyncio.StreamWriter] | None
    ) -> None:
        """Forward one direction until it ends. `of_client`: both sides of the connection, if a client sends here."""
        underway: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDERWAY)
        await _first(self._take(reader, underway, of_client), self._give(writer, underway))

    async def _take(
        self,
        reader: asyncio.StreamReader,
        underway: asyncio.Queue[tuple[float, bytes]],
        of_client: set[asyncio.StreamWriter] | None,
    ) -> None:
        taken = 0
        while chunk := await reader.read(_CHUNK):
            taken += len(chunk)
            if of_client is not None:
                self.sent += len(chunk)
                if self._cuts_left and taken > self._cut_after:
                    self._cuts_left, self.cuts = self._cuts_left - 1, self.cuts + 1
                    _reset_all(of_client)
                    return
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


def _run(what: Coroutine[Any, Any, Result], loop: asyncio.AbstractEventLoop) -> Result:
    return asyncio.run_coroutine_threadsafe(what, loop).result(_ANSWER_SECONDS)


def _reset_all(writers: Iterable[asyncio.StreamWriter]) -> None:
    for writer in list(writers):
        found = writer.get_extra_info("socket")
        if found is not None:
            with suppress(OSError):
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
