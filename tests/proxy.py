"""A TCP proxy to put in front of a server, that can be told to misbehave."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Self, TypeVar

Result = TypeVar("Result")
CHUNK = 64 * 1024


class Proxy:
    """Forwards a loopback port to another: `with Proxy(8123) as proxy: proxy.port`. Thread-safe.

    With a TLS `context`, clients speak TLS to it, and it plain TCP to the server.
    """

    def __init__(self, target: int, context: ssl.SSLContext | None = None) -> None:
        self.target = target
        self.port = 0
        self.cuts = 0
        """How many connections `cut_after` has cut."""
        self._context = context
        self._delay = 0.0
        self._cut_after, self._cuts_left = 0, 0
        self._answer: bytes | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    # --- what it can be told ----------------------------------------------------------------------

    def pass_on(self) -> None:
        """Do as a proxy should, from now on."""
        self._run(self._pass_on())

    def refuse(self) -> None:
        """Cut every connection, and refuse new ones."""
        self._run(self._refuse())

    def hang(self) -> None:
        """Accept everything and forward nothing, until `pass_on`."""
        self._run(self._hang())

    def answer(self, status: str, body: str = "") -> None:
        """Answer every HTTP request by oneself: `500 Internal Server Error`."""
        text = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        self._run(self._give(text.encode()))

    def delay(self, seconds: float) -> None:
        """Hold back every chunk for so long."""
        self._delay = seconds

    def cut_after(self, size: int, times: int = 1) -> None:
        """Cut the next connections on which a client sends more than `size` bytes, in the middle."""
        self._cut_after, self._cuts_left = size, times

    # --- running ----------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, what: Coroutine[Any, Any, Result]) -> Result:
        future: Future[Result] = asyncio.run_coroutine_threadsafe(what, self._loop)
        return future.result(30)

    async def _listen(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _pass_on(self) -> None:
        self._delay, self._cuts_left, self._answer = 0.0, 0, None
        self._flowing.set()
        if not self._server.is_serving():
            await self._listen()

    async def _refuse(self) -> None:
        self._server.close()
        self._abort()

    async def _end(self) -> None:
        await self._refuse()
        serving = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in serving:
            task.cancel()
        await asyncio.wait(serving or [asyncio.create_task(asyncio.sleep(0))])

    async def _hang(self) -> None:
        self._flowing.clear()

    async def _give(self, answer: bytes) -> None:
        self._answer = answer
        self._abort()

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = {writer}
        self._writers.add(writer)
        try:
            if self._answer is not None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer)
                await writer.drain()
                return
            upstream, downstream = await asyncio.open_connection("127.0.0.1", self.target)
            writers.add(downstream)
            self._writers.add(downstream)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, downstream, writers, from_client=True))
                pumps.create_task(self._pump(upstream, writer, writers, from_client=False))
        except* (OSError, asyncio.IncompleteReadError):
            pass  # one of the two has gone
        finally:
            self._writers -= writers
            for each in writers:
                each.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        both: set[asyncio.StreamWriter],
        *,
        from_client: bool,
    ) -> None:
        sent = 0
        while chunk := await reader.read(CHUNK):
            await self._flowing.wait()
            await asyncio.sleep(self._delay)
            sent += len(chunk)
            if from_client and self._cuts_left and sent > self._cut_after:
                self._cuts_left -= 1
                self.cuts += 1
                for each in both:
                    _reset(each)
                return
            writer.write(chunk)
            await writer.drain()
        for each in both:
            each.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close without the rest: the other side sees a reset, as when a machine has gone."""
    found = writer.get_extra_info("socket")
    if found is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()
