"""A trial: recorded telemetry through a private stack, to a report and an audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.config import Settings
from pipeline.replay.land import Stalled, wait_until_landed
from pipeline.replay.send import BadFile, send
from pipeline.report.build import report, task_list
from pipeline.stack import Stack
from sinks.clickhouse.audit import audit
from sinks.clickhouse.reads import Question

CENTURY_DAYS = 36_500
TRIAL_PARTITIONS = 4


def trial(settings: Settings, files: list[Path], question: Question, *, tasks: bool = False) -> dict[str, Any]:
    """`{"report", "audit", "landed"}`, and `"tasks"` if wanted. Raises BadFile, StartError or Stalled."""
    with Stack(for_trial(settings)) as stack:
        sent = send(stack.settings, files)
        if sent.refused:
            raise BadFile(sent.refused[0])
        try:
            wait_until_landed(stack.settings, sent.reached, end_of_time=True, alive=lambda: stack.alive)
        except Stalled as stalled:
            raise Stalled(f"{stalled}; its last words:\n{stack.last_words()}") from None
        found = audit(stack.client, epoch=stack.settings.kafka.epoch)
        result: dict[str, Any] = {
            "report": report(stack.client, question),
            "audit": {"differences": found.total},
            "landed": found.landed,
        }
        if tasks:
            result["tasks"] = task_list(stack.client, question)
    return result


def for_trial(settings: Settings) -> Settings:
    """The same settings for recorded telemetry: of any age, kept until the trial ends, on few partitions."""
    return settings.model_copy(
        update={
            "kafka": settings.kafka.model_copy(update={"partitions": TRIAL_PARTITIONS, "epoch": 0}),
            "clickhouse": settings.clickhouse.model_copy(update={"retention_days": 0, "database": "trueup"}),
            "limits": settings.limits.model_copy(update={"oldest_days": CENTURY_DAYS}),
            "http": settings.http.model_copy(update={"port": 0}),
        }
    )
