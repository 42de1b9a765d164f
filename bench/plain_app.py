"""The same counting as a user of Faust would write it: one event a message, windowed tables, nothing else.

Run as a worker by `bench.plain`. It keeps less than Trueup does: three counts by workflow and minute, no store to
query, no verdicts, nothing against duplicates.
"""

from __future__ import annotations

import os
from datetime import timedelta

import faust

MINUTE = timedelta(minutes=1)


class Action(faust.Record, serializer="json"):  # type: ignore[call-arg,misc]
    """One step of a task: of the canonical event, the fields that it counts by, and a few to look at."""

    task_id: str
    workflow: str
    agent: str
    kind: str
    at: int
    start: int
    case_type: str = ""
    model: str = ""
    error_type: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0


app = faust.App(
    "plain",
    broker=f"kafka://{os.environ.get('PLAIN_BROKER', '127.0.0.1:9092')}",
    store="memory://",
    broker_commit_interval=0.25,
    topic_partitions=int(os.environ.get("PLAIN_PARTITIONS", "12")),
    topic_allow_declare=True,
    web_enabled=False,
    table_standby_replicas=0,
)
actions = app.topic("plain.actions", value_type=Action)
counts = app.Table("counts", default=int).tumbling(MINUTE, expires=timedelta(hours=2))
errors = app.Table("errors", default=int).tumbling(MINUTE, expires=timedelta(hours=2))
costs = app.Table("costs", default=int).tumbling(MINUTE, expires=timedelta(hours=2))


@app.agent(actions)  # type: ignore[untyped-decorator]
async def count(stream: faust.Stream[Action]) -> None:
    """Count actions, errors and cost by workflow and minute."""
    async for action in stream:
        counts[action.workflow] += 1
        if action.error_type:
            errors[action.workflow] += 1
        costs[action.workflow] += action.cost


@app.task  # type: ignore[untyped-decorator]
async def ready() -> None:
    """Tell the benchmark that the tables are recovered and the counting begins."""
    print("ready", flush=True)


if __name__ == "__main__":
    app.main()
