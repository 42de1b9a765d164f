"""`trueup up` in a terminal: it says where everything is, ends at Ctrl-C whatever it is doing, and leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.terminal import PATIENCE, Terminal, environment, exists, leftovers

FREE_PORTS = {"TRUEUP_HTTP__PORT": "0", "TRUEUP_ALERTER__PORT": "0"}
OPTIONS = ("--kafka-port", "0", "--clickhouse-port", "0")
needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds child processes in /proc")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder to run in, with one for temporary files."""
    (tmp_path / "temporary").mkdir()
    return tmp_path


@pytest.fixture
def up(folder: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(**variables: str) -> Terminal:
        opened.append(Terminal(folder, "up", *OPTIONS, **{**FREE_PORTS, **variables}))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.fixture
def taken() -> Iterator[str]:
    """A port that another process listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield str(other.getsockname()[1])


def told(shown: Terminal, name: str) -> str:
    """What it said of a part."""
    return next(line.split()[1] for line in shown.written.splitlines() if line.startswith(f"{name} "))


def is_worker(command: bytes) -> bool:
    """Itself, not the keeper that started it."""
    return b"\0worker\0" in command and b"keeper.py" not in command


@needs_proc
def test_it_is_ready_when_it_says_so_and_ctrl_c_ends_all_of_it(up: Callable[..., Terminal], folder: Path) -> None:
    shown = up()
    shown.wait_for(lambda: "export TRUEUP_CONFIG=" in shown.written)
    children = shown.children()
    for part in ("worker", "alerter"):
        answer = subprocess.run(["curl", "-sf", told(shown, part)], capture_output=True, text=True, check=False)
        assert (answer.returncode, '"ready": true' in answer.stdout) == (0, True), answer
    config = shown.written.split("export TRUEUP_CONFIG=")[1].split()[0]
    report = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "report", "--output", "json"],
        cwd=folder, env=environment(folder) | {"TRUEUP_CONFIG": config}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (report.returncode, report.stderr) == (0, "")
    assert json.loads(report.stdout)["rows"][0]["counts"]["tasks_finished"] == 0
    shown.interrupt()
    assert shown.wait() == 0, shown.written
    assert shown.written.splitlines()[-1] == "Stopped."
    assert "Traceback" not in shown.written
    assert len(children) >= 4
    assert not [pid for pid in children if exists(pid)]
    assert leftovers(folder) == []


@pytest.mark.parametrize("moment", ["Starting Kafka", "alerter     http"])
def test_ctrl_c_while_it_starts_ends_it_at_once(up: Callable[..., Terminal], folder: Path, moment: str) -> None:
    shown = up()
    shown.wait_for(lambda: moment in shown.written)
    shown.interrupt()
    assert shown.wait() == 130
    assert "Ready." not in shown.written
    assert "Traceback" not in shown.written
    assert shown.written.splitlines()[-1] == "Stopped."
    assert leftovers(folder) == []


@needs_proc
def test_a_process_that_ends_is_told_with_its_last_words_and_ends_the_others(
    up: Callable[..., Terminal], folder: Path
) -> None:
    shown = up()
    shown.wait_for(lambda: "export TRUEUP_CONFIG=" in shown.written)
    children = shown.children()
    (worker,) = (pid for pid in children if is_worker(Path(f"/proc/{pid}/cmdline").read_bytes()))
    os.kill(worker, signal.SIGKILL)
    assert shown.wait() == 3
    assert "trueup: a process has stopped. Its last words:" in shown.written
    assert not [pid for pid in children if exists(pid)]
    assert leftovers(folder) == []


@pytest.mark.parametrize(
    ("name", "part", "setting"),
    [("TRUEUP_HTTP__PORT", "worker", "http.port"), ("TRUEUP_ALERTER__PORT", "alerter", "alerter.port")],
)
def test_a_port_of_health_that_is_taken_is_told_with_its_setting(
    up: Callable[..., Terminal], folder: Path, taken: str, name: str, part: str, setting: str
) -> None:
    shown = up(**{name: taken})
    assert shown.wait() == 2
    assert shown.written.splitlines()[1:] == [
        f"trueup: The {part} cannot listen on 127.0.0.1:{taken}: another process has that port. "
        f"Fix: end that process, or set {setting} to another port ({name}), 0 for a free one."
    ]
    assert leftovers(folder) == []


def test_a_process_of_its_own_tells_a_taken_port_as_well(folder: Path, taken: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "alerter"],
        cwd=folder, env=environment(folder) | {"TRUEUP_ALERTER__PORT": taken},
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"trueup: health and metrics cannot be served on 127.0.0.1:{taken} (Address already in use); "
        "set alerter.port to another port (TRUEUP_ALERTER__PORT)\n"
    )
