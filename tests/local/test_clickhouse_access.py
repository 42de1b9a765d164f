"""Who can reach the server's port can use the databases, and nothing else of the machine."""

from collections.abc import Callable
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from deploy.local.clickhouse import main
from deploy.local.process import ChildProcess

ACCESS_DENIED = 497
REQUIRED_PASSWORD = 194
AUTHENTICATION_FAILED = 516


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM file('{secret}', 'LineAsString')",
        "SELECT * FROM `{secret}`",
        "SELECT * FROM _overlay.`{secret}`",
        "SELECT * FROM url('file://{secret}', 'LineAsString')",
        "CREATE TABLE t (s String) ENGINE = File(LineAsString, '{secret}')",
        "CREATE TABLE t (s String) ENGINE = URL('http://127.0.0.1:1/', LineAsString)",
        "CREATE DATABASE files ENGINE = Filesystem('{folder}')",
        "INSERT INTO FUNCTION file('{folder}/written', 'TSV', 's String') VALUES ('x')",
        "SELECT 1 INTO OUTFILE '{folder}/written'",
        "BACKUP DATABASE default TO File('{folder}/written')",
        "SELECT * FROM executable('cat {secret}', 'LineAsString', 's String')",
        "SELECT * FROM remote('127.0.0.1:1', system.one)",
        "CREATE USER other",
        "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = local, path = '{folder}/')",
    ],
)
def test_files_programs_and_other_servers_are_out_of_reach(client: Client, tmp_path: Path, statement: str) -> None:
    (tmp_path / "secret").write_text("secret\n")
    with pytest.raises(DatabaseError) as raised:
        client.command(statement.format(secret=tmp_path / "secret", folder=tmp_path))
    assert "secret\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize(
    "source", ["file(path '{secret}' format 'LineAsString')", "executable(command 'id' format 'TSV')"]
)
def test_a_dictionary_reads_no_file_and_runs_no_program(client: Client, tmp_path: Path, source: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("1\n")
    definition = f"(k UInt64, v String) PRIMARY KEY k SOURCE({source.format(secret=secret)})"
    with pytest.raises(DatabaseError):  # some sources are refused at once, some when they are read
        create_and_read(client, f"CREATE DICTIONARY d {definition} LIFETIME(0) LAYOUT(FLAT())")


def create_and_read(client: Client, statement: str) -> None:
    client.command(statement)
    client.query("SELECT * FROM d")


def test_with_an_account_only_its_user_can_use_the_databases(
    tmp_path: Path, serve: Callable[..., tuple[ChildProcess, int]]
) -> None:
    password = "<p&ss 'word"
    file = tmp_path / "password"
    file.write_text(f"{password}\n")
    _, port = serve("--user", "analyst", "--password-file", str(file))

    def run_as(user: str, password: str, statement: str) -> object:
        with clickhouse_connect.get_client(host="127.0.0.1", port=port, username=user, password=password) as client:
            return client.command(statement)

    def refusal(*arguments: str) -> int | None:
        with pytest.raises(DatabaseError) as raised:
            run_as(*arguments)
        return raised.value.code

    run_as("analyst", password, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
    assert run_as("analyst", password, "SELECT count() FROM t") == 0
    assert refusal("analyst", "wrong", "SELECT 1") == AUTHENTICATION_FAILED
    assert refusal("default", password, "SELECT 1") == REQUIRED_PASSWORD
    for statement in ("SELECT * FROM t", "INSERT INTO t VALUES (1)", "DROP TABLE t", "CREATE DATABASE other"):
        assert refusal("default", "", statement) == ACCESS_DENIED


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "192.0.2.1"], "--user and --password-file"),
        (["--user", "analyst"], "go together"),
        (["--user", "an><alyst", "--password-file", "{file}"], "letters"),
        (["--user", "default", "--password-file", "{file}"], "choose another name"),
        (["--user", "analyst", "--password-file", "{file}.missing"], "No such file"),
    ],
)
def test_an_unsafe_or_incomplete_account_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    file = tmp_path / "password"
    file.write_text("secret")
    assert main([argument.format(file=file) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
