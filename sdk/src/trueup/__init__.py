"""Trueup's SDK: agents say what they did, as OpenTelemetry spans and events in Kafka.

import trueup

trueup.configure("refund-agent", workflow="refunds", bootstrap="kafka:9092")

with trueup.task("refund-4711", case_type="refund", agent="refund-agent", agent_version="1.4") as task:
    ...                                     # model and tool spans of any framework belong to the task
    task.claim("success")

trueup.verified("refund-4711", "failure", verifier="ledger-check")      # days later, anywhere
"""

from trueup.attributes import CostCategory, Intervention, Outcome, Stage, Verdict
from trueup.checks import InvalidArgumentError
from trueup.drops import DropReason
from trueup.exporter import KafkaLogExporter, KafkaSpanExporter
from trueup.process import configure
from trueup.process import default as _default
from trueup.processors import TaskLogProcessor, TaskSpanProcessor
from trueup.propagation import carrier, resume
from trueup.settings import KafkaSettings, SettingsError
from trueup.tasks import Task
from trueup.telemetry import Telemetry

task = _default.task
claimed = _default.claimed
verified = _default.verified
intervened = _default.intervened
feedback = _default.feedback
cost = _default.cost
outcome = _default.outcome

__all__ = [
    "CostCategory",
    "DropReason",
    "Intervention",
    "InvalidArgumentError",
    "KafkaLogExporter",
    "KafkaSettings",
    "KafkaSpanExporter",
    "Outcome",
    "SettingsError",
    "Stage",
    "Task",
    "TaskLogProcessor",
    "TaskSpanProcessor",
    "Telemetry",
    "Verdict",
    "carrier",
    "claimed",
    "configure",
    "cost",
    "feedback",
    "intervened",
    "outcome",
    "resume",
    "task",
    "verified",
]
