"""The HTTP interface as curl sees it."""

import gzip
import json
import subprocess
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame
import pytest

Curl = Callable[..., Any]

TEXT = b"trueup " * 20_000


@pytest.fixture
def table(curl: Curl) -> str:
    name = f"t_{uuid.uuid4().hex}"
    assert curl("/", "--data-binary", f"CREATE TABLE {name} (s String) ENGINE = MergeTree ORDER BY s").status == 200
    return name


def insert_url(table: str, form: str = "LineAsString", **parameters: str) -> str:
    extra = "".join(f"&{name}={value}" for name, value in parameters.items())
    return f"/?query=INSERT%20INTO%20{table}%20FORMAT%20{form}{extra}"


def count(curl: Curl, table: str) -> int:
    return int(curl(f"/?param_t={table}", "--data-binary", "SELECT sum(length(s)) FROM {t:Identifier}").text)


@pytest.mark.parametrize("path", ["/ping", "/"])
def test_the_server_says_ok(curl: Curl, path: str) -> None:
    answer = curl(path)
    assert (answer.status, answer.text) == (200, "Ok.\n")


def test_head_has_no_body(curl: Curl) -> None:
    answer = curl("/ping", "--head")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("options", [("--data-binary", "SELECT 1"), ("--data-binary", "SELECT 1;")])
def test_a_query_can_be_the_body(curl: Curl, options: tuple[str, ...]) -> None:
    assert curl("/", *options).text == "1\n"


def test_a_query_can_be_in_the_url(curl: Curl) -> None:
    answer = curl("/?query=SELECT%201%2B1")
    assert (answer.status, answer.text) == (200, "2\n")


def test_a_response_says_how_the_query_went(curl: Curl) -> None:
    answer = curl("/?query_id=my-id&wait_end_of_query=1", "--data-binary", "SELECT number FROM numbers(1000)")
    assert answer.headers["x-clickhouse-query-id"] == "my-id"
    assert answer.headers["x-clickhouse-timezone"] == "UTC"
    assert answer.headers["x-clickhouse-format"] == "TabSeparated"
    assert answer.headers["x-clickhouse-server-display-name"]
    assert json.loads(answer.headers["x-clickhouse-summary"])["read_rows"] == "1000"


@pytest.mark.parametrize(
    ("path", "options"), [("/?default_format=JSONEachRow", ()), ("/", ("--header", "X-ClickHouse-Format: JSONEachRow"))]
)
def test_the_format_can_be_asked_for(curl: Curl, path: str, options: tuple[str, ...]) -> None:
    assert curl(path, *options, "--data-binary", "SELECT 1 AS a").text == '{"a":1}\n'


def test_a_typed_parameter_is_a_value(curl: Curl) -> None:
    answer = curl(
        "/?param_s=it%27s%20%7Bx%7D&param_a=%5B1%2C2%5D", "--data-binary", "SELECT {s:String}, {a:Array(UInt8)}"
    )
    assert answer.text == "it\\'s {x}\t[1,2]\n"


def test_another_parameter_of_the_url_is_a_setting(curl: Curl) -> None:
    assert curl("/?max_block_size=5", "--data-binary", "SELECT getSetting('max_block_size')").text == "5\n"
    unknown = curl("/?no_such_setting=5", "--data-binary", "SELECT 1")
    assert unknown.status == 404
    assert unknown.headers["x-clickhouse-exception-code"] == "115"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [("SELECT * FROM missing", 404, 60), ("SELEC 1", 400, 62), ("SELECT throwIf(1)", 500, 395)],
)
def test_an_error_has_its_status_code_and_text(curl: Curl, query: str, status: int, code: int) -> None:
    answer = curl("/", "--data-binary", query)
    assert answer.status == status
    assert answer.headers["x-clickhouse-exception-code"] == str(code)
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert "(version " in answer.text


def test_get_does_not_change_data(curl: Curl, table: str) -> None:
    answer = curl(f"/?query=INSERT%20INTO%20{table}%20VALUES%20(1)")
    assert answer.status == 500
    assert answer.headers["x-clickhouse-exception-code"] == "164"
    assert count(curl, table) == 0


def test_a_big_body_is_sent_after_the_server_agreed(curl: Curl, table: str, tmp_path: Path) -> None:
    """curl asks with `Expect: 100-continue` before a body of over 1 MiB."""
    body = tmp_path / "body"
    body.write_bytes(b"x" * 20_000_000)
    answer = curl(insert_url(table), "--header", "Expect: 100-continue", "--data-binary", f"@{body}")
    assert answer.status == 200
    assert count(curl, table) == 20_000_000


def test_a_body_of_unknown_length_is_read_in_chunks(curl: Curl, table: str) -> None:
    options = ("--request", "POST", "--upload-file", "-", "--header", "Transfer-Encoding: chunked")
    assert curl(insert_url(table), *options, data=TEXT).status == 200
    assert count(curl, table) == len(TEXT)


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("lz4", lz4.frame.compress)]
)
def test_a_body_may_be_compressed(curl: Curl, table: str, encoding: str, compress: Callable[[bytes], bytes]) -> None:
    options = ("--header", f"Content-Encoding: {encoding}", "--data-binary", "@-")
    assert curl(insert_url(table), *options, data=compress(TEXT)).status == 200
    assert count(curl, table) == len(TEXT)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4", "br"])
def test_a_response_is_compressed_as_asked_and_is_a_body_again(curl: Curl, table: str, encoding: str) -> None:
    query = f"SELECT repeat('trueup ', {len(TEXT) // 7}) FORMAT LineAsString"
    options = ("--header", f"Accept-Encoding: {encoding}", "--data-binary", query)
    answer = curl("/?enable_http_compression=1", *options)
    assert answer.headers["content-encoding"] == encoding
    assert len(answer.body) < len(TEXT) / 10
    again = ("--header", f"Content-Encoding: {encoding}", "--data-binary", "@-")
    assert curl(insert_url(table), *again, data=answer.body).status == 200
    assert count(curl, table) == len(TEXT)


def test_a_session_must_exist_if_the_client_says_so(curl: Curl) -> None:
    answer = curl("/?session_id=never-seen&session_check=1", "--data-binary", "SELECT 1")
    assert answer.status == 500
    assert answer.headers["x-clickhouse-exception-code"] == "372"


def test_the_database_can_be_given(curl: Curl) -> None:
    ask = ("--data-binary", "SELECT currentDatabase()")
    assert curl("/", *ask).text == "default\n"
    assert curl("/?database=system", *ask).text == "system\n"
    assert curl("/", "--header", "X-ClickHouse-Database: system", *ask).text == "system\n"


def test_a_client_that_hangs_up_harms_nobody(curl: Curl, clickhouse: Any) -> None:
    command = ["curl", "--silent", "--output", "/dev/null", "--max-time", "0.3", clickhouse.url]
    endless = subprocess.run([*command, "--data-binary", "SELECT number FROM system.numbers"], check=False)
    assert endless.returncode == 28  # curl gave up
    assert curl("/ping").text == "Ok.\n"
