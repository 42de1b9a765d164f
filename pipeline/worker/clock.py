"""The clock event: how time enters the log."""

from __future__ import annotations

import msgspec

from pipeline.config import Settings
from schemas.units import MICRO


def clock(settings: Settings, at: int) -> bytes:
    """The payload of a clock event at `at` microseconds, with the policy of these settings."""
    by_workflow = {
        name: workflow.abandon_after * MICRO
        for name, workflow in settings.workflows.items()
        if workflow.abandon_after is not None
    }
    return msgspec.json.encode({"at": at, "abandon_after": settings.abandon_after * MICRO, "by_workflow": by_workflow})
