"""Runs the ClickHouse engine of the `chdb` wheel as a server, in this process.

The wheel holds the whole of ClickHouse, its HTTP server included: nothing here speaks the protocol.
`SYSTEM START LISTEN HTTP` opens the port, and the engine serves for as long as its own session has a
statement running. That statement reads a pipe, so that a line in the pipe stops the engine cleanly.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from deploy.local.clickhouse_config import Account, create_default_database, write_config
from deploy.local.scratch import scratch_folder

STOP_SECONDS = 15.0
"""How long a stop waits for the engine before the process leaves without it."""
_SCRATCH_PREFIX = "trueup-clickhouse-"
_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
_ENGINE_ENDED = signal.SIGUSR1


def serve(*, host: str, port: int, data: Path | None, threads: int | None, account: Account | None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code of the process: 0, or 1 if the engine failed.

    Must be called in the main thread of a process of its own: it sets the signal mask, the working
    directory, HOME and TZ. With `port` 0 the system chooses one. Without `data`, the databases are in a
    temporary folder that is removed. One line on stdout says when the server is ready and where.
    """
    # The engine's threads inherit the mask, so that the signals wait for sigwait below.
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_STOP_SIGNALS, _ENGINE_ENDED})
    with scratch_folder(_SCRATCH_PREFIX) as scratch:
        data = (data or scratch / "data").resolve()
        create_default_database(data)
        engine = _Engine(scratch, data, host=host, port=port, threads=threads, account=account)
        listening_port = engine.start()
        if listening_port is None:
            sys.stderr.write(f"ClickHouse did not start on {host}:{port} with the data in {data}; why is said above.\n")
            return 1
        sys.stdout.write(f"ClickHouse {engine.version} is ready at http://{host}:{listening_port}, data in {data}\n")
        sys.stdout.flush()
        if signal.sigwait({*_STOP_SIGNALS, _ENGINE_ENDED}) == _ENGINE_ENDED:
            sys.stderr.write("ClickHouse ended by itself; why is said above.\n")
            return 1
        if not engine.stop(STOP_SECONDS):
            shutil.rmtree(scratch, ignore_errors=True)
            os._exit(0)  # the engine's threads would keep the process
    return 0


class _Engine:
    def __init__(
        self, scratch: Path, data: Path, *, host: str, port: int, threads: int | None, account: Account | None
    ) -> None:
        os.environ["HOME"] = str(scratch)  # no configuration but ours
        os.environ["TZ"] = "UTC"  # as in the server's container images
        os.chdir(scratch)
        import chdb  # runs an engine once, so the configuration for ours is written after it

        self.version: str = chdb.engine_version
        self._query = chdb._chdb.query  # the one entry point that runs clickhouse-local, which can listen
        write_config(scratch, host=host, port=port, threads=threads, account=account)
        self._data = data
        self._port = 0
        self._running_read, self._running_write = os.pipe()
        self._ready_read, self._ready_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="clickhouse-engine", daemon=True)

    def start(self) -> int | None:
        """Start to listen; the port, or None if the engine ended instead."""
        self._thread.start()
        with os.fdopen(self._ready_read) as ready:
            port = ready.readline().strip()
        if not port:
            return None
        self._port = int(port)
        return self._port

    def stop(self, seconds: float) -> bool:
        """Cancel the queries that run and end the engine; whether it ended within `seconds`."""
        os.write(self._running_write, b"stop\n")
        os.close(self._running_write)
        deadline = time.monotonic() + seconds
        while self._thread.is_alive() and time.monotonic() < deadline:
            _half_close_connections(self._port)
            self._thread.join(0.05)
        return not self._thread.is_alive()

    def _run(self) -> None:
        statements = (
            "SYSTEM START LISTEN HTTP",
            f"SELECT getServerPort('http_port') INTO OUTFILE '/dev/fd/{self._ready_write}' TRUNCATE FORMAT TSV",
            f"INSERT INTO FUNCTION null('line String') FROM INFILE '/dev/fd/{self._running_read}' FORMAT LineAsString",
            "SYSTEM STOP LISTEN HTTP",
            "KILL QUERY WHERE query_id != queryID() SYNC",
        )
        try:
            self._query(";\n".join(statements), "TabSeparated", path=str(self._data))
        finally:
            os.close(self._ready_write)
            os.kill(os.getpid(), _ENGINE_ENDED)


def _half_close_connections(port: int) -> None:
    """Tell the engine that no request will follow on the connections to `port` that clients keep open.

    It would wait five seconds for them and then leave the process without cleaning up.
    """
    for descriptor in map(int, os.listdir("/dev/fd")):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                with socket.socket(fileno=os.dup(descriptor)) as connection:
                    connection.getpeername()  # raises for the socket that listens, which is the engine's to close
                    if connection.getsockname()[1] == port:
                        connection.shutdown(socket.SHUT_RD)
