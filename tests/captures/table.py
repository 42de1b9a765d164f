"""Writes the table of docs/frameworks.md from what the captures measure: `python -m tests.captures.table`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.captures.measured import CAPTURES, NAMES, NUMBERS, Compared, compare, measure, requests

DOCUMENT = Path(__file__).parents[2] / "docs" / "frameworks.md"
BEGIN, END = "<!-- table: begin (made by `python -m tests.captures.table`) -->", "<!-- table: end -->"
COLUMNS = (*NUMBERS, "status")
HEAD = ("model calls", "input tokens", "output tokens", "tool calls", "tool errors", "status")


def table() -> str:
    """The table, in Markdown: a row a capture."""
    lines = [
        f"| telemetry of | convention | runs | {' | '.join(HEAD)} | cost |",
        f"|{'---|' * (len(HEAD) + 4)}",
    ]
    return "\n".join([*lines, *(_row(name) for name in NAMES)]) + "\n"


def _row(name: str) -> str:
    truth = json.loads((CAPTURES / name / "truth.json").read_text())
    tasks = measure(requests(name)).tasks
    compared = compare(name, tasks)
    cells = [_cell([c for c in compared if c.number == number]) for number in COLUMNS]
    convention = truth["convention"].split(" (")[0]
    return f"| {_packages(truth)} | {convention} | {len(truth['runs'])} | {' | '.join(cells)} | {_cost(tasks)} |"


def _cost(tasks: list[dict[str, Any]]) -> str:
    """How many of the tasks that used tokens, or may have, have a known cost."""
    used = [task for task in tasks if task["input_tokens"] != 0]
    known = sum(task["cost_usd"] is not None for task in used)
    if not used:
        return "no model used"
    return "known" if known == len(used) else f"known for {known} of {len(used)}" if known else "unknown"


def _packages(truth: dict[str, dict[str, str]]) -> str:
    """The framework and its instrumentation, without what every capture has."""
    common = ("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-util-genai", "langchain-core")
    return ", ".join(f"{name} {version}" for name, version in truth["packages"].items() if name not in common)


def _cell(compared: list[Compared]) -> str:
    exact = sum(c.got == c.should for c in compared)
    unknown = sum(c.got is None and c.should is not None for c in compared)
    other = len(compared) - exact - unknown
    if exact == len(compared):
        return "exact"
    said = [f"{exact} of {len(compared)} exact" if exact else "", f"{unknown} unknown" if unknown else ""]
    return ", ".join(filter(None, [*said, f"{other} told otherwise" if other else ""]))


def in_document(text: str) -> str:
    """The document with the table of today."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}{END}{tail}"


if __name__ == "__main__":
    DOCUMENT.write_text(in_document(DOCUMENT.read_text()))
