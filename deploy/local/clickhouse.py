"""ClickHouse of the local stack: the real engine, from the `chdb` wheel, as a server on the loopback interface.

`python -m deploy.local.clickhouse` runs it in the foreground; `with ClickHouse() as ch: ch.url` runs it as a
child process. The HTTP interface is ClickHouse's own (see `clickhouse_engine`), so clients see no difference
from a server, except for what `clickhouse_config` leaves out: access to files, to other servers, and to the
management of users. There are no query logs (`system.query_log` and its like).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import Self

import deploy
from deploy.local.clickhouse_config import DEFAULT_USER, Account
from deploy.local.clickhouse_engine import STOP_SECONDS, serve
from deploy.local.process import ChildProcess, StartError, free_port, require_free_port

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8123
_START_SECONDS = 60.0


class ClickHouse:
    """A ClickHouse server as a child process: `with ClickHouse() as ch: ch.url`.

    With `port` 0 a free one is chosen, and kept. Without `data`, the databases are in a temporary folder
    that is removed at the stop. `threads` is the `max_threads` of a query. StartError if it cannot start.
    """

    def __init__(
        self, data: Path | None = None, port: int = 0, host: str = LOOPBACK, threads: int | None = None
    ) -> None:
        self.data = data
        self.port = port
        self.host = host
        self._threads = threads
        self._process: ChildProcess | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id of the server's process group; None if it is not started."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def start(self) -> Self:
        """Start and wait until the server accepts queries."""
        _require_port(self.host, self.port)
        self.port = self.port or free_port(self.host)
        # -P: a folder named `deploy` in the working directory must not be taken for this package.
        command = [sys.executable, "-P", "-m", "deploy.local.clickhouse"]
        command += ["--host", self.host, "--port", str(self.port)]
        if self.data is not None:
            command += ["--data", str(self.data.absolute())]
        if self._threads is not None:
            command += ["--threads", str(self._threads)]
        root = str(Path(deploy.__path__[0]).parent)
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = ChildProcess("ClickHouse", command, {**os.environ, "PYTHONPATH": path})
        self._process.wait_for_line(r"is ready at \S+:\d+,", _START_SECONDS)
        return self

    def stop(self) -> None:
        """Stop the server; queries that run are cancelled. Harmless if it is not running."""
        if self._process is not None:
            self._process.stop(STOP_SECONDS + 5)
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def main(arguments: list[str] | None = None) -> int:
    """Run the server until SIGTERM or SIGINT; exit code 2 if the arguments or the port do not do."""
    options = _parser().parse_args(arguments)
    try:
        account = _account(options.user, options.password_file)
        if options.data:
            options.data.mkdir(parents=True, exist_ok=True)
        _require_protection(options.host, account)
        _require_port(options.host, options.port)
    except (StartError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return serve(host=options.host, port=options.port, data=options.data, threads=options.threads, account=account)


def _require_port(host: str, port: int) -> None:
    require_free_port("ClickHouse", host, port, "stop that process, or choose another port with --port")


def _require_protection(host: str, account: Account | None) -> None:
    if account is None and not IPv4Address(host).is_loopback:
        raise ValueError(f"Whoever reaches {host} could use ClickHouse. Fix: give --user and --password-file.")


def _account(user: str | None, password_file: Path | None) -> Account | None:
    if user is None and password_file is None:
        return None
    if user is None or password_file is None:
        raise ValueError("--user and --password-file go together: give both, or neither to ask for no password.")
    if user == DEFAULT_USER:
        raise ValueError(f"The user '{DEFAULT_USER}' is the server's own. Fix: choose another name with --user.")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", user):
        raise ValueError(
            f"The user name {user!r} has other characters than letters, digits and _. Fix: choose another."
        )
    return Account(user, password_file.read_text().rstrip("\r\n"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local.clickhouse", description="A ClickHouse server for one machine."
    )
    option = parser.add_argument
    option("--host", type=_address, default=LOOPBACK, help="address to listen on (default: %(default)s)")
    option("--port", type=_port, default=DEFAULT_PORT, help="0 takes a free one (default: %(default)s)")
    option("--data", type=Path, help="folder that keeps the databases (default: a temporary one)")
    option("--threads", type=int, help="max_threads of a query (default: the number of cores)")
    option("--user", help="let in only this user, with the password (default: anyone)")
    option("--password-file", type=Path, help="file with the user's password")
    return parser


def _address(text: str) -> str:
    try:
        return str(IPv4Address(LOOPBACK if text == "localhost" else text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is not an IPv4 address; use for example {LOOPBACK}") from error


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port; use 0 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
