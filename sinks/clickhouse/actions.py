"""Reports about actions: each action once, by what it is, which tool, model or agent, and how it failed.

Windows count actions by their task. Which of a task's tools failed only its raw events tell, so this reads
them: it takes as long as an audit of the same tasks, and needs the same memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from schemas.units import UINT64_MAX
from schemas.words import DIMENSIONS
from sinks.clickhouse.audit import batches, bounds_of, sql_of
from sinks.clickhouse.client import select_lines
from sinks.clickhouse.reads import Question, conditions

COUNTS = (
    "actions", "action_errors", "model_uses", "usage_known", "input_tokens", "output_tokens",
    "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
)  # fmt: skip
"""What is counted of actions. `model_uses` are model calls and embeddings, `usage_known` those that told their tokens,
or failed and so used none."""

_SUMS = ", ".join(
    ["count()", "countIf(has_failed)", "countIf(uses_model)", "countIf(is_usage_known)"]
    + [f"sum({name})" for name in COUNTS[4:]]
)
_END_OF_TIME = 2**32 - 1


@dataclass
class Actions:
    """The counts of one group of actions."""

    window: int | None
    by: dict[str, str]
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    latency_us: dict[int, int] = field(default_factory=dict)
    of_actions: int = 0
    """Actions of the group whatever came of them: what errors of a class are a share of."""

    def add(self, counts: list[int], latency_us: dict[str, int]) -> None:
        """More actions of the group."""
        for name, n in zip(COUNTS, counts, strict=True):
            self.counts[name] += int(n)
        for index, n in latency_us.items():
            self.latency_us[int(index)] = self.latency_us.get(int(index), 0) + n


def count(client: Client, question: Question) -> list[Actions]:
    """The actions of finished, abandoned and open tasks, by window and dimensions, in their order."""
    by = list(dict.fromkeys([*question.by, *(["error_type"] if "error_type" in question.where else [])]))
    found: dict[tuple[str, ...], Actions] = {}
    for values in _rows(client, question, by):
        (slot, *names), (*counts, latency_us) = values[: len(by) + 1], values[len(by) + 1 :]
        group = Actions(int(slot) if question.window is not None else None, dict(zip(by, names, strict=True)))
        found.setdefault((f"{slot:>20}", *names), group).add(counts, latency_us)
    whole: dict[tuple[int | None, tuple[str, ...]], int] = {}
    for group in found.values():
        whole[_but_error(group)] = whole.get(_but_error(group), 0) + group.counts["actions"]
    for group in found.values():
        group.of_actions = whole[_but_error(group)]
    wanted = question.where.get("error_type")
    kept = [found[key] for key in sorted(found) if wanted is None or found[key].by["error_type"] == wanted]
    for group in kept:
        group.by = {name: group.by[name] for name in question.by}
    return kept


def _but_error(group: Actions) -> tuple[int | None, tuple[str, ...]]:
    return group.window, tuple(value for name, value in group.by.items() if name != "error_type")


def _rows(client: Client, question: Question, by: list[str]) -> Iterator[list[Any]]:
    """The groups in each epoch, and in as many partitions as one query reads together."""
    sql, parameters = _sql(question, by)
    whole = question.start is None and question.end is None
    parameters |= {"whole": int(whole), "start": question.start or 0, "end": question.end or _END_OF_TIME}
    for line in select_lines(client, "SELECT DISTINCT epoch FROM task_rows ORDER BY epoch"):
        (epoch,) = msgspec.json.decode(line)
        for batch in batches(bounds_of(client, {"epoch": epoch, "start": 0})):
            partitions = [bound.partition for bound in batch]
            bounds = {"epoch": epoch, "partitions": partitions, "ends": [UINT64_MAX] * len(batch)}
            for row in select_lines(client, sql, parameters | bounds):
                yield msgspec.json.decode(row)


def _sql(question: Question, by: list[str]) -> tuple[str, dict[str, Any]]:
    of_tasks, parameters = conditions(question)
    window, terms = "-1", [of_tasks]
    if question.window is not None:
        window = "intDiv(toUnixTimestamp(minute), {window:UInt32}) * {window:UInt32}"
        parameters["window"] = question.window
    for i, (name, value) in enumerate(question.where.items()):
        if name not in DIMENSIONS and name != "error_type":
            terms.append(f"{name} = {{action_{i}:String}}")
            parameters[f"action_{i}"] = value
    asked = {*by, *question.where}
    agent = ["if(acting_agent = '', told_agent, acting_agent) AS action_agent"] if "action_agent" in asked else []
    runs = "LEFT JOIN acting USING (id)" if agent else ""
    columns = ", ".join([*DIMENSIONS, "minute", "counted_actions.*", *agent])
    group = ", ".join(["slot", *by])
    sql = f"""
        SELECT {group}, {_SUMS}, sumMap(map(took, toUInt64(1)))
        FROM (
            SELECT *, toInt64({window}) AS slot
            FROM (SELECT {columns} FROM counted_actions INNER JOIN task_of USING (partition, task_id) {runs})
            WHERE {" AND ".join(terms)}
        )
        GROUP BY {group}
        SETTINGS join_use_nulls = 0, prefer_column_name_to_alias = 1, optimize_and_compare_chain = 0"""  # noqa: S608 - names are of a Question, checked
    return "\n".join([sql_of("spans"), (files("sinks.clickhouse") / "actions.sql").read_text(), sql]), parameters
