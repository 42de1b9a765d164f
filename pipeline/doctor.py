"""Is everything there, and does it agree? Each check says what it found and what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client
from kafka import KafkaConsumer
from kafka.errors import KafkaError

from pipeline.config import Settings
from pipeline.connections import address_of, client_of
from pipeline.kafka import client_options
from pipeline.normalise.cardinality import NOTED, OTHER
from pipeline.prices import PACKAGE, list_version
from sinks.clickhouse.migrate import pending
from sinks.clickhouse.reads import dictionaries
from sinks.port import Refused, Transient

UNPRICED_SHOWN = 20
NO_PRICE_FIX = (
    "the telemetry must tell provider and tokens; set prices or model_aliases for what the list does not have"
)
CLOCK_SECONDS = 2.0
"""How far the clocks of this machine and of ClickHouse may be apart."""


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    name: str
    ok: bool
    finding: str
    fix: str = ""

    @property
    def mark(self) -> str:
        return "ok" if self.ok else "!!"


def examine(settings: Settings, now: Callable[[], float] = time.time) -> list[Check]:
    """Every check, in the order of the data flow; a part that is down ends only its own checks."""
    return [*_kafka(settings), *_clickhouse(settings, now)]


def _kafka(settings: Settings) -> Iterator[Check]:
    k = settings.kafka
    try:
        consumer = KafkaConsumer(**client_options(settings))
    except KafkaError as error:
        yield Check(
            "Kafka", False, f"{k.bootstrap} does not answer ({error})", "start it (`trueup up`), or set kafka.bootstrap"
        )
        return
    try:
        yield Check("Kafka", True, k.bootstrap)
        for topic in (k.spans_topic, k.logs_topic, k.actions_topic, k.deadletter_topic):
            found = len(consumer.partitions_for_topic(topic) or ())
            fix = "" if found else "start a worker: it creates the topics"
            yield Check(f"topic {topic}", bool(found), f"{found} partitions", fix)
        found = len(consumer.partitions_for_topic(k.actions_topic) or ())
        if found and found != k.partitions:
            fix = f"set kafka.partitions to {found}, or recreate the topic and raise kafka.epoch"
            yield Check("partitions", False, f"{found} in Kafka, {k.partitions} configured", fix)
    finally:
        consumer.close()


def _clickhouse(settings: Settings, now: Callable[[], float]) -> Iterator[Check]:
    address = address_of(settings)
    try:
        todo = pending(address)
        yield Check("ClickHouse", True, str(address))
        if todo:
            yield Check("migrations", False, f"{len(todo)} pending", "run `trueup migrate`")
            return
        yield Check("migrations", True, "up to date")
        yield from _data(client_of(settings), settings, now)
    except Refused as error:
        yield Check("ClickHouse", False, str(error), "restore the migration file")
    except Transient as error:
        yield Check(
            "ClickHouse", False, f"{address} does not answer ({error})", "start it (`trueup up`), or set clickhouse.url"
        )


def _data(client: Client, settings: Settings, now: Callable[[], float]) -> Iterator[Check]:
    before = now()
    (row,) = dictionaries(client, "SELECT toFloat64(now64(6)) AS at")
    apart = abs(row["at"] - (before + now()) / 2)
    yield Check(
        "clocks",
        apart < CLOCK_SECONDS,
        f"{apart:.3f} s apart",
        "" if apart < CLOCK_SECONDS else "synchronise them (NTP)",
    )
    (row,) = dictionaries(
        client, "SELECT count() AS n, toUnixTimestamp64Micro(max(received)) / 1e6 AS last FROM envelopes"
    )
    if not row["n"]:
        yield Check("worker", False, "nothing has been folded yet", "start a worker (`trueup worker`)")
    else:
        silent = now() - row["last"]
        fine = silent < max(30.0, settings.worker.clock * 6)
        yield Check(
            "worker", fine, f"last folded {silent:.0f} s ago", "" if fine else "is a worker running? See its /readyz"
        )
    for found in dictionaries(client, "SELECT reason, count() AS n FROM dead_letters GROUP BY reason ORDER BY reason"):
        yield Check(f"dead letters: {found['reason']}", True, str(found["n"]), "see `trueup deadletter list`")
    (row,) = dictionaries(
        client, "SELECT countIf(unpriced > 0) AS unknown, count() AS n FROM tasks WHERE status = 'finished'"
    )
    yield Check("cost", True, f"{row['unknown']} of {row['n']} finished tasks have model calls of unknown cost")
    if row["unknown"]:
        yield from _unpriced(client)
    yield from _limited(client)
    (row,) = dictionaries(client, "SELECT count() AS n FROM tasks WHERE status = 'announced'")
    if row["n"]:
        yield Check(
            "tasks only announced", True, str(row["n"]), "verdicts or feedback for tasks of which no work has arrived"
        )


def _unpriced(client: Client) -> Iterator[Check]:
    """Which model calls have no cost: by model and instrumentation, those with the most calls first."""
    for found in dictionaries(
        client,
        """SELECT model, scope, uniq(hash) AS n FROM raw_events
        WHERE kind = 'model_call' AND cost IS NULL
            AND (error_type = '' OR input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
        GROUP BY model, scope ORDER BY n DESC, model, scope LIMIT {most:UInt8}""",
        {"most": UNPRICED_SHOWN},
    ):
        what = f"{found['n']} calls, told by {found['scope'] or 'an unnamed instrumentation'}"
        yield Check(f"no cost: {found['model'] or 'no model told'}", True, what, NO_PRICE_FIX)
    version = list_version()
    yield Check("price list", bool(version), version or "not installed", "" if version else f"install {PACKAGE}")


def _limited(client: Client) -> Iterator[Check]:
    """Which dimensions have more values than may be."""
    for found in dictionaries(
        client,
        """SELECT arrayJoin(splitByChar(',', attributes[{noted:String}])) AS dimension, uniq(hash) AS n
        FROM raw_events WHERE mapContains(attributes, {noted:String}) GROUP BY dimension ORDER BY dimension""",
        {"noted": NOTED},
    ):
        yield Check(
            f"too many values: {found['dimension']}",
            True,
            f"{found['n']} events have `{OTHER}` instead",
            "give it fewer values (ids do not belong there), or raise limits.dimension_values",
        )
