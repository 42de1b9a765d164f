"""Which of ClickHouse's errors are waited out, which ask for a person, and which stop the worker."""

from __future__ import annotations

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from sinks.clickhouse.client import BARRED_CODES, REFUSED_CODES, translated
from sinks.port import Barred, Refused, Transient, Unable

TRANSIENT = {
    "CANNOT_READ_ALL_DATA: an insert was cut off on its way": 33,
    "TIMEOUT_EXCEEDED": 159,
    "TOO_MANY_SIMULTANEOUS_QUERIES": 202,
    "NO_FREE_CONNECTION": 203,
    "SOCKET_TIMEOUT": 209,
    "NETWORK_ERROR": 210,
    "MEMORY_LIMIT_EXCEEDED": 241,
    "TABLE_IS_READ_ONLY": 242,
    "NOT_ENOUGH_SPACE": 243,
    "UNEXPECTED_ZOOKEEPER_ERROR": 244,
    "TOO_MANY_PARTS": 252,
    "TOO_FEW_LIVE_REPLICAS": 285,
    "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE": 286,
    "UNKNOWN_STATUS_OF_INSERT": 319,
    "QUERY_WAS_CANCELLED": 394,
    "CANNOT_SCHEDULE_TASK": 439,
    "an error that nobody has heard of": 9_999,
}
BARRED = {
    "NO_SUCH_COLUMN_IN_TABLE": (16, "trueup migrate"),
    "UNKNOWN_TABLE": (60, "trueup migrate"),
    "UNKNOWN_DATABASE": (81, "trueup migrate"),
    "TABLE_IS_DROPPED": (218, "trueup migrate"),
    "REQUIRED_PASSWORD": (194, "clickhouse.password_file"),
    "AUTHENTICATION_FAILED": (516, "clickhouse.password_file"),
    "ACCESS_DENIED": (497, "grant"),
    "READONLY": (164, "grant"),
}
REFUSED = {"CANNOT_PARSE_TEXT": 6, "TYPE_MISMATCH": 53, "SYNTAX_ERROR": 62, "INCORRECT_DATA": 117}


def raised(code: int | None) -> Exception:
    """What a server's error with this code becomes."""
    with pytest.raises((Transient, Refused)) as found, translated():
        raise DatabaseError(f"Code: {code}. DB::Exception: said so\nat line 2", code=code)
    return found.value


@pytest.mark.parametrize("name", TRANSIENT)
def test_it_may_pass_so_it_is_tried_again(name: str) -> None:
    assert type(raised(TRANSIENT[name])) is Unable


def test_what_answers_without_a_code_is_not_clickhouse() -> None:
    with pytest.raises(Transient) as found, translated():
        raise DatabaseError("HTTP driver received HTTP status 502")
    assert type(found.value) is Transient


@pytest.mark.parametrize("name", BARRED)
def test_a_person_is_told_what_to_do_and_it_is_tried_again(name: str) -> None:
    code, fix = BARRED[name]
    error = raised(code)
    assert isinstance(error, Barred)
    assert fix in error.fix
    assert str(error) == f"Code: {code}. DB::Exception: said so; {error.fix}"


@pytest.mark.parametrize("name", REFUSED)
def test_what_we_sent_is_wrong_so_it_is_not_tried_again(name: str) -> None:
    assert type(raised(REFUSED[name])) is Refused


def test_no_code_is_of_two_kinds() -> None:
    assert not REFUSED_CODES & BARRED_CODES.keys()
    assert not set(TRANSIENT.values()) & (REFUSED_CODES | BARRED_CODES.keys())


def test_an_error_of_the_connection_tells_its_cause_and_not_the_address_with_its_settings() -> None:
    error = OperationalError("Error executing HTTP request http://h:1/?secret=x")
    error.__cause__ = ConnectionRefusedError("Connection refused")
    with pytest.raises(Transient) as found, translated():
        raise error
    assert str(found.value) == "Connection refused"
