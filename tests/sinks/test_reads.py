"""Nobody forgets FINAL: who reads says a view, or FINAL, or is listed here with the reason why he need not."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
READERS = ("pipeline", "sinks", "deploy", "schemas")
PLAIN = re.compile(r"\b(?:FROM|JOIN)\s+(\w+_rows)\b(?!(?:\s+AS\s+\w+)?\s+FINAL\b)", re.IGNORECASE)
"""A table of which a newer row replaces an older one, read with both of them in it."""

GREATEST = "the greatest of a column that only grows, or whether there is any row"
KEYS = "keys only, each once"
REASONS = {
    ("pipeline/alerter/health.py", "envelope_rows"): GREATEST,
    ("pipeline/doctor/clickhouse.py", "envelope_rows"): GREATEST,
    ("pipeline/doctor/telemetry.py", "task_rows"): GREATEST,
    ("pipeline/stack.py", "envelope_rows"): GREATEST,
    ("sinks/clickhouse/actions.py", "task_rows"): KEYS,
    ("sinks/clickhouse/audit/bounds.sql", "envelope_rows"): "bounds, and about how many events a query will read",
    ("sinks/clickhouse/audit/bounds.sql", "task_rows"): KEYS,
    ("sinks/clickhouse/audit/bounds.sql", "window_rows"): KEYS,
    ("sinks/clickhouse/audit/log.sql", "envelope_rows"): "rows of an offset are equal; the greatest of each is taken",
    ("sinks/clickhouse/audit/spans.sql", "task_rows"): KEYS,
    ("sinks/clickhouse/counting.py", "envelope_rows"): GREATEST,
    (
        "sinks/clickhouse/counting.py",
        "task_rows",
    ): "LIMIT 1 BY takes the newest, and a newer one meets the condition too",
    ("sinks/clickhouse/objectives.py", "alert_state_rows"): "states are compared by their progress",
    ("sinks/clickhouse/objectives.py", "alert_transition_rows"): "a transition never changes; LIMIT 1 BY takes it once",
    ("sinks/clickhouse/store.py", "envelope_rows"): GREATEST,
    ("sinks/clickhouse/store.py", "task_rows"): "the greatest position, or keys only, each once",
    ("sinks/clickhouse/store.py", "window_rows"): "the greatest position, or keys only, each once",
}


def plain_reads() -> set[tuple[str, str]]:
    files = [file for top in READERS for kind in ("*.py", "*.sql") for file in (ROOT / top).rglob(kind)]
    return {
        (file.relative_to(ROOT).as_posix(), table) for file in files for table in PLAIN.findall(file.read_text("utf-8"))
    }


def test_every_read_is_through_a_view_or_final_or_has_a_reason() -> None:
    assert plain_reads() == set(REASONS)
