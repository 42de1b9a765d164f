"""The story of a task: what people and evaluators said of it is told, and what nobody said is not made up."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.local.clickhouse import ClickHouse
from pipeline.report.story import story
from schemas.units import MICRO, MINUTE_US
from tests.audit.logs import BEGIN, Log, event
from tests.audit.world import World
from tests.database import emptied

SPAN = {"trace_id": "t", "root": 1, "value": "success"}
TOLD = [
    event("t:r", "agent_run", span_id="r", **SPAN),
    event("t:c", "model_call", span_id="c", parent_id="r", trace_id="t", output_tokens=3),
    event("i1", "intervention", BEGIN + 1, name="corrected", number=90 * MICRO, value="reviewer"),
    event("i2", "intervention", BEGIN + 2, name="approved"),
    event("f", "feedback", BEGIN + 3, number=400_000, flag=1),
    event("s", "score", BEGIN + 4, name="judge", number=700_000, value="good"),
    event("o", "outcome", BEGIN + 5, name="refunded_eur", number=1_234_567_890_000),
    event("v", "verdict", BEGIN + 6, name="ledger", value="success", weight=10 * MICRO),
]


def told_of(clickhouse: ClickHouse, events: list[Any]) -> dict[str, Any]:
    world = World(emptied(clickhouse, "story"))
    world.land(0, [Log(seed=1).add(events)])
    found = story(world.client, "task")
    assert found is not None
    return found


def test_what_people_said_is_told(clickhouse: ClickHouse) -> None:
    found = told_of(clickhouse, TOLD)
    assert found["people"] == {
        "interventions": {"corrected": 1, "approved": 1},
        "overridden": "yes",
        "human time": "1.5 min (told of 1 of 2)",
        "satisfaction": 0.4,
        "complaint": "yes",
        "scores": {"judge": 0.7},
    }
    results = {(line[1], line[2]): line[3] for line in found["lines"]}
    assert results["intervention", "corrected"] == "reviewer, 1.5 min"
    assert results["intervention", "approved"] is None
    assert results["score", "judge"] == "good, 0.7"
    assert results["outcome", "refunded_eur"] == "1234567.89"
    assert results["verdict", "ledger"] == "success, stands for 10 tasks"
    (feedback,) = (line for line in found["lines"] if line[1] == "feedback")
    assert feedback[3] == "satisfaction 0.4, complaint"


def test_tokens_that_a_call_does_not_tell_are_unknown(clickhouse: ClickHouse) -> None:
    (call,) = (line for line in told_of(clickhouse, TOLD)["lines"] if line[1] == "model_call")
    assert call[5] == "unknown in, 3 out"


def test_what_nobody_said_is_not_told(clickhouse: ClickHouse) -> None:
    found = told_of(clickhouse, TOLD[:1])
    nothing = dict.fromkeys(("interventions", "human time", "satisfaction", "complaint", "scores"))
    assert found["people"] == nothing | {"overridden": "no"}


@pytest.mark.parametrize(("us", "shown"), [(0, "0 min"), (7 * MINUTE_US, "7 min"), (MINUTE_US // 10, "0.1 min")])
def test_the_time_of_a_human_that_is_told_to_be_nothing_is_nothing(clickhouse: ClickHouse, us: int, shown: str) -> None:
    told = [*TOLD[:1], event("i", "intervention", name="taken_over", number=us)]
    assert told_of(clickhouse, told)["people"]["human time"] == shown
