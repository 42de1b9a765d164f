"""One ClickHouse server per module, and a database of its own for every test."""

import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from deploy.local.clickhouse import ClickHouse
from deploy.local.process import ChildProcess

Connect = Callable[..., Client]
Curl = Callable[..., "Answer"]


class Answer:
    """An HTTP response as curl printed it."""

    def __init__(self, printed: bytes) -> None:
        # An interim response (100 Continue) comes first and has no body.
        head, _, self.body = printed.partition(b"\r\n\r\n")
        while b" 100 " in head.split(b"\r\n")[0]:
            head, _, self.body = self.body.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        self.status = int(status.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def text(self) -> str:
        return self.body.decode()


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[ClickHouse]:
    with ClickHouse() as server:
        yield server


@pytest.fixture
def connect(clickhouse: ClickHouse) -> Iterator[Connect]:
    """Opens clients of a database that only this test uses; their own settings as keyword arguments."""
    database = f"test_{uuid.uuid4().hex}"
    opened = [clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port)]
    opened[0].command(f"CREATE DATABASE {database}")

    def open_client(**settings: Any) -> Client:
        client = clickhouse_connect.get_client(
            host=clickhouse.host, port=clickhouse.port, database=database, **settings
        )
        opened.append(client)
        return client

    yield open_client
    opened[0].command(f"DROP DATABASE {database} SYNC")
    for client in opened:
        client.close()


@pytest.fixture
def client(connect: Connect) -> Client:
    return connect()


@pytest.fixture
def curl(clickhouse: ClickHouse) -> Curl:
    """Calls curl with a path and options, on the module's server; `data` is its standard input."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    return partial(run_curl, clickhouse.url)


def run_curl(url: str, path: str, *options: str, data: bytes = b"") -> Answer:
    command = ["curl", "--silent", "--show-error", "--include", "--max-time", "60", *options, f"{url}{path}"]
    return Answer(subprocess.run(command, input=data, capture_output=True, check=True).stdout)


@pytest.fixture
def temporary_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Sends the temporary folders of child processes to a folder of the test; lists what is in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return lambda: sorted(path.name for path in folder.iterdir())


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits until a condition holds; fails after 20 seconds."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true in 20 s"
            time.sleep(0.02)

    return wait


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[ChildProcess, int]]]:
    """Runs the server's command with options, on a free port; gives its process and port."""
    started: list[ChildProcess] = []

    def start(*options: str) -> tuple[ChildProcess, int]:
        process = ChildProcess("ClickHouse", [sys.executable, "-m", "deploy.local.clickhouse", "--port", "0", *options])
        started.append(process)
        return process, int(process.wait_for_line(r"is ready at \S+:(\d+),", 60)[1])

    yield start
    for process in started:
        process.stop()
