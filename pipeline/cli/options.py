"""Options that several commands share, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sinks.clickhouse.reads import Question


class Output(StrEnum):
    """How results are written to stdout."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"


Config = Annotated[
    Path | None,
    typer.Option("--config", help="YAML file; also TRUEUP_CONFIG. `trueup config show` lists what it can set."),
]
As = Annotated[Output, typer.Option("--output", help="table for reading, json or ndjson for machines")]
Window = Annotated[str | None, typer.Option("--window", help="one row for each window of this length: 10m, 1h, 1d")]
By = Annotated[
    str | None,
    typer.Option(
        "--by", help="dimensions to group by, separated by commas: case_type,agent_version; or tool,error_type"
    ),
]
Where = Annotated[list[str] | None, typer.Option("--where", help="only DIMENSION=VALUE; may be repeated")]
From = Annotated[
    str | None, typer.Option("--from", help="from this time on: 2026-11-01, 2026-11-01T08:00Z, or 2h for two hours ago")
]
To = Annotated[str | None, typer.Option("--to", help="before this time, written as for --from")]
Files = Annotated[
    list[Path],
    typer.Argument(
        help="files of OTLP/JSON lines: an export request of traces or logs each",
        metavar="FILE...",
        exists=True,
        dir_okay=False,
        readable=True,
    ),
]
Data = Annotated[
    Path | None, typer.Option("--data", help="keep ClickHouse's tables in this folder; else they are temporary")
]


def question(
    *,
    start: str | None = None,
    end: str | None = None,
    window: str | None = None,
    by: str | None = None,
    where: list[str] | None = None,
) -> Question:
    """The question that options ask. Raises typer.BadParameter."""
    from pipeline.config import parse_duration
    from sinks.clickhouse.reads import Question

    try:
        length = None if window is None else parse_duration(window)
        conditions = _conditions(where or ())
        dimensions = [name.strip() for name in by.split(",")] if by else []
        return Question(moment(start), moment(end), length, dimensions, conditions)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _conditions(where: Iterable[str]) -> dict[str, str]:
    """Dimension -> the value it must have. Raises ValueError."""
    conditions: dict[str, str] = {}
    for text in where:
        name, found, value = text.partition("=")
        if not found:
            raise ValueError(f"--where {text}: write DIMENSION=VALUE")
        name = name.strip()
        if name in conditions:
            raise ValueError(f"--where {name} is given twice, and a task has one {name}; give one, or use --by {name}")
        conditions[name] = value
    return conditions


def moment(text: str | None) -> int | None:
    """Seconds since the epoch of the minute of a date, a time, or a duration ago. Raises typer.BadParameter."""
    if text is None:
        return None
    if re.fullmatch(r"[0-9]+[smhd]", text):
        from pipeline.config import parse_duration

        try:
            seconds = datetime.now(UTC).timestamp() - parse_duration(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    else:
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            raise typer.BadParameter(
                f"{text!r} is not a time; write 2026-11-01, 2026-11-01T08:00Z, or 2h for two hours ago"
            ) from None
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    if not 0 <= seconds < 2**32:
        raise typer.BadParameter(f"{text!r} is not a time between 1970 and 2106")
    return int(seconds // 60 * 60)
