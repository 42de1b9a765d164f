"""The proxy forwards everything, and can cut, delay, refuse, and answer by itself."""

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


def test_only_so_many_connections_are_cut_and_only_those_that_send_too_much(proxy: Proxy) -> None:
    proxy.cut_after(1_000, times=2)
    with client(proxy) as little:
        assert ask(little, b"a" * 1_000) == b"A" * 1_000
    for _ in range(2):
        with client(proxy) as much, pytest.raises(ConnectionError):
            assert ask(much, b"a" * 1_001) == b"", "the connection ended in peace"
            assert much.recv(1), "the connection ended in peace"
    with client(proxy) as after:
        assert ask(after, b"a" * 1_001) == b"A" * 1_001
    assert proxy.cuts == 2


def test_what_is_refused_gets_no_connection_until_it_passes_on_at_the_same_port(proxy: Proxy) -> None:
    with client(proxy) as before:
        assert ask(before, b"a") == b"A"
        proxy.refuse()
        with pytest.raises(ConnectionError):
            assert before.recv(1), "the connection ended in peace"
    with pytest.raises(ConnectionRefusedError):
        client(proxy)
    proxy.pass_on()
    with client(proxy) as after:
        assert ask(after, b"b") == b"B"


def test_it_answers_http_by_itself_until_it_passes_on(proxy: Proxy) -> None:
    with client(proxy) as before:
        assert ask(before, b"a") == b"A"
        proxy.answer("500 Internal Server Error", "oops")
        with pytest.raises(ConnectionError):
            assert before.recv(1), "the connection ended in peace"
    with client(proxy) as during, during.makefile("rb") as answer:
        during.sendall(b"GET / HTTP/1.1\r\n\r\n")
        told = answer.read()
    assert told.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert told.endswith(b"\r\n\r\noops")
    proxy.pass_on()
    with client(proxy) as after:
        assert ask(after, b"b") == b"B"


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
    with Network() as network, pytest.raises(ConnectionError), client(network.proxy(free_port())) as connection:
        assert connection.recv(1), "the connection ended in peace"


def test_the_end_of_either_side_is_passed_on(proxy: Proxy, echo: int) -> None:
    with client(proxy) as connection:
        assert ask(connection, b"a") == b"A"
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
