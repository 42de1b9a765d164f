"""Results on stdout: JSON for machines, tables for people. What came from outside is text, never markup."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.options import Output


def to_stderr() -> Console:
    """Where progress and messages go."""
    return Console(stderr=True)


def emit(value: Any) -> None:
    """One JSON document."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=1).decode() + "\n")


def emit_rows(rows: Sequence[dict[str, Any]], output: Output, columns: Sequence[str], *, key: str = "rows") -> None:
    """Rows in the format that was asked for; a table has only `columns`."""
    if output is Output.JSON:
        emit({key: rows})
    elif output is Output.NDJSON:
        for row in rows:
            sys.stdout.write(msgspec.json.encode(row).decode() + "\n")
    else:
        print_table(columns, ([row.get(name) for name in columns] for row in rows))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table on stdout, whole even where the terminal is narrow."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(Text(plain(name)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(value)) for value in row))
    console = Console(width=None if sys.stdout.isatty() else 240)
    console.print(table)


def plain(value: Any) -> str:
    """A value as a person reads it; what is unknown is a dash. Control characters are shown, not obeyed."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        value = ", ".join(f"{k}={plain(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        value = ", ".join(map(plain, value))
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))


def span(seconds: float | None) -> str:
    """A time span in the unit that a person would choose."""
    if seconds is None:
        return "-"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def percent(metric: dict[str, Any]) -> str:
    """A rate with its parts and its interval."""
    if metric["value"] is None:
        return "-"
    parts = f"{metric['numerator']:g}/{metric['denominator']:g}"
    return f"{metric['value']:.1%} {parts} [{metric['low'] * 100:.0f}, {metric['high'] * 100:.0f}]"
