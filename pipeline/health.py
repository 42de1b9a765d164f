"""How a process tells that it is alive, whether it is ready, and what it has done: /livez, /readyz, /metrics."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, generate_latest

from pipeline.config import ConfigError, Http, variable


class Tells(Protocol):
    """A process that tells how it is."""

    registry: CollectorRegistry

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether it does its work, and why not."""


@contextmanager
def serve_health(health: Tells, http: Http, setting: str = "http.port") -> Iterator[int]:
    """Serve in a thread; yields the port. Raises ConfigError where it cannot listen; `setting` is the port's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = respond(health, self.path.split("?")[0])
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Probes are not news."""

    try:
        server = ThreadingHTTPServer((http.host, http.port), Handler)
    except OSError as error:
        raise ConfigError(
            f"health and metrics cannot be served on {http.host}:{http.port} ({error.strerror or error}); "
            f"set {setting} to another port ({variable(setting)})"
        ) from None
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def respond(health: Tells, path: str) -> tuple[int, str, bytes]:
    """Status, content type and body of a health path."""
    if path == "/livez":
        return 200, "text/plain", b"ok\n"
    if path == "/readyz":
        ready, detail = health.ready()
        return (200 if ready else 503), "application/json", json.dumps(detail).encode() + b"\n"
    if path == "/metrics":
        return 200, "text/plain; version=0.0.4", generate_latest(health.registry)
    return 404, "text/plain", b"try /livez, /readyz or /metrics\n"
