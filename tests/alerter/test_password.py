"""ClickHouse's password is changed while the alerter runs: it goes on with the new one, without a restart."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import urllib3

from deploy.local.process import ChildProcess, free_port
from pipeline.alerter.process import Alerter
from pipeline.config import Settings
from pipeline.connections import address_of
from sinks.clickhouse.migrate import migrate

Wait = Callable[[Callable[[bool, list[str], float], bool]], None]


@contextmanager
def clickhouse(port: int, folder: Path, password: str) -> Iterator[None]:
    """A server that lets in one user, with a password; its data stays."""
    told = folder / "servers-own"
    told.write_text(password)
    options = ["--port", str(port), "--data", str(folder / "data"), "--user", "trueup", "--password-file", str(told)]
    server = ChildProcess("ClickHouse", [sys.executable, "-m", "deploy.local.clickhouse", *options])
    try:
        server.wait_for_line(r"is ready at", 60)
        yield
    finally:
        server.stop()


@contextmanager
def alerter(settings: Settings) -> Iterator[Wait]:
    """Runs it; waits until its readiness, the reasons given, and its number of evaluations are as wanted."""
    http, url = urllib3.PoolManager(), f"http://127.0.0.1:{settings.alerter.port}"
    stop, pause = threading.Event(), threading.Event()
    loop = threading.Thread(target=Alerter(settings).run, args=(stop,))
    loop.start()

    def wait(wanted: Callable[[bool, list[str], float], bool]) -> None:
        for _ in range(1_200):
            with suppress(urllib3.exceptions.HTTPError):  # it does not listen yet
                told = json.loads(http.request("GET", f"{url}/readyz").data)
                metrics = http.request("GET", f"{url}/metrics").data.decode()
                (evaluations,) = (line for line in metrics.splitlines() if line.startswith("trueup_evaluations_total"))
                if wanted(told["ready"], told["why"], float(evaluations.split()[1])):
                    return
            assert loop.is_alive(), "the alerter has ended"
            pause.wait(0.05)
        raise AssertionError("not within a minute")

    try:
        yield wait
    finally:
        stop.set()
        loop.join(20)
        http.clear()


def test_a_new_password_is_taken_from_its_file_without_a_restart(tmp_path: Path) -> None:
    mine, port = tmp_path / "password", free_port()
    mine.write_text("first")
    settings = Settings(
        clickhouse={"url": f"http://127.0.0.1:{port}", "user": "trueup", "password_file": str(mine)},  # type: ignore[arg-type]
        kafka={"bootstrap": "127.0.0.1:1", "partitions": 1},  # type: ignore[arg-type]
        alerter={"every": 0.05, "port": free_port()},  # type: ignore[arg-type]
    )
    with ExitStack() as running:
        with clickhouse(port, tmp_path, "first"):
            migrate(address_of(settings), retention_days=0)
            wait = running.enter_context(alerter(settings))
            wait(lambda ready, _, evaluations: ready and evaluations >= 2)
        with clickhouse(port, tmp_path, "second"):
            wait(lambda _, why, __: any("clickhouse.password_file" in each for each in why))
            before = evaluations_of(wait)
            mine.unlink()
            wait(lambda _, why, __: any("cannot read the secret" in each for each in why))
            mine.write_text("second")
            wait(lambda ready, why, evaluations: ready and not why and evaluations > before)


def evaluations_of(wait: Wait) -> float:
    """How many there have been."""
    found: list[float] = []
    wait(lambda _, __, evaluations: not found.append(evaluations))
    return found[0]
