"""Tasks as their rows have them, and the facts that ClickHouse makes of a row, restated."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from pipeline.objectives.facts import TaskFacts
from schemas.rows import TaskRow
from schemas.units import MICRO, MINUTE_US
from schemas.words import Intervention

NOW = 29_000_000
"""A minute."""


def us(minute: int, second: int = 0) -> int:
    """Microseconds of a moment in a minute."""
    return minute * MINUTE_US + second * MICRO


def row(task_id: str = "a", minute: int = NOW, **told: Any) -> TaskRow:
    """A finished task that claimed success and was heard of in its own minute."""
    fields: dict[str, Any] = {
        "seq": 1,
        "status": "finished",
        "workflow": "claims",
        "stage": "production",
        "case_type": "motor",
        "claim": "success",
        "claim_at": us(minute, 30),
        "claim_seen": us(minute, 31),
        "last_at": us(minute, 30),
        "start_at": us(minute, 10),
        "weight": MICRO,
    }
    return msgspec.structs.replace(TaskRow(0, 0, task_id), **(fields | told))


def verified(verdict: str, minute: int, weight: int = MICRO) -> dict[str, Any]:
    """The fields of a verdict that became known in a minute."""
    return {"verdict": verdict, "verdict_seen": us(minute), "verdict_at": us(minute), "weight": weight}


def facts(task: TaskRow) -> bytes:
    """The line that `sinks.clickhouse.counting` gives of a row."""
    finished = task.status == "finished"
    return msgspec.json.encode(
        TaskFacts(
            f"{task.epoch}/{task.task_id}",
            task.workflow,
            task.case_type,
            "control" if task.stage == "control" else task.status,
            (task.claim_at if finished else task.last_at) // MINUTE_US,
            (task.claim_seen if finished else task.given_up_seen) // MINUTE_US,
            task.claim,
            task.verdict,
            task.weight,
            task.verdict_seen // MINUTE_US,
            list(task.interventions),
            task.intervened_seen // MINUTE_US,
            task.answered,
            task.complaint,
            task.satisfaction,
            task.answered_seen // MINUTE_US,
            task.root_cost,
            task.step_cost,
            task.unpriced,
            task.model_calls,
            task.costs,
            max(task.claim_at - task.start_at, 0) if task.start_at else None,
            task.actions,
            task.action_errors,
            task.scores,
        )
    )


MINUTES = st.integers(NOW - 5, NOW)


@st.composite
def rows(draw: st.DrawFn, task_id: str = "a") -> TaskRow:
    """Any row that a task can have."""
    minute, later = draw(MINUTES), draw(MINUTES)
    finished = draw(st.booleans())
    status = "finished" if finished else draw(st.sampled_from(["abandoned", "open", "linked"]))
    actions = draw(st.integers(0, 3))
    return row(
        task_id,
        minute,
        status=status,
        workflow=draw(st.sampled_from(["claims", "refunds"])),
        stage=draw(st.sampled_from(["production", "pilot", "control"])),
        case_type=draw(st.sampled_from(["motor", "home", ""])),
        claim=draw(st.sampled_from(["success", "failure", "escalated", "gave_up"])) if finished else "",
        claim_seen=us(later) if finished else 0,
        given_up_seen=0 if finished else us(later),
        verdict=(verdict := draw(st.sampled_from(["", "success", "failure", "inconclusive"]))),
        verdict_seen=us(draw(MINUTES)) if verdict else 0,
        weight=draw(st.sampled_from([MICRO, 2_500_000])),
        interventions=draw(st.dictionaries(st.sampled_from([*map(str, Intervention)]), st.integers(1, 2), max_size=2)),
        intervened_seen=us(draw(MINUTES)),
        answered=(answered := int(draw(st.booleans()))),
        complaint=int(answered and draw(st.booleans())),
        satisfaction=draw(st.none() | st.integers(0, MICRO)) if answered else None,
        answered_seen=us(draw(MINUTES)) if answered else 0,
        root_cost=draw(st.none() | st.integers(0, 9)),
        step_cost=draw(st.integers(0, 9)),
        unpriced=draw(st.integers(0, 1)),
        model_calls=draw(st.integers(0, 2)),
        costs=draw(st.dictionaries(st.sampled_from(["model", "tool", "human"]), st.integers(0, 9), max_size=2)),
        actions=actions,
        action_errors=draw(st.integers(0, actions)),
        scores=draw(st.dictionaries(st.sampled_from(["judge", "it's"]), st.integers(-MICRO, MICRO), max_size=2)),
    )
