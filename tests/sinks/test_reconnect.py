"""The store connects when it must, and again after ClickHouse did not let it in."""

from __future__ import annotations

from typing import Any

import pytest

from sinks.clickhouse import store
from sinks.clickhouse.store import ClickHouseStore
from sinks.port import Barred, Transient


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """With which client each query was made; what `error` names is raised instead of an answer."""
    clients: list[Any] = []

    def select_lines(client: Any, *_: Any, **__: Any) -> list[bytes]:
        clients.append(client)
        if client in ERRORS:
            raise ERRORS[client]
        return [b"[7,1]"]

    monkeypatch.setattr(store, "select_lines", select_lines)
    return clients


ERRORS: dict[str, Exception] = {"barred": Barred("no", "do"), "away": Transient("gone")}


def connecting(*clients: str) -> ClickHouseStore:
    """A store that is given these clients, one for each time that it connects."""
    return ClickHouseStore(iter(clients).__next__)  # type: ignore[arg-type]


def test_it_connects_once_for_many_queries(asked: list[Any]) -> None:
    rows = connecting("first", "second")
    assert [rows.newest_window(0), rows.newest_window(0)] == [7, 7]
    assert asked == ["first", "first"]


def test_it_connects_anew_after_it_was_not_let_in(asked: list[Any]) -> None:
    rows = connecting("barred", "second")
    with pytest.raises(Barred):
        rows.newest_window(0)
    assert rows.newest_window(0) == 7
    assert asked == ["barred", "second"]


def test_it_stays_connected_when_clickhouse_is_only_away(asked: list[Any]) -> None:
    rows = connecting("away", "second")
    for _ in range(2):
        with pytest.raises(Transient):
            rows.newest_window(0)
    assert asked == ["away", "away"]


def test_it_does_not_connect_before_it_is_asked(asked: list[Any]) -> None:
    connecting()
    assert asked == []
