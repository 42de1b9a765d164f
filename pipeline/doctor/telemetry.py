"""What the telemetry lacks: costs that are not known, dimensions with too many values, tasks without work."""

from __future__ import annotations

from collections.abc import Iterator

from clickhouse_connect.driver.client import Client

from pipeline.doctor.check import Check
from pipeline.normalise.cardinality import NOTED, OTHER
from pipeline.prices import PACKAGE, list_version
from schemas.event import FORWARDED
from schemas.rows import UNPRICED
from schemas.units import MICRO
from sinks.clickhouse.reads import dictionaries

DAYS = 7
UNPRICED_SHOWN = 20
NO_HUMAN_PRICE_FIX = "set human_usd_per_hour: a price for the role, or `default`; what has arrived stays without"
NO_PRICE_FIX = (
    "the telemetry must tell provider and tokens; set prices or model_aliases for what the list does not have"
)


def telemetry(client: Client, now: float) -> Iterator[Check]:
    """What could be better in what the agents sent last. None of it is a failure. `now`: seconds."""
    since = _since(client, now)
    (row,) = dictionaries(
        client,
        """SELECT countIf(unpriced > 0) AS unknown, countIf(mapContains(costs, {unpriced:String})) AS unpaid,
            count() AS n
        FROM task_rows FINAL WHERE status = 'finished' AND last_at >= {since:Int64}""",
        since | {"unpriced": UNPRICED},
    )
    found = f"{row['unknown']} of {row['n']} finished tasks have model calls or embeddings of unknown cost"
    yield Check("cost", True, f"{found}, in the last {DAYS} days of telemetry")
    if row["unknown"]:
        yield from _unpriced(client, since)
    if row["unpaid"]:
        yield from _unpaid(client, since)
    yield from _limited(client, since)
    yield from _passed_on_twice(client, since)
    (row,) = dictionaries(client, "SELECT count() AS n FROM tasks WHERE status = 'announced'")
    if row["n"]:
        fix = "verdicts or feedback for tasks of which no work has arrived"
        yield Check("tasks only announced", True, str(row["n"]), fix)


def _since(client: Client, now: float) -> dict[str, int]:
    """From when on the telemetry is looked at (microseconds): the last days that there is any of, if it is old."""
    latest = {"now": int(now * MICRO)}
    (row,) = dictionaries(client, "SELECT max(last_at) AS at FROM task_rows WHERE last_at <= {now:Int64}", latest)
    return {"since": row["at"] - DAYS * 86_400 * MICRO}


def _unpriced(client: Client, since: dict[str, int]) -> Iterator[Check]:
    """Which model calls and embeddings have no cost: by model and instrumentation, those with the most calls first."""
    for found in dictionaries(
        client,
        """SELECT model, scope, uniq(hash) AS n FROM raw_events
        WHERE at >= {since:Int64} AND kind IN ('model_call', 'embedding') AND cost IS NULL
            AND (error_type = '' OR input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
        GROUP BY model, scope ORDER BY n DESC, model, scope LIMIT {most:UInt8}""",
        since | {"most": UNPRICED_SHOWN},
    ):
        what = f"{found['n']} calls, told by {found['scope'] or 'an unnamed instrumentation'}"
        yield Check(f"no cost: {found['model'] or 'no model told'}", True, what, NO_PRICE_FIX)
    version = list_version()
    yield Check("price list", bool(version), version or "not installed", "" if version else f"install {PACKAGE}")


def _unpaid(client: Client, since: dict[str, int]) -> Iterator[Check]:
    """Whose human minutes have no price, by role: those with the most minutes first."""
    for found in dictionaries(
        client,
        """SELECT value AS role, intDiv(sum(number), 60000000) AS minutes, uniq(task_id) AS n
        FROM raw_events FINAL WHERE at >= {since:Int64} AND kind = 'intervention' AND number > 0 AND cost IS NULL
        GROUP BY role ORDER BY minutes DESC, role LIMIT {most:UInt8}""",
        since | {"most": UNPRICED_SHOWN},
    ):
        what = f"{found['minutes']} minutes in {found['n']} tasks, whose cost is unknown therefore"
        yield Check(f"no price of human time: {found['role'] or 'no role told'}", True, what, NO_HUMAN_PRICE_FIX)


def _passed_on_twice(client: Client, since: dict[str, int]) -> Iterator[Check]:
    """Events that went on to a trace that is itself of another task: they go no further, and count nowhere."""
    (row,) = dictionaries(
        client,
        """SELECT uniq(task_id, hash) AS n, uniq(task_id) AS traces FROM raw_events
        WHERE at >= {since:Int64} AND mapContains(attributes, {forwarded:String})
            AND task_id IN (SELECT task_id FROM tasks WHERE status = 'linked')""",
        since | {"forwarded": FORWARDED},
    )
    if row["n"]:
        yield Check(
            "events that count nowhere",
            True,
            f"{row['n']}, of {row['traces']} traces that were named as a task, and belong to another task",
            "let every span name the task itself (trueup.task.id, in the baggage), not the trace of another span",
        )


def _limited(client: Client, since: dict[str, int]) -> Iterator[Check]:
    """Which dimensions have more values than may be."""
    for found in dictionaries(
        client,
        """SELECT arrayJoin(splitByChar(',', attributes[{noted:String}])) AS dimension, uniq(hash) AS n
        FROM raw_events WHERE at >= {since:Int64} AND mapContains(attributes, {noted:String})
        GROUP BY dimension ORDER BY dimension""",
        since | {"noted": NOTED},
    ):
        yield Check(
            f"too many values: {found['dimension']}",
            True,
            f"{found['n']} events have `{OTHER}` instead",
            "give it fewer values (ids do not belong there), or raise limits.dimension_values",
        )
