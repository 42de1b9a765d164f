"""Is everything there, and does it agree? Each check says what it found and what to do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

from pipeline.config import Settings
from pipeline.doctor.check import Check
from pipeline.doctor.clickhouse import clickhouse
from pipeline.doctor.kafka import kafka
from pipeline.environment import nearly_ours

__all__ = ["Check", "examine"]


def examine(settings: Settings, now: Callable[[], float] = time.time, *, advice: bool = True) -> list[Check]:
    """Every check, in the order of the data flow; a part that is down ends only its own checks.

    Without `advice` only what can be down: what the telemetry lacks costs a look at days of it.
    """
    told = environment() if advice else ()
    return [*told, *kafka(settings, now), *clickhouse(settings, now, advice=advice)]


def environment() -> Iterator[Check]:
    """Variables that somebody thinks are read: then what follows is of another Kafka or ClickHouse."""
    for nearly in nearly_ours(os.environ):
        yield Check("environment", True, str(nearly), f"set {nearly.meant}, or remove {nearly.name}")
