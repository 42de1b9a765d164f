"""clickhouse-connect sees no difference between the local engine and a ClickHouse server."""

import asyncio
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from ipaddress import IPv4Address

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

from deploy.local.clickhouse import ClickHouse

Connect = Callable[..., Client]
Eventually = Callable[[Callable[[], bool]], None]

HOSTILE = ["'; DROP TABLE t; --", "a\\'b", "{x:String}", "日本語 🜁\n\t\0x", "%s %(a)s", "\\N", '`"$(id)']
ROWS = 1_000_000

TYPES: dict[str, tuple[object, object]] = {
    "UInt8": (255, 0),
    "UInt64": (2**64 - 1, 0),
    "Int128": (-(2**127), 2**127 - 1),
    "Nullable(String)": (None, ""),
    "LowCardinality(String)": ("production", "é"),
    "LowCardinality(Nullable(String))": (None, "x"),
    "Array(UInt32)": ([1, 2, 2**32 - 1], []),
    "Array(Nullable(String))": (["a", None], []),
    "Map(LowCardinality(String), String)": ({"k": "v'\"\\", "": ""}, {}),
    "DateTime64(6, 'UTC')": (
        datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
    ),
    "Date": (date(2149, 6, 6), date(1970, 1, 1)),
    "UUID": (uuid.UUID(int=2**128 - 1), uuid.UUID(int=0)),
    "Decimal(38, 9)": (Decimal("-12345678901234567890123456789.123456789"), Decimal("0.000000001")),
    "Tuple(a Int8, b String)": ({"a": -1, "b": "é"}, {"a": 0, "b": ""}),
    "Enum8('pilot' = 1, 'production' = 2)": ("production", "pilot"),
    "Float64": (1.5, -0.1),
    "IPv4": (IPv4Address("255.255.255.255"), IPv4Address("10.0.0.1")),
    "FixedString(4)": (b"ab\0d", b"abcd"),
    "Bool": (True, False),
}


def code_of(client: Client, query: str) -> tuple[int | None, str | None]:
    with pytest.raises(DatabaseError) as raised:
        client.query(query)
    return raised.value.code, raised.value.name


def test_the_server_says_its_version_and_that_it_runs_in_utc(client: Client) -> None:
    assert client.server_version == client.command("SELECT version()")
    assert client.server_tz == UTC
    assert client.protocol_version > 0


@pytest.mark.parametrize("name", TYPES)
def test_a_type_survives_the_round_trip(client: Client, name: str) -> None:
    client.command(f"CREATE TABLE t (n UInt8, value {name}) ENGINE = MergeTree ORDER BY n")
    expected = TYPES[name]
    client.insert("t", list(enumerate(expected)), column_names=["n", "value"])
    result = client.query("SELECT value FROM t ORDER BY n", column_formats={"value": "native"}, query_tz="UTC")
    values = [value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for (value,) in result.result_rows]
    assert values == list(expected)
    assert result.column_types[0].name.replace("`", "") == name


def test_a_million_rows_go_in_as_native_blocks_and_come_back_as_a_stream(client: Client) -> None:
    client.command("CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
    numbers = list(range(ROWS))
    summary = client.insert("t", [numbers, [f"task-{n}" for n in numbers]], ["a", "s"], column_oriented=True)
    assert summary.written_rows == ROWS
    with client.query_row_block_stream("SELECT a, s FROM t ORDER BY a") as blocks:
        assert sum(a for block in blocks for a, _ in block) == sum(numbers)
    assert client.query("SELECT s FROM t WHERE a = 999999").result_rows == [("task-999999",)]


@pytest.mark.parametrize("form", [False, True], ids=["in the URL", "as a form"])
def test_parameters_arrive_as_they_are(connect: Connect, form: bool) -> None:
    client = connect(form_encode_query_params=form)
    parameters = {
        "texts": HOSTILE,
        "text": HOSTILE[0],
        "nothing": None,
        "count": 2**64 - 1,
        "at": datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC),
    }
    query = (
        "SELECT {texts:Array(String)}, {text:String}, {nothing:Nullable(Int8)}, {count:UInt64},"
        " toUnixTimestamp64Micro({at:DateTime64(6, 'UTC')})"
    )
    expected = (HOSTILE, HOSTILE[0], None, 2**64 - 1, 1767323045123456)
    assert client.query(query, parameters=parameters).result_rows == [expected]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_parameter_is_a_value_wherever_it_stands(client: Client, text: str) -> None:
    client.command("CREATE TABLE t (s String) ENGINE = MergeTree ORDER BY s")
    client.command("INSERT INTO t SELECT {s:String}", parameters={"s": text})
    assert client.query("SELECT count() FROM t WHERE s = {s:String}", parameters={"s": text}).result_rows == [(1,)]


def test_an_identifier_can_be_a_parameter(client: Client) -> None:
    client.command("CREATE TABLE `odd name; --` (s String) ENGINE = MergeTree ORDER BY s")
    query = "SELECT count() FROM {name:Identifier}"
    assert client.query(query, parameters={"name": "odd name; --"}).result_rows == [(0,)]


def test_the_settings_of_a_query_end_with_it(client: Client) -> None:
    ask = "SELECT getSetting('max_block_size')"
    usual = client.query(ask).result_rows
    assert client.query(ask, settings={"max_block_size": 123}).result_rows == [(123,)]
    assert client.query(ask).result_rows == usual


def test_a_session_keeps_its_temporary_tables_and_settings_to_itself(connect: Connect) -> None:
    one, other = connect(session_id=uuid.uuid4().hex), connect(session_id=uuid.uuid4().hex)
    one.command("CREATE TEMPORARY TABLE mine (a UInt8)")
    one.command("INSERT INTO mine VALUES (7)")
    one.command("SET max_block_size = 77")
    assert one.query("SELECT a, getSetting('max_block_size') FROM mine").result_rows == [(7, 77)]
    assert code_of(other, "SELECT a FROM mine") == (60, "UNKNOWN_TABLE")
    assert other.query("SELECT getSetting('max_block_size')").result_rows != [(77,)]


@pytest.mark.parametrize(
    ("form", "data", "expected"),
    [
        ("JSONCompactEachRow", b'[1, "a\\nb"]\n[18446744073709551615, null]\n', [(1, "a\nb"), (2**64 - 1, None)]),
        ("JSONEachRow", b'{"s": "x", "a": 1}\n{"a": 2}\n', [(1, "x"), (2, None)]),
        ("CSV", b'1,"a,b"\n2,\\N\n', [(1, "a,b"), (2, None)]),
        ("TabSeparated", b"1\ta\\tb\n2\t\\N\n", [(1, "a\tb"), (2, None)]),
        ("RowBinary", (1).to_bytes(8, "little") + b"\x00\x01z", [(1, "z")]),
    ],
)
def test_a_raw_insert_reads_the_format(client: Client, form: str, data: bytes, expected: list[object]) -> None:
    client.command("CREATE TABLE t (a UInt64, s Nullable(String)) ENGINE = MergeTree ORDER BY a")
    client.raw_insert("t", column_names=["a", "s"], insert_block=data, fmt=form)
    assert client.query("SELECT a, s FROM t ORDER BY a").result_rows == expected


@pytest.mark.parametrize("compression", ["lz4", "zstd", "gzip"])
def test_blocks_are_compressed_both_ways(connect: Connect, compression: str) -> None:
    client = connect(compress=compression)
    client.command("CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
    client.insert("t", [[n, "é" * 100] for n in range(1000)], column_names=["a", "s"])
    rows = client.query("SELECT a, s FROM t ORDER BY a").result_rows
    assert (len(rows), rows[-1]) == (1000, (999, "é" * 100))


@pytest.mark.parametrize(
    ("query", "code", "name"),
    [
        ("SELECT * FROM missing", 60, "UNKNOWN_TABLE"),
        ("SELECT * FROM missing.t", 81, "UNKNOWN_DATABASE"),
        ("SELECT missing", 47, "UNKNOWN_IDENTIFIER"),
        ("SELEC 1", 62, "SYNTAX_ERROR"),
        ("SELECT throwIf(1)", 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("SELECT 1 SETTINGS missing = 1", 115, "UNKNOWN_SETTING"),
    ],
)
def test_an_error_has_the_servers_code_and_name(client: Client, query: str, code: int, name: str) -> None:
    assert code_of(client, query) == (code, name)


def test_a_failed_insert_writes_nothing(client: Client) -> None:
    client.command("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    with pytest.raises(DatabaseError) as raised:
        client.raw_insert("t", insert_block=b"1\n2\nthree\n", fmt="TabSeparated")
    assert raised.value.code == 27
    assert client.query("SELECT count() FROM t").result_rows == [(0,)]


def test_an_error_in_the_middle_of_a_result_is_not_taken_for_its_end(client: Client) -> None:
    query = "SELECT throwIf(number = 3000000) FROM numbers(4000000)"
    with pytest.raises(StreamFailureError), client.query_row_block_stream(query) as blocks:
        for _ in blocks:
            pass


def test_a_batch_that_is_sent_again_with_its_token_is_inserted_once(client: Client) -> None:
    client.command(
        "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100"
    )
    for token in ("one", "one", "two"):
        client.insert("t", [[1], [2]], column_names=["a"], settings={"insert_deduplication_token": token})
    assert client.query("SELECT count() FROM t").result_rows == [(4,)]


def test_the_highest_version_of_a_row_wins_whatever_the_order_of_the_inserts(client: Client) -> None:
    client.command("CREATE TABLE t (k UInt8, seq UInt64, v String) ENGINE = ReplacingMergeTree(seq) ORDER BY k")
    for seq, value in ((2, "new"), (1, "old"), (2, "new")):
        client.insert("t", [[1, seq, value]], column_names=["k", "seq", "v"])
    assert client.query("SELECT v FROM t FINAL").result_rows == [("new",)]
    client.command("OPTIMIZE TABLE t FINAL")
    assert client.query("SELECT v FROM t").result_rows == [("new",)]


def test_a_query_can_bring_its_own_table(client: Client) -> None:
    external = ExternalData(file_name="tasks.csv", data=b"1,a\n2,b\n", fmt="CSV", structure="n UInt8, s String")
    assert client.query("SELECT n, s FROM tasks", external_data=external).result_rows == [(1, "a"), (2, "b")]


def test_a_query_of_no_rows_tells_the_columns(client: Client) -> None:
    assert client.query("SELECT 1 AS a, 'x' AS b LIMIT 0").column_names == ("a", "b")


def test_a_slow_query_holds_nobody_up_and_can_be_killed_by_its_id(connect: Connect, eventually: Eventually) -> None:
    slow, others, query_id = connect(), [connect() for _ in range(8)], uuid.uuid4().hex
    codes: list[int | None] = []

    settings = {"query_id": query_id, "max_block_size": 1, "function_sleep_max_microseconds_per_block": 0}

    def run() -> None:
        with pytest.raises(DatabaseError) as raised:
            slow.query("SELECT sleepEachRow(0.5) FROM numbers(1000)", settings=settings)
        codes.append(raised.value.code)

    thread = threading.Thread(target=run)
    thread.start()
    by_id = {"id": query_id}
    running = "SELECT count() FROM system.processes WHERE query_id = {id:String}"
    eventually(lambda: others[0].query(running, parameters=by_id).result_rows == [(1,)])
    assert [client.query("SELECT 1").result_rows for client in others] == [[(1,)]] * 8
    assert thread.is_alive()
    others[0].command("KILL QUERY WHERE query_id = {id:String} SYNC", parameters=by_id)
    thread.join()
    assert codes == [394]


def test_background_merges_run(client: Client, eventually: Eventually) -> None:
    client.command("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    for number in range(20):
        client.insert("t", [[number]], column_names=["a"])
    parts = "SELECT count() FROM system.parts WHERE database = currentDatabase() AND active"
    eventually(lambda: client.query(parts).result_rows[0][0] < 20)
    assert client.query("SELECT count() FROM t").result_rows == [(20,)]


def test_no_logs_of_queries_are_written(client: Client) -> None:
    client.command("SYSTEM FLUSH LOGS")
    stored = "SELECT count() FROM system.tables WHERE database = 'system' AND engine LIKE '%MergeTree'"
    assert client.query(stored).result_rows == [(0,)]


def test_the_async_client_runs_queries_side_by_side(clickhouse: ClickHouse) -> None:
    async def together() -> list[int]:
        client = await clickhouse_connect.get_async_client(
            host=clickhouse.host, port=clickhouse.port, autogenerate_session_id=False
        )
        try:
            results = await asyncio.gather(
                *(client.query("SELECT {n:UInt8}", parameters={"n": number}) for number in range(50))
            )
        finally:
            await client.close()
        return [result.result_rows[0][0] for result in results]

    assert asyncio.run(together()) == list(range(50))
