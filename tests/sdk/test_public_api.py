"""What users may rely on."""

from __future__ import annotations

import inspect
from importlib.metadata import entry_points
from importlib.resources import files

import pytest
import trueup


def test_the_exported_names_are_these() -> None:
    assert trueup.__all__ == [
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


@pytest.mark.parametrize("name", trueup.__all__)
def test_every_exported_name_exists_and_is_explained(name: str) -> None:
    assert inspect.getdoc(getattr(trueup, name))


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (
            trueup.task,
            "task_id workflow case_type stage agent agent_version attributes",
        ),
        (trueup.claimed, "task_id outcome workflow at event_id"),
        (trueup.verified, "task_id verdict verifier inclusion_probability workflow at event_id"),
        (trueup.intervened, "task_id kind minutes role workflow at event_id"),
        (trueup.feedback, "task_id satisfaction complaint workflow at event_id"),
        (trueup.cost, "category usd task_id workflow period at event_id"),
        (trueup.outcome, "name value task_id workflow at event_id"),
        (
            trueup.configure,
            "service_name workflow stage environment service_version resource_attributes bootstrap kafka strict",
        ),
    ],
)
def test_the_parameters_are_these(function: object, parameters: str) -> None:
    assert list(inspect.signature(function).parameters) == parameters.split()  # type: ignore[arg-type]


def test_the_exporters_are_entry_points() -> None:
    (spans,) = entry_points(group="opentelemetry_traces_exporter", name="trueup_kafka")
    (logs,) = entry_points(group="opentelemetry_logs_exporter", name="trueup_kafka")
    assert spans.load() is trueup.KafkaSpanExporter
    assert logs.load() is trueup.KafkaLogExporter


def test_type_checkers_may_use_the_annotations() -> None:
    assert files("trueup").joinpath("py.typed").is_file()
