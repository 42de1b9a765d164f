"""An HTTP server on the loopback interface that answers as the test says, and keeps what it was sent."""

from __future__ import annotations

import json
import ssl
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Answer:
    """`hang` waits for the end of the server before it answers; `cut` answers nothing and closes the connection.

    `announced` is the length that the answer says it has; the server then never comes to its end.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang: bool = False
    cut: bool = False
    announced: int | None = None


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class HttpServer:
    """`with HttpServer() as server: server.url`. Answers are used up in order; after them it is always 200."""

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._answers = deque(answers)
        self._came = threading.Condition()
        self._over = threading.Event()
        self.requests: list[Request] = []

    def say(self, *answers: Answer) -> None:
        """More answers."""
        self._answers.extend(answers)

    def wait(self, wanted: Callable[[list[Request]], bool], seconds: float = 20.0) -> list[Request]:
        """The requests once they are as wanted; fails after `seconds`."""
        with self._came:
            assert self._came.wait_for(lambda: wanted(self.requests), seconds), f"these came: {self.requests}"
            return list(self.requests)

    def __enter__(self) -> Self:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server._answer(self)

            def log_message(self, *_: Any) -> None:
                """Not on the terminal."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that went away before it had its answer is what some tests are about."""

        self._http = Server(("127.0.0.1", 0), Handler)
        if self._tls is not None:
            self._http.socket = self._tls.wrap_socket(self._http.socket, server_side=True)
        self.port = self._http.server_address[1]
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        request = Request(handler.path, dict(handler.headers), body, handler.client_address[1])
        answer = self._answers.popleft() if self._answers else Answer()
        with self._came:
            self.requests.append(request)
            self._came.notify_all()
        if answer.hang:
            self._over.wait(30)
        if answer.hang or answer.cut:
            handler.close_connection = True
            return
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(answer.announced or len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)
        if answer.announced:
            handler.wfile.flush()
            self._over.wait(30)
            handler.close_connection = True
