"""Objectives, alerts and notifications on ClickHouse. Implements `sinks.objectives.ObjectiveStore`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from clickhouse_connect.driver.client import Client

from sinks.clickhouse.client import Asked, insert_lines, insert_statement, select_lines
from sinks.clickhouse.connection import Connection
from sinks.objectives import (
    ActionRow,
    AdjustmentRow,
    ClaimRow,
    NotificationRow,
    Row,
    RowType,
    StateRow,
    TransitionRow,
    Version,
)

TABLES: Mapping[type[Row], str] = {
    Version: "objective_rows",
    AdjustmentRow: "adjustment_rows",
    ActionRow: "alert_action_rows",
    StateRow: "alert_state_rows",
    TransitionRow: "alert_transition_rows",
    NotificationRow: "notification_rows",
    ClaimRow: "notification_claim_rows",
}

_Struct = TypeVar("_Struct", bound=msgspec.Struct)

_STATES = """SELECT key, newest.1, newest.2, newest.3, newest.4 FROM (
    SELECT key, max((progress, evaluated, revision, state)) AS newest FROM (
        SELECT key, progress, evaluated, revision, state FROM alert_state_rows FINAL
        UNION ALL
        SELECT key, progress, evaluated, revision, state FROM alert_transition_rows FINAL
    ) GROUP BY key
) ORDER BY key"""


class ClickHouseObjectives:
    """Each call is one query; safe in several threads."""

    def __init__(self, connect: Client | Callable[[], Client] | Connection) -> None:
        self._connection = Connection.of(connect)
        self._statements: dict[type[Row], bytes] = {}

    def append(self, rows: Sequence[RowType]) -> None:
        if not rows:
            return
        kind = type(rows[0])
        with self._connection.client() as client:
            statement = self._statements.get(kind)
            if statement is None:
                statement = insert_statement(client, TABLES[kind], kind.__struct_fields__)
                self._statements[kind] = statement
            insert_lines(client, statement, [msgspec.json.encode(row) for row in rows])

    def versions(self) -> list[Version]:
        return self._rows(Version, "ORDER BY workflow, version, applied_at, id")

    def mark(self) -> tuple[int, int]:
        (line,) = self._lines("SELECT count(), max(applied_at) FROM objective_rows FINAL")
        number, newest = msgspec.json.decode(line)
        return int(number), int(newest)

    def adjustments(self) -> list[AdjustmentRow]:
        return self._rows(AdjustmentRow, "ORDER BY at, id")

    def actions(self) -> list[ActionRow]:
        return self._rows(ActionRow, "ORDER BY at, id")

    def states(self) -> dict[str, StateRow]:
        rows = [msgspec.json.decode(line, type=StateRow) for line in self._lines(_STATES)]
        return {row.key: row for row in rows}

    def transitions(self, *, key: str | None = None, since: int = 0, limit: int | None = None) -> list[TransitionRow]:
        terms, parameters = ["at >= {since:UInt32}"], {"since": since, "key": key or "", "limit": limit or 0}
        if key is not None:
            terms.append("key = {key:String}")
        rest = f"WHERE {' AND '.join(terms)} ORDER BY evaluated DESC, revision DESC, id"
        if limit is not None:
            rest += " LIMIT {limit:UInt32}"
        return self._rows(TransitionRow, rest, parameters)

    def notifications(self, transitions: Collection[str]) -> list[NotificationRow]:
        if not transitions:
            return []
        asked = Asked(("transition String",), [(each,) for each in sorted(transitions)])
        rest = "WHERE transition IN asked ORDER BY transition, receiver, delivered"
        return self._rows(NotificationRow, rest, asked=asked)

    def claims(self, transition: str, receiver: str) -> list[ClaimRow]:
        rest = "WHERE transition = {transition:String} AND receiver = {receiver:String} ORDER BY replica"
        return self._rows(ClaimRow, rest, {"transition": transition, "receiver": receiver})

    def _rows(
        self, kind: type[_Struct], rest: str, parameters: Mapping[str, Any] | None = None, asked: Asked | None = None
    ) -> list[_Struct]:
        columns = ", ".join(f"`{name}`" for name in kind.__struct_fields__)
        sql = f"SELECT {columns} FROM {TABLES[kind]} FINAL {rest}"  # type: ignore[index]  # noqa: S608 - our own names
        return [msgspec.json.decode(line, type=kind) for line in self._lines(sql, parameters, asked)]

    def _lines(self, sql: str, parameters: Mapping[str, Any] | None = None, asked: Asked | None = None) -> list[bytes]:
        with self._connection.client() as client:
            return select_lines(client, sql, parameters, asked=asked)
