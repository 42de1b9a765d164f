"""Is everything there, and does it agree? Each check says what it found and what to do."""

from __future__ import annotations

import time
from collections.abc import Callable

from pipeline.config import Settings
from pipeline.doctor.check import Check
from pipeline.doctor.clickhouse import clickhouse
from pipeline.doctor.kafka import kafka

__all__ = ["Check", "examine"]


def examine(settings: Settings, now: Callable[[], float] = time.time) -> list[Check]:
    """Every check, in the order of the data flow; a part that is down ends only its own checks."""
    return [*kafka(settings, now), *clickhouse(settings, now)]
