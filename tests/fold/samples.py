"""Events to test with: few tasks, minutes and dimensions, so that they meet each other often."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any, NamedTuple

from hypothesis import strategies as st

from schemas.event import FORWARDED, Event, event_hash
from schemas.words import SPANS, Kind

SECOND = 1_000_000
MINUTE = 60 * SECOND
BASE = 1_700_000_040 * SECOND
"""The start of a minute."""

_ROOT = {"kind": "agent_run", "root": 1}

TEMPLATES: dict[str, dict[str, Any]] = {
    "step": {"kind": "step"},
    "root": {**_ROOT, "value": "success"},
    "claims success": {"kind": "claim", "root": 1, "value": "success", "explicit": 1},
    "root says failure": {**_ROOT, "value": "failure", "explicit": 1},
    "verdict failure": {"kind": "verdict", "value": "failure", "name": "customer", "weight": 10**12},
    "corrected": {"kind": "intervention", "name": "corrected", "number": MINUTE, "cost": 41},
    "call": {"kind": "model_call", "input_tokens": 7, "output_tokens": 3, "cost": 11},
    "answer told": {"kind": "model_call", "scope": "x", "response_id": "r", "input_tokens": 1, "cost": 61},
    "answer told by its SDK": {"kind": "model_call", "scope": "com.anthropic.sdk.python", "response_id": "r"},
    "answer told by another": {"kind": "model_call", "scope": "y", "response_id": "r", "output_tokens": 1},
    "answer told without its id": {"kind": "model_call", "scope": "z", "input_tokens": 1, "cost": 83},
    "answer told without its cost": {"kind": "model_call", "scope": "x", "input_tokens": 1},
    "failed call of another": {"kind": "model_call", "scope": "y", "error_type": "_OTHER"},
    "unpriced call": {"kind": "model_call", "input_tokens": 5, "error_type": "timeout"},
    "failed call": {"kind": "model_call", "error_type": "timeout"},
    "free call": {"kind": "model_call", "cost": 0},
    "call says success": {"kind": "model_call", "root": 1, "value": "success", "explicit": 1},
    "tool": {"kind": "tool_call", "name": "server.find"},
    "failed tool": {"kind": "tool_call", "name": "find", "error_type": "500", "cost": 13},
    "same tool call": {"kind": "tool_call", "name": "look", "response_id": "r", "cost": 67},
    "tool call told by another": {"kind": "tool_call", "scope": "x", "name": "a.look", "response_id": "r"},
    "other tool call": {"kind": "tool_call", "name": "find", "response_id": "s"},
    "retrieval": {"kind": "retrieval", "cost": 17},
    "embedding": {"kind": "embedding", "input_tokens": 2, "cache_read_tokens": 1, "cost": 19},
    "unpriced embedding": {"kind": "embedding", "input_tokens": 2},
    "failed embedding": {"kind": "embedding", "error_type": "timeout"},
    "guardrail": {"kind": "guardrail", "cost": 23},
    "run": {"kind": "agent_run", "cost": 1_000_000},
    "failed run": {"kind": "agent_run", "error_type": "crash"},
    "untold run": {"kind": "agent_run", "scope": "autogen-core"},
    "workflow run": {"kind": "workflow_run", "cost": 2_000_000},
    "setup": {"kind": "setup", "cost": 71},
    "setup says success": {"kind": "setup", "root": 1, "value": "success", "explicit": 1},
    "other": {"kind": "other", "cost": 29},
    "other root": {"kind": "other", "root": 1, "value": "failure", "error_type": "503"},
    "root with cost": {**_ROOT, "value": "success", "cost": 73},
    "root says success": {**_ROOT, "value": "success", "explicit": 1, "cost": 31},
    "root says gave up": {**_ROOT, "value": "gave_up", "explicit": 1, "cost": 37},
    "claims escalated": {"kind": "claim", "root": 1, "value": "escalated", "explicit": 1},
    "verdict success": {"kind": "verdict", "value": "success", "name": "qa", "weight": SECOND},
    "verdict inconclusive": {"kind": "verdict", "value": "inconclusive", "name": "qa", "weight": 2 * SECOND},
    "rejected": {"kind": "intervention", "name": "rejected", "number": MINUTE},
    "interrupted": {"kind": "intervention", "name": "interrupted"},
    "escalated": {"kind": "intervention", "name": "escalated", "number": 2 * MINUTE},
    "approved": {"kind": "intervention", "name": "approved"},
    "satisfied": {"kind": "feedback", "number": 900_000},
    "complains": {"kind": "feedback", "flag": 1},
    "no complaint": {"kind": "feedback", "number": 0, "flag": 0},
    "costs model": {"kind": "cost", "name": "model", "cost": 43},
    "costs no model": {"kind": "cost", "name": "model", "cost": 0},
    "costs tool": {"kind": "cost", "name": "tool", "cost": 47},
    "costs human": {"kind": "cost", "name": "human", "cost": 0},
    "costs operations": {"kind": "cost", "name": "operations", "cost": 53},
    "costs engineering": {"kind": "cost", "name": "engineering", "cost": 59},
    "outcome": {"kind": "outcome", "name": "refunded", "number": 3 * SECOND},
    "scored": {"kind": "score", "name": "judge", "number": 700_000},
    "scored 0": {"kind": "score", "name": "judge", "number": 0},
    "scored by rules": {"kind": "score", "name": "rules", "number": SECOND},
    "not scored": {"kind": "score", "name": "judge"},
    "link": {"kind": "link", "value": "elsewhere"},
    "other link": {"kind": "link", "value": "nowhere"},
}
LINKS = ("link", "other link")
MOVING = ("step", "root", "claims success", "root says failure", "corrected", "verdict failure")
"""What moves a task from one window to another, or changes what it counts there."""

TOLD: tuple[dict[str, Any], ...] = (
    {"workflow": "w"},
    {"workflow": "v", "duration": 5},
    {"workflow": "w", "agent": "bot", "model": "m", "duration": 1_000, "task_source": "attribute"},
    {"workflow": "w", "case_type": "refund", "duration": 70 * SECOND, "trace_id": "u"},
    {"agent": "bot", "model": "n", "task_source": "metadata.task_id", "trace_id": ""},
    {"workflow": "w", "attributes": {FORWARDED: "t"}},
    {"workflow": "w", "stage": "control"},
)
"""What an event may say of its dimensions; how long a span took; its trace, and where its task was found."""

TASKS = ("a", "b", "c" * 32)
"""The last may be a trace."""
TIMES = (0, SECOND, MINUTE - 1, MINUTE, MINUTE + SECOND, 3 * MINUTE)


class Spec(NamedTuple):
    """An event to come: a template's name, its task, time after BASE (µs), and which of TOLD it tells."""

    template: str
    task: str = "a"
    at: int = 0
    told: int = 0
    parent: int | None = None
    """Of a span: the number of its parent."""


class Again(NamedTuple):
    """An event that the log already holds, resent as it was; or, as another version tells it."""

    which: int
    told_as: Spec | None = None


def event(spec: Spec, number: int) -> Event:
    """The event of a spec. Its number decides its id, so its hash, and so how it ranks among equals."""
    told = {"task_source": "trace", "trace_id": "t", **TOLD[spec.told]}
    at, duration = BASE + spec.at, told.pop("duration", 0)
    values: dict[str, Any] = dict.fromkeys(Event.__struct_fields__, "")
    values |= dict.fromkeys((name for name in Event.__struct_fields__ if name.endswith("_tokens")), None)
    values |= {"root": 0, "explicit": 0, "weight": 0, "cost": None, "number": None, "flag": None}
    values |= {"attributes": {}, "stage": "production", "tenant": "t", "task_id": spec.task, "at": at, "start": at}
    values |= told | TEMPLATES[spec.template]
    event_id = f"record-{number}"
    if values["kind"] in SPANS:
        event_id = f"{values['trace_id']}:span-{number}"
        values["start"] = at - duration
        values["parent_id"] = "" if spec.parent is None else f"span-{spec.parent}"
    return Event(**values | {"event_id": event_id, "hash": event_hash(event_id), "kind": Kind(values["kind"])})


def pick(*several: Iterable[Any]) -> st.SearchStrategy[Any]:
    """One element of each, drawn as a single number, the first the simplest: fast to make, easy to shrink."""
    every = list(product(*several))
    return st.integers(0, len(every) - 1).map(lambda n: every[n])


moving = pick(MOVING, TASKS, (0, MINUTE, 2 * MINUTE), (0, 0, 0, 1)).map(lambda one: Spec(*one))
specs = st.builds(
    lambda subject, details: Spec(*subject, *details),
    pick(TEMPLATES, TASKS) | st.sampled_from([("costs operations", ""), ("outcome", "")]),
    pick(TIMES, range(len(TOLD)), (None, 0, 1, 2, 3, 4)),
)
again = st.builds(Again, which=st.integers(0, 30), told_as=st.none() | specs)
