"""The clock event: how time enters the log, and the mark, which lets none pass."""

from __future__ import annotations

import msgspec

from pipeline.config import Settings
from pipeline.fold.message import Clock
from schemas.units import MICRO


def clock(settings: Settings, at: int) -> bytes:
    """The payload of a clock event at `at` microseconds, with the policy of these settings."""
    by_workflow = {
        name: workflow.abandon_after * MICRO
        for name, workflow in settings.workflows.items()
        if workflow.abandon_after is not None
    }
    return msgspec.json.encode({"at": at, "abandon_after": settings.abandon_after * MICRO, "by_workflow": by_workflow})


def mark() -> bytes:
    """The payload of a clock event before all time: it closes a partition, and gives up nobody's tasks."""
    return msgspec.json.encode(Clock(at=0, abandon_after=0))
