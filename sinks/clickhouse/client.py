"""The one place where ClickHouse's client is made and its exceptions become ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError
from clickhouse_connect.driver.external import ExternalData

from schemas.event import EVENTS_PER_MESSAGE, HEAD
from sinks.port import Barred, Refused, Transient, Unable

REFUSED_CODES = frozenset({6, 20, 26, 27, 38, 41, 43, 46, 53, 62, 70, 72, 73, 115, 117, 130, 131, 349, 407, 457, 469})
"""ClickHouse error codes that say that what we sent is wrong: sending it again cannot help.

Not 33 (CANNOT_READ_ALL_DATA): it means that an insert was cut off on its way."""

_TABLES = "its tables are not those of this version: run `trueup migrate`"
_LOGIN = "check clickhouse.user, and clickhouse.password or clickhouse.password_file"
_RIGHTS = "grant the user SELECT and INSERT on clickhouse.database (`trueup migrate` needs more)"
BARRED_CODES = {
    **dict.fromkeys((16, 47, 60, 81, 218), _TABLES),
    **dict.fromkeys((192, 193, 194, 195, 516), _LOGIN),
    **dict.fromkeys((164, 291, 497), _RIGHTS),
}
"""ClickHouse error codes that say that a person has to do something, and what. Every other code is Unable."""

PINNED = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "optimize_on_insert": 0,
    "max_partitions_per_insert_block": 0,
    "input_format_parallel_parsing": 0,
    "input_format_json_read_numbers_as_strings": 0,
    "output_format_json_quote_64bit_integers": 0,
    "do_not_merge_across_partitions_select_final": 1,
}
"""Settings that our exactness depends on, whatever the server's defaults are."""

_FORMAT = "JSONCompactEachRow"
_PLAIN = re.compile(r"LowCardinality\((\w+)\)")
_LARGE_READ = ("output_format_json_quote_64bit_integers", "do_not_merge_across_partitions_select_final")


@dataclass(frozen=True)
class Address:
    """Where ClickHouse is and as whom to speak to it. The password is never part of its text."""

    host: str = "127.0.0.1"
    port: int = 8123
    database: str = "trueup"
    user: str = "default"
    password: str = ""
    secure: bool = False
    ca_file: str | None = None
    timeout: int = 30
    """Seconds without a sign of life from the server. While it works on a query it sends one more often."""

    def __repr__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.user}@{self.host}:{self.port}/{self.database}"


def connect(address: Address, *, database: str | None = None) -> Client:
    """A client that several threads may use at once. Raises Transient when nobody answers."""
    with translated():
        return clickhouse_connect.get_client(
            host=address.host,
            port=address.port,
            username=address.user,
            password=address.password,
            database=address.database if database is None else database,
            secure=address.secure,
            ca_cert=address.ca_file,
            autogenerate_session_id=False,
            compress=False,
            connect_timeout=5,
            send_receive_timeout=address.timeout,
            form_encode_query_params=True,
            client_name="trueup",
        )


@contextmanager
def translated() -> Iterator[None]:
    """Foreign exceptions become Transient, Barred, Unable or Refused, and keep their cause."""
    try:
        yield
    except ClickHouseError as error:
        raise _ours(error) from error
    except OSError as error:
        raise Transient(str(error)) from error


def _ours(error: ClickHouseError) -> Exception:
    cause = error.__cause__
    told = str(getattr(cause, "reason", None) or cause or error).strip()  # not the whole address with its settings
    text = told.splitlines()[0][:500] if told else type(error).__name__
    code = error_code(error) if isinstance(error, DatabaseError) else None
    if code in REFUSED_CODES:
        return Refused(text)
    if code in BARRED_CODES:
        return Barred(text, BARRED_CODES[code])
    return Transient(text) if code is None else Unable(text)


def error_code(error: ClickHouseError) -> int | None:
    """ClickHouse's number for an error, where its text tells."""
    code = getattr(error, "code", None)
    if isinstance(code, int):
        return code
    head, found, rest = str(error).partition("Code: ")
    digits = (rest if found else head).split(".", 1)[0].strip()
    return int(digits) if digits.isdigit() else None


def insert_lines(client: Client, statement: bytes, lines: Sequence[bytes]) -> None:
    """Insert encoded rows by an `insert_statement`."""
    with translated():
        client.raw_insert(None, insert_block=b"\n".join([statement, *lines]), settings=PINNED, fmt=_FORMAT)  # type: ignore[arg-type]


def insert_statement(client: Client, table: str, columns: Sequence[str]) -> bytes:
    """The statement that inserts rows of these columns of a table, in a format of a JSON array a row."""
    types = _read_as(client, table, columns)
    read_as = ", ".join(f"`{name}` {types[name]}" for name in columns)
    return _insert(table, columns, _names(columns), _input(read_as))


def insert_raw_statement(client: Client, table: str, columns: Sequence[str]) -> bytes:
    """The statement that inserts `sinks.raw` rows, each with all events of a message, into a table of single events.

    `columns`: partition, epoch, seq, and the fields of an event in their order, those of HEAD last.
    """
    types = _read_as(client, table, columns)
    heads, rests = columns[-len(HEAD) :], columns[3 : -len(HEAD)]
    head, rest = (", ".join(types[name] for name in names) for names in (heads, rests))
    rows = _input(
        "partition UInt16, epoch UInt16, offset UInt64, starts Array(UInt16), "
        f"pieces Array(Tuple({head}, Array(Tuple({rest}))))"
    )
    pieces = f"""(
        SELECT partition, epoch, offset * {EVENTS_PER_MESSAGE} + start AS first, piece
        FROM {rows} ARRAY JOIN starts AS start, pieces AS piece
    ) ARRAY JOIN piece.{len(HEAD) + 1} AS event, arrayEnumerate(piece.{len(HEAD) + 1}) AS number"""  # noqa: S608 - no text of anybody
    told = [f"event.{at}" for at, _ in enumerate(rests, 1)] + [f"piece.{at}" for at, _ in enumerate(heads, 1)]
    return _insert(table, columns, f"partition, epoch, first + number - 1, {', '.join(told)}", pieces)


def _insert(table: str, columns: Sequence[str], values: str, source: str) -> bytes:
    return f"INSERT INTO {table} ({_names(columns)}) SELECT {values} FROM {source} FORMAT {_FORMAT}".encode()  # noqa: S608


def _input(read_as: str) -> str:
    """The rows that are sent along, as columns of these names and types."""
    source = read_as.replace("'", "\\'")
    return f"input('{source}')"


def _read_as(client: Client, table: str, columns: Sequence[str]) -> dict[str, str]:
    """As what the columns of a table are read.

    LowCardinality columns as strings: ClickHouse then makes dictionaries of whole columns, in half the time of
    reading them value by value (docs/benchmarks.md).
    """
    sql = "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {t:String}"
    with translated():
        types = {name: _PLAIN.sub(r"\1", kind) for name, kind in client.query(sql, parameters={"t": table}).result_rows}
    if missing := [name for name in columns if name not in types]:
        raise Barred(
            f"the table {table} has no column {missing[0]}" if types else f"there is no table {table}", _TABLES
        )
    return types


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in columns)


class Asked(NamedTuple):
    """Rows that are sent along with a query, which reads them as the table `asked`.

    A list of any length: a parameter may have 128 KiB (`http_max_field_value_size`).
    """

    structure: tuple[str, ...]
    """`name type` of each column."""
    rows: Iterable[Sequence[str | int]]


def select_lines(
    client: Client,
    sql: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    fmt: str = _FORMAT,
    asked: Asked | None = None,
) -> list[bytes]:
    """The rows of a query, each as a JSON array."""
    external = None
    if asked is not None:
        data = b"\n".join(map(msgspec.json.encode, asked.rows))
        external = ExternalData(file_name="asked", data=data, fmt=_FORMAT, structure=asked.structure)
    with translated():
        answer = client.raw_query(
            sql,
            parameters=dict(parameters or {}),
            external_data=external,
            settings={name: PINNED[name] for name in _LARGE_READ},
            fmt=fmt,
        )
    return answer.splitlines()
