"""What a report tells beside its windows: money spent on a workflow over a period, and business outcomes."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from clickhouse_connect.driver.client import Client

from schemas.words import DIMENSIONS
from sinks.clickhouse.client import select_lines
from sinks.clickhouse.reads import Question, conditions, matches


class PeriodCost(NamedTuple):
    """Costs of one category that a workflow had over periods. They are of no task."""

    workflow: str
    category: str
    periods: int
    start: int
    """When the first period begins, in seconds."""
    end: int
    """When the last one ends."""
    nano: int
    """Of the whole periods, also where only a part of one is asked for."""


class Outcomes(NamedTuple):
    """Business outcomes of one name."""

    workflow: str
    name: str
    n: int
    micro: int
    """Sum of their values, in millionths."""


def period_costs(client: Client, question: Question) -> list[PeriodCost]:
    """The costs of the periods that overlap the time of a question. Its conditions are on what the cost itself says."""
    terms, parameters = matches(question)
    if question.start is not None:
        terms.append("toUnixTimestamp64Micro(if(at = start, at + INTERVAL 1 MICROSECOND, at)) > {from:Int64}")
        parameters["from"] = question.start * 1_000_000
    if question.end is not None:
        terms.append("toUnixTimestamp64Micro(start) < {to:Int64}")
        parameters["to"] = question.end * 1_000_000
    sql = f"""
        SELECT workflow, name, count(), toInt64(min(toUnixTimestamp64Second(start))),
            toInt64(max(toUnixTimestamp64Second(at))), sum(cost)
        FROM events
        WHERE task_id = '' AND kind = 'cost' AND {" AND ".join(terms)}
        GROUP BY workflow, name ORDER BY workflow, name"""  # noqa: S608 - names are checked against DIMENSIONS
    return [PeriodCost(*msgspec.json.decode(line)) for line in select_lines(client, sql, parameters)]


def outcomes(client: Client, question: Question) -> list[Outcomes]:
    """Those of tasks count where their task counts, those of a workflow in the minute of their own time."""
    where, parameters = conditions(question)
    told = "SELECT task_id FROM raw_events WHERE kind = 'outcome'"
    dimensions = ", ".join(
        f"if(is_placed, task.{name}, event.{name}) AS {name}" for name in DIMENSIONS if name != "case_type"
    )
    sql = f"""
        SELECT workflow, name, count(), sum(number)
        FROM (
            SELECT event.name AS name, event.number AS number, {dimensions},
                if(is_placed AND task.case_type != '', task.case_type, 'unclassified') AS case_type,
                if(is_placed, task.minute, toStartOfMinute(event.at)) AS minute
            FROM (SELECT * FROM events WHERE kind = 'outcome' AND task_id IN ({told})) AS event
            LEFT JOIN (
                SELECT *, status IN ('open', 'finished', 'abandoned') AS is_placed,
                    toDateTime(toStartOfMinute(if(status = 'finished', claim_at, last_at)), 'UTC') AS minute
                FROM tasks WHERE task_id IN ({told})
            ) AS task USING (epoch, partition, task_id)
            WHERE task.status != 'linked'
        ) WHERE {where}
        GROUP BY workflow, name ORDER BY workflow, name
        SETTINGS join_use_nulls = 0, prefer_column_name_to_alias = 0"""  # noqa: S608 - as above
    return [Outcomes(*msgspec.json.decode(line)) for line in select_lines(client, sql, parameters)]
