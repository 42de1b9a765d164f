"""The proxy forwards everything, and can cut and delay."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from chaos.proxy import HOST, Network, Proxy
from deploy.local.process import free_port

SECONDS = 10


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that gives back in capitals what it gets."""
    with socket.create_server((HOST, 0)) as server:
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def _serve(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(connection,), daemon=True).start()


def _echo(connection: socket.socket) -> None:
    with connection:
        try:
            while chunk := connection.recv(65_536):
                connection.sendall(chunk.upper())
        except OSError:
            return


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with Network() as network:
        yield network.proxy(echo)


def client(proxy: Proxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), SECONDS)


def ask(connection: socket.socket, text: bytes) -> bytes:
    connection.sendall(text)
    answer = b""
    while len(answer) < len(text) and (chunk := connection.recv(65_536)):
        answer += chunk
    return answer


def test_what_goes_in_comes_out_however_much(proxy: Proxy) -> None:
    text = b"abc" * 1_000_000
    with client(proxy) as connection:
        sender = threading.Thread(target=connection.sendall, args=(text,))
        sender.start()
        answer = b""
        while len(answer) < len(text):
            answer += connection.recv(65_536)
        sender.join()
    assert answer == text.upper()
    assert proxy.sent == len(text)


def test_cut_resets_what_is_connected_and_serves_what_comes(proxy: Proxy) -> None:
    with client(proxy) as before, client(proxy) as also:
        assert (ask(before, b"a"), ask(also, b"b")) == (b"A", b"B")
        proxy.cut()
        for connection in (before, also):
            with pytest.raises(ConnectionError):
                assert connection.recv(1), "the connection ended in peace"
    with client(proxy) as after:
        assert ask(after, b"c") == b"C"


def test_a_delay_holds_each_way_and_can_be_taken_back(proxy: Proxy) -> None:
    with client(proxy) as connection:
        proxy.delay(0.2)
        begun = time.monotonic()
        assert ask(connection, b"late") == b"LATE"
        assert time.monotonic() - begun >= 0.4
        proxy.delay(0)
        begun = time.monotonic()
        assert ask(connection, b"soon") == b"SOON"
        assert time.monotonic() - begun < 0.4


def test_a_delay_is_no_limit_of_the_rate(proxy: Proxy) -> None:
    """Chunks are under way together, as on a long line."""
    text = b"x" * 1_000_000
    proxy.delay(0.2)
    with client(proxy) as connection:
        sender = threading.Thread(target=connection.sendall, args=(text,))
        begun = time.monotonic()
        sender.start()
        answer = b""
        while len(answer) < len(text):
            answer += connection.recv(65_536)
        sender.join()
    assert time.monotonic() - begun < 3


def test_where_nobody_listens_the_client_is_told_at_once() -> None:
    with Network() as network, client(network.proxy(free_port())) as connection, pytest.raises(ConnectionError):
        assert connection.recv(1), "the connection ended in peace"


def test_the_end_of_either_side_is_passed_on(proxy: Proxy, echo: int) -> None:
    with client(proxy) as connection:
        assert ask(connection, b"a") == b"A"
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
