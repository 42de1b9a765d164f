"""ClickHouse of the local stack: `python -m deploy.local.clickhouse`, or `with ClickHouse() as ch: ch.url`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy.local.clickhouse_config import Account
from deploy.local.clickhouse_engine import serve


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    account = None
    if options.user:
        account = Account(options.user, Path(options.password_file).read_text().rstrip("\n"))
    return serve(
        host=options.host, port=options.port, data=options.data, threads=options.threads, account=account
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.clickhouse")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--user")
    parser.add_argument("--password-file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
