"""What reports read: counts of windows, the tasks behind them, one task's story. Only through the views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from schemas.rows import COUNTS
from schemas.words import ACTION_DIMENSIONS, DIMENSIONS
from sinks.clickhouse.client import select_lines

OPEN_COUNTS = (
    "actions", "action_errors", "model_calls", "tool_calls", "tool_errors", "input_tokens",
    "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
)  # fmt: skip
"""What tasks that are still open add to a report, under the minute of their last event."""
OF_TASKS = ("tasks_open", "tasks_usage_unknown")
"""What a report counts of the rows of tasks: those that are open, and those of which some tokens are unknown, so that
sums of tokens are too low."""


@dataclass(frozen=True)
class Question:
    """Which windows, and how they are grouped. Times in seconds since the epoch."""

    start: int | None = None
    """From this minute on."""
    end: int | None = None
    """Before this minute."""
    window: int | None = None
    """Length in seconds; None: one row for the whole time."""
    by: Sequence[str] = ()
    where: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (*self.by, *self.where):
            if name not in (*DIMENSIONS, *ACTION_DIMENSIONS):
                raise ValueError(
                    f"{name} is not a dimension; choose of {', '.join(DIMENSIONS)}, "
                    f"or for a report about actions of {', '.join(ACTION_DIMENSIONS)}"
                )
        if self.window is not None and (self.window < 60 or self.window % 60):
            raise ValueError(f"a window of {self.window} s: windows are whole minutes")

    @property
    def about_actions(self) -> bool:
        """Whether only the actions themselves can answer (`actions.count`), and not the counts of their tasks."""
        return any(name in ACTION_DIMENSIONS for name in (*self.by, *self.where))


@dataclass(frozen=True)
class Counted:
    """The counts of one group."""

    window: int | None
    by: dict[str, str]
    counts: dict[str, int]
    """COUNTS and OF_TASKS."""
    cycle_us: dict[int, int]
    latency_us: dict[int, int]
    scores: dict[str, tuple[int, int]]


def count(client: Client, question: Question) -> list[Counted]:
    """The counts of finished, abandoned and open tasks, by window and dimensions, in their order."""
    by = list(question.by)
    where, parameters = conditions(question)
    bucket = "toInt64(intDiv(toUnixTimestamp(minute), {window:UInt32}) * {window:UInt32})"
    window = bucket if question.window is not None else "toInt64(-1)"
    group = ", ".join(["bucket", *by])
    sums = ", ".join(f"sum({_wide(name)}) AS {name}" for name in (*COUNTS, *OF_TASKS))
    work = ", ".join(f"{f'if(is_open, {name}, 0)' if name in OPEN_COUNTS else '0'} AS {name}" for name in COUNTS)
    dimensions = ", ".join(DIMENSIONS)
    sql = f"""
        SELECT {group}, {sums},
            sumMap(cycle_us), sumMap(latency_us),
            sumMap(mapKeys(scores), mapValues(scores).1, mapValues(scores).2)
        FROM (
            SELECT {window} AS bucket, * FROM (
                SELECT minute, {dimensions}, {", ".join(COUNTS)}, 0 AS tasks_open, 0 AS tasks_usage_unknown,
                    cycle_us, latency_us, scores
                FROM windows
                UNION ALL
                SELECT toStartOfMinute(if(status = 'finished', claim_at, last_at)) AS minute,
                    {dimensions.replace("case_type", "if(case_type = '', 'unclassified', case_type) AS case_type")},
                    {work}, is_open AS tasks_open, is_unknown AS tasks_usage_unknown,
                    CAST(map(), 'Map(UInt16, UInt64)') AS cycle_us,
                    if(is_open, latency_us, CAST(map(), 'Map(UInt16, UInt64)')) AS latency_us,
                    CAST(map(), 'Map(String, Tuple(UInt64, Int64))') AS scores
                FROM (
                    SELECT *, status = 'open' AS is_open,
                        usage_known < model_calls OR untold_successes > 0 AS is_unknown
                    FROM tasks WHERE status IN ('open', 'finished', 'abandoned')
                ) WHERE is_open OR is_unknown
            ) WHERE {where}
        ) GROUP BY {group} ORDER BY {group}"""  # noqa: S608 - names are checked against DIMENSIONS and COUNTS
    if question.window is not None:
        parameters["window"] = question.window
    return [_counted(msgspec.json.decode(line), by, question) for line in select_lines(client, sql, parameters)]


def _wide(count: str) -> str:
    """A count to add up. Tokens and money of all windows together may be more than 64 bits hold."""
    return f"toUInt128({count})" if count.endswith(("_tokens", "_nano")) else count


def conditions(question: Question) -> tuple[str, dict[str, Any]]:
    """The condition on `minute` and on the dimensions of a task, and the values that it takes as parameters."""
    terms, parameters = matches(question)
    if question.start is not None:
        terms.append("minute >= toDateTime({start:UInt32}, 'UTC')")
        parameters["start"] = question.start
    if question.end is not None:
        terms.append("minute < toDateTime({end:UInt32}, 'UTC')")
        parameters["end"] = question.end
    return " AND ".join(terms), parameters


def matches(question: Question) -> tuple[list[str], dict[str, Any]]:
    """The conditions on the dimensions of a task alone."""
    terms, parameters = ["1"], dict[str, Any]()
    for i, (name, value) in enumerate(question.where.items()):
        if name in DIMENSIONS:
            terms.append(f"{name} = {{where_{i}:String}}")
            parameters[f"where_{i}"] = value
    return terms, parameters


def _counted(values: list[Any], by: list[str], question: Question) -> Counted:
    bucket, *rest = values
    dims, rest = dict(zip(by, rest[: len(by)], strict=True)), rest[len(by) :]
    n = len(COUNTS) + len(OF_TASKS)
    counts = dict(zip((*COUNTS, *OF_TASKS), map(int, rest[:n]), strict=True))
    cycle, latency, (names, ns, totals) = rest[n:]
    return Counted(
        int(bucket) if question.window is not None else None,
        dims,
        counts,
        {int(k): v for k, v in cycle.items()},
        {int(k): v for k, v in latency.items()},
        {name: (k, total) for name, k, total in zip(names, ns, totals, strict=True)},
    )


def tasks(client: Client, question: Question, *, limit: int | None = None) -> list[dict[str, Any]]:
    """The rows of the tasks of a question, by their last event; `limit` of the newest."""
    where, parameters = conditions(question)
    window = "if(status = 'finished', claim_at, last_at)"
    sql = f"""
        SELECT * FROM (
            SELECT * REPLACE (if(case_type = '', 'unclassified', case_type) AS case_type),
                toStartOfMinute({window}) AS minute
            FROM tasks
        ) WHERE {where} ORDER BY last_at DESC, task_id"""  # noqa: S608 - as above
    if limit is not None:
        sql += " LIMIT {limit:UInt32}"
        parameters["limit"] = limit
    return dictionaries(client, sql, parameters)


def events_of(client: Client, task_id: str) -> list[dict[str, Any]]:
    """Every raw event of a task, in the order of their times."""
    return dictionaries(client, "SELECT * FROM events WHERE task_id = {id:String} ORDER BY at, seq", {"id": task_id})


def task(client: Client, task_id: str) -> list[dict[str, Any]]:
    """The rows of a task: one, unless an epoch has ended."""
    return dictionaries(client, "SELECT * FROM tasks WHERE task_id = {id:String} ORDER BY epoch", {"id": task_id})


def task_of_trace(client: Client, trace_id: str) -> list[str]:
    """The tasks that a trace belongs to."""
    sql = "SELECT DISTINCT task_id FROM events WHERE trace_id = {id:String}"
    return [row["task_id"] for row in dictionaries(client, sql, {"id": trace_id})]


def dictionaries(client: Client, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The rows of a query by column name, with ClickHouse's text for times."""
    lines = select_lines(client, sql, parameters, fmt="JSONCompactEachRowWithNames")
    if not lines:
        return []
    names = msgspec.json.decode(lines[0])
    return [dict(zip(names, msgspec.json.decode(line), strict=True)) for line in lines[1:]]
