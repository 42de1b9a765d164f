"""What the embedded ClickHouse engine reads when it starts: its own two XML files and one database.

The engine in the `chdb` wheel starts as `clickhouse-local`. This configuration makes it behave as a
server's default installation does, and closes what `clickhouse-local` leaves open: a client on the
loopback interface (any local user, or a page in a browser) must not read or write files of the user
who runs the stack, nor start programs.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

DEFAULT_USER = "default"
_OVERLAY = "_overlay"
"""The engine lays its default database over the file system; this name keeps that off `default`."""

_PRIVILEGES = (
    "SHOW, SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE DICTIONARY, "
    "CREATE ARBITRARY TEMPORARY TABLE, CREATE FUNCTION, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, CHECK, "
    "KILL QUERY, MOVE PARTITION BETWEEN SHARDS, SYSTEM, dictGet, INTROSPECTION"
)
"""Everything on data; nothing on sources (FILE, URL, REMOTE, S3, ...), users, or backups to files."""

_TABLE_ENGINES = (
    "Aggregating Coalescing Collapsing Graphite Replacing Summing VersionedCollapsing".replace(" ", "MergeTree ")
    + "MergeTree MergeTree Atomic Buffer Dictionary GenerateRandom Join Log MaterializedView Memory Merge "
    "Null Set StripeLog TinyLog View"
).split()


_ENGINE_PRIVILEGES = "SYSTEM LISTEN, KILL QUERY, CREATE ARBITRARY TEMPORARY TABLE"
"""What the engine's own session needs to open the port and to wait."""


@dataclass(frozen=True)
class Account:
    """The user whose data it is, with a password. Without an account, that is `default`, with none.

    The engine's own session is always `default` without a password, so that user cannot be locked; beside
    an account it has no access to data.
    """

    name: str
    password: str


def write_config(folder: Path, *, host: str, port: int, threads: int | None, account: Account | None) -> None:
    """Write `config.xml` and `users.xml` into `folder`; the engine reads them from its working directory.

    `threads` is the `max_threads` of a query (the number of cores when None). The password is stored as
    its SHA-256.
    """
    server = {
        "listen_host": host,
        "http_port": port,
        "users_config": folder / "users.xml",
        "default_database": _OVERLAY,
        "keep_alive_timeout": 30,
    }
    _write(folder / "config.xml", server)
    profile = {
        "implicit_select": 0,
        "allow_introspection_functions": 0,
        "storage_file_read_method": "pread",
    }
    if threads is not None:
        profile["max_threads"] = threads
    engines = ", ".join(f"TABLE ENGINE ON {engine}" for engine in _TABLE_ENGINES)
    everything = [f"GRANT {_PRIVILEGES} ON *.*", f"GRANT {engines}"]
    if account:
        password = hashlib.sha256(account.password.encode()).hexdigest()
        users = {
            DEFAULT_USER: _user({"password": ""}, [f"GRANT {_ENGINE_PRIVILEGES} ON *.*"]),
            account.name: _user({"password_sha256_hex": password}, everything),
        }
    else:
        users = {DEFAULT_USER: _user({"password": ""}, everything)}
    _write(folder / "users.xml", {"profiles": {"default": profile}, "users": users, "quotas": {"default": {}}})


def create_default_database(data: Path) -> None:
    """Make `default` an ordinary database in a new data folder, in the form the engine itself stores one."""
    metadata = data / "metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    statement = metadata / "default.sql"
    if not statement.exists():
        statement.write_text(f"ATTACH DATABASE _ UUID '{uuid.uuid4()}'\nENGINE = Atomic\n")


def _user(password: dict[str, str], grants: list[str]) -> dict[str, object]:
    return {
        **password,
        "networks": {"ip": "::/0"},
        "profile": "default",
        "quota": "default",
        "default_database": "default",
        "grants": {"query": grants},
    }


def _write(path: Path, content: dict[str, object]) -> None:
    root = ElementTree.Element("clickhouse")
    _append(root, content)
    ElementTree.ElementTree(root).write(path, encoding="utf-8")


def _append(parent: ElementTree.Element, content: dict[str, object]) -> None:
    for name, value in content.items():
        for item in value if isinstance(value, list) else [value]:
            child = ElementTree.SubElement(parent, name)
            if isinstance(item, dict):
                _append(child, item)
            else:
                child.text = str(item)
