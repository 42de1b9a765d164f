"""Start, stop and restart of the ClickHouse process."""

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

import pytest

from deploy.local.clickhouse import ClickHouse, main
from deploy.local.process import ChildProcess, StartError, free_port

Serve = Callable[..., tuple[ChildProcess, int]]
Eventually = Callable[[Callable[[], bool]], None]


def run(url: str, query: str) -> str:
    with urllib.request.urlopen(url, data=query.encode(), timeout=60) as response:  # noqa: S310  (http, to loopback)
        return str(response.read().decode())


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_databases_survive_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    with ClickHouse(data) as first:
        for table in ("t", "other.t"):
            run(first.url, "CREATE DATABASE IF NOT EXISTS other")
            run(first.url, f"CREATE TABLE {table} (a UInt8) ENGINE = MergeTree ORDER BY a")
            run(first.url, f"INSERT INTO TABLE {table} FORMAT TSV 7")
    with ClickHouse(data) as second:
        assert run(second.url, "SELECT a FROM default.t UNION ALL SELECT a FROM other.t") == "7\n7\n"


@pytest.mark.usefixtures("temporary_folders")
def test_rows_survive_a_kill(tmp_path: Path, serve: Serve) -> None:
    server, port = serve("--data", str(tmp_path / "data"))
    url = f"http://127.0.0.1:{port}"
    run(url, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
    run(url, "INSERT INTO t VALUES (7)")
    os.killpg(server.pid, signal.SIGKILL)
    server.stop()
    with ClickHouse(tmp_path / "data") as second:
        assert run(second.url, "SELECT a FROM t") == "7\n"


def test_a_stop_leaves_no_process_and_no_folder(
    temporary_folders: Callable[[], list[str]], eventually: Eventually
) -> None:
    """Also while a query runs, an insert is half sent, and a client keeps its connection open."""
    server = ClickHouse().start()
    assert len(temporary_folders()) == 1
    assert server.pid is not None
    pid = server.pid
    idle = HTTPConnection(server.host, server.port)
    idle.request("GET", "/ping")
    idle.getresponse().read()
    half = socket.create_connection((server.host, server.port))
    insert = "INSERT+INTO+FUNCTION+null('a+UInt8')+FORMAT+TSV"
    half.sendall(f"POST /?query={insert} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n1\n".encode())
    failures: list[str] = []

    def run_long_query() -> None:
        try:
            run(server.url, "SELECT count() FROM system.numbers")
        except OSError as error:
            failures.append(type(error).__name__)

    thread = threading.Thread(target=run_long_query)
    thread.start()
    running = "SELECT query FROM system.processes WHERE query NOT LIKE '%processes%'"
    eventually(lambda: "system.numbers" in run(server.url, running))
    server.stop()
    thread.join()
    idle.close()
    half.close()
    assert failures
    assert temporary_folders() == []
    assert not server.running
    assert not exists(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_command_with_exit_code_0(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "deploy.local.clickhouse", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "is ready at http://127.0.0.1:" in process.stdout.readline()
        process.send_signal(number)
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == 0


def test_a_server_ends_when_its_parent_is_killed(
    temporary_folders: Callable[[], list[str]], eventually: Eventually
) -> None:
    script = (
        "import sys; from deploy.local.clickhouse import ClickHouse\n"
        "server = ClickHouse().start(); print(server.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        server_pid = int(parent.stdout.readline())
        assert exists(server_pid)
        parent.kill()
    eventually(lambda: not exists(server_pid))
    eventually(lambda: temporary_folders() == [])


def test_a_taken_port_is_one_clear_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 2
        error = capsys.readouterr().err
        assert error == (
            f"ClickHouse cannot listen on 127.0.0.1:{port}: another process has that port. "
            "Fix: stop that process, or choose another port with --port.\n"
        )
        with pytest.raises(StartError, match="--port"):
            ClickHouse(port=port).start()


def test_the_port_can_be_chosen() -> None:
    port = free_port()
    with ClickHouse(port=port, threads=1) as server:
        assert server.url == f"http://127.0.0.1:{port}"
        assert run(server.url, "SELECT getSetting('max_threads')") == "1\n"


def test_a_data_folder_serves_one_server_at_a_time(tmp_path: Path) -> None:
    with ClickHouse(tmp_path) as first:
        with pytest.raises(StartError, match="already running"):
            ClickHouse(tmp_path).start()
        assert run(first.url, "SELECT 1") == "1\n"


def test_a_data_folder_that_cannot_be_made_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--port", "0", "--data", str(tmp_path / "file" / "data")]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_configuration_of_the_user_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine by itself would read a config.xml of the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.xml").write_text("<clickhouse><timezone>Asia/Tokyo</timezone><broken></clickhouse>")
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "__init__.py").write_text("raise RuntimeError('the wrong package')")
    with ClickHouse() as server:
        assert run(server.url, "SELECT timezone()") == "UTC\n"
