"""Objectives, alerts and notifications on ClickHouse. Implements `sinks.objectives.ObjectiveStore`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from clickhouse_connect.driver.client import Client

from sinks.clickhouse.client import Asked, insert_lines, insert_statement, select_lines
from sinks.clickhouse.connection import Connection
from sinks.objectives import (
    OVERTAKEN,
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

# The history grows for ever, so its JSON is read only where no newer state is stored: which, its short columns tell.
_STATES = f"""SELECT key, newest.1, newest.2, newest.3, newest.4 FROM (
    SELECT key, max((progress, evaluated, revision, state)) AS newest FROM (
        SELECT key, progress, evaluated, revision, state FROM alert_state_rows FINAL
        UNION ALL
        SELECT key, progress, evaluated, revision, state FROM alert_transition_rows
        PREWHERE (key, progress, evaluated, revision) IN (
            SELECT key, history.1, history.2, history.3 FROM (
                SELECT key, maxIf((progress, evaluated, revision), past) AS history,
                    maxIf((progress, evaluated, revision), NOT past) AS stored
                FROM (
                    SELECT key, progress, evaluated, revision, true AS past FROM alert_transition_rows
                    WHERE evaluated >= (SELECT max(evaluated) FROM alert_state_rows) - {OVERTAKEN}
                    UNION ALL
                    SELECT key, progress, evaluated, revision, false FROM alert_state_rows
                ) GROUP BY key HAVING history >= stored
            )
        )
    ) GROUP BY key
) ORDER BY key"""  # noqa: S608 - our own number

_NEWEST_FIRST = "ORDER BY evaluated DESC, revision DESC, id"

_LAST_TOLD = f"""PREWHERE (key, evaluated, revision) IN (
    SELECT key, newest.1, newest.2 FROM (
        SELECT key, max((evaluated, revision)) AS newest FROM alert_transition_rows WHERE notifies GROUP BY key
    )
) WHERE notifies {_NEWEST_FIRST} LIMIT 1 BY key"""  # noqa: S608 - our own text


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

    def transitions(
        self,
        *,
        key: str | None = None,
        workflow: str | None = None,
        since: int = 0,
        told: bool = False,
        limit: int | None = None,
    ) -> list[TransitionRow]:
        given = {"since": since, "key": key, "workflow": workflow, "limit": limit}
        terms = ["at >= {since:UInt32}"]
        terms += [f"{name} = {{{name}:String}}" for name in ("key", "workflow") if given[name] is not None]
        # Else FINAL would read all columns of all lines first.
        rest = f"PREWHERE {' AND '.join(terms)} {'WHERE notifies' if told else ''} {_NEWEST_FIRST}"
        if limit is not None:
            rest += " LIMIT {limit:UInt32}"
        return self._rows(TransitionRow, rest, {name: value for name, value in given.items() if value is not None})

    def last_told(self) -> list[TransitionRow]:
        return self._rows(TransitionRow, _LAST_TOLD)

    def subjects(self) -> dict[str, tuple[str, str, str]]:
        sql = "SELECT key, any(workflow), any(slo), any(objective) FROM alert_transition_rows GROUP BY key"
        found = (msgspec.json.decode(line, type=tuple[str, str, str, str]) for line in self._lines(sql))
        return {key: (workflow, slo, objective) for key, workflow, slo, objective in found}

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
