"""Runs the ClickHouse engine of the `chdb` wheel as a server, in this process.

The wheel holds the whole of ClickHouse, its HTTP server included: nothing here speaks the protocol.
`SYSTEM START LISTEN HTTP` opens the port, and the engine serves for as long as its own session has a
query running; that query reads a pipe, so that closing the pipe stops the engine cleanly.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.clickhouse_config import Account, create_default_database, write_config

_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
_ENGINE_ENDED = signal.SIGUSR1
STOP_SECONDS = 15.0
"""How long a stop waits for the engine; a query that does not end by then is cut off."""


def serve(*, host: str, port: int, data: Path | None, threads: int | None, account: Account | None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code of the process.

    Must be called in the main thread of a process of its own: it sets the signal mask, the working
    directory, HOME and TZ. With `port` 0 the system chooses one. Without `data`, a temporary folder is
    used and removed. One line on stdout says when the server is ready and where.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_STOP_SIGNALS, _ENGINE_ENDED})
    with _folder("trueup-clickhouse-run-") as run, _data_folder(data) as data_folder:
        engine = _Engine(run, data_folder, host=host, port=port, threads=threads, account=account)
        listening_port = engine.start()
        if listening_port is None:
            sys.stderr.write(
                f"ClickHouse did not start on {host}:{port} with the data in {data_folder}: the engine says why above.\n"
            )
            return 1
        sys.stdout.write(
            f"ClickHouse {engine.version} is ready at http://{host}:{listening_port}, data in {data_folder}\n"
        )
        sys.stdout.flush()
        received = signal.sigwait({*_STOP_SIGNALS, _ENGINE_ENDED})
        if received == _ENGINE_ENDED:
            sys.stderr.write("ClickHouse ended by itself: the engine says why above.\n")
            return 1
        if not engine.stop(STOP_SECONDS):
            # The engine's threads cannot be joined any more; leave without running its destructors.
            shutil.rmtree(run, ignore_errors=True)
            if data is None:
                shutil.rmtree(data_folder, ignore_errors=True)
            os._exit(0)
    return 0


class _Engine:
    def __init__(
        self, run: Path, data: Path, *, host: str, port: int, threads: int | None, account: Account | None
    ) -> None:
        os.environ["HOME"] = str(run)  # no configuration but ours
        os.environ["TZ"] = "UTC"  # as in the server's container images
        os.chdir(run)
        import chdb

        self.version: str = chdb.engine_version
        self._query = chdb._chdb.query
        write_config(run, host=host, port=port, threads=threads, account=account)
        create_default_database(data)
        self._data = data
        self._running_read, self._running_write = os.pipe()
        self._ready_read, self._ready_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="clickhouse-engine", daemon=True)

    def start(self) -> int | None:
        """Start to listen; the port, or None if the engine ended instead."""
        self._thread.start()
        with os.fdopen(self._ready_read) as ready:
            answer = ready.readline().strip()
        return int(answer) if answer else None

    def stop(self, seconds: float) -> bool:
        """End the engine's session, and with it the engine; whether it ended within `seconds`."""
        os.write(self._running_write, b"stop\n")
        os.close(self._running_write)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        statements = (
            "SYSTEM START LISTEN HTTP",
            f"SELECT getServerPort('http_port') INTO OUTFILE '/dev/fd/{self._ready_write}' TRUNCATE FORMAT TSV",
            "INSERT INTO FUNCTION null('line String')"
            f" FROM INFILE '/dev/fd/{self._running_read}' FORMAT LineAsString",
            "SYSTEM STOP LISTEN HTTP",
            "KILL QUERY WHERE query_id != queryID() SYNC",
        )
        try:
            self._query(";\n".join(statements), "TabSeparated", path=str(self._data))
        finally:
            os.close(self._ready_write)
            os.kill(os.getpid(), _ENGINE_ENDED)


@contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _data_folder(data: Path | None) -> Iterator[Path]:
    if data is None:
        with _folder("trueup-clickhouse-data-") as path:
            yield path
    else:
        data.mkdir(parents=True, exist_ok=True)
        yield data.resolve()
