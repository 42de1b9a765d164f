"""Canonical events to test with."""

from __future__ import annotations

from typing import Any

from schemas.event import Event, event_hash
from schemas.words import Kind

AT = 1_700_000_041_000_000


def event(event_id: str = "e", task_id: str = "t", **told: Any) -> Event:
    """An event that tells nothing but what is given."""
    nothing: dict[str, Any] = {
        "kind": "step", "task_source": "trueup.task.id", "at": AT, "start": AT, "tenant": "", "workflow": "w",
        "stage": "production", "environment": "", "agent": "a", "agent_version": "", "case_type": "", "model": "",
        "trace_id": "t" * 32, "span_id": "s" * 16, "parent_id": "", "root": 0, "name": "", "error_type": "",
        "input_tokens": None, "output_tokens": None, "cache_read_tokens": None, "cache_write_tokens": None,
        "reasoning_tokens": None, "cost": None, "cost_source": "", "value": "", "explicit": 0, "number": None,
        "weight": 0, "flag": None, "attributes": {},
    }  # fmt: skip
    values = {**nothing, "task_id": task_id, "event_id": event_id, **told}
    return Event(event_hash(event_id), **{**values, "kind": Kind(values["kind"])})
