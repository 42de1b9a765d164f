"""A dimension cannot grow without bound: what is beyond the limit of an hour becomes `other`, and says so."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.config import Settings
from pipeline.normalise.cardinality import HOURS_HELD, LIMITED, NOTED, OTHER, Cardinality
from pipeline.normalise.normaliser import Normaliser, Packed
from schemas.event import Event
from schemas.words import DIMENSIONS, Kind
from tests.events import sent
from tests.otlp import NOW_NS, SECOND_NS, span, traces

RECEIVED = NOW_NS // 1_000
HOUR_NS = 3_600 * SECOND_NS
START = NOW_NS // HOUR_NS * HOUR_NS - HOUR_NS


def normalised(*spans: dict[str, Any], most: int = 3) -> tuple[list[Event], Packed]:
    """The events of spans that come one after the other, and what was counted."""
    normaliser, packed = Normaliser(Settings(limits={"dimension_values": most})), Packed()
    for i, each in enumerate(spans):
        normaliser.add(packed, "otlp_spans", 0, i, RECEIVED, traces({**each, "spanId": f"{i + 1:016x}"}))
    found = [e for e in sent(packed) if e.kind != Kind.LINK]
    return sorted(found, key=lambda e: e.span_id), packed


def named(value: str, attribute: str = "trueup.tenant", at: int = START, **values: Any) -> dict[str, Any]:
    return span({"trueup.task.id": "T", attribute: value, **values}, at=at + SECOND_NS)


def test_new_values_beyond_the_limit_become_other_and_known_ones_stay() -> None:
    events, packed = normalised(*(named(f"v{i % 5}") for i in range(10)))
    assert [e.tenant for e in events] == ["v0", "v1", "v2", "other", "other"] * 2
    assert [e.attributes.get(NOTED) for e in events] == [None, None, None, "tenant", "tenant"] * 2
    assert packed.limited == {"tenant": 4}


def test_each_hour_begins_anew() -> None:
    hours = [named(f"v{i}", at=START + hour * HOUR_NS) for hour in (0, 1) for i in range(4)]
    events, _ = normalised(*hours)
    assert [e.tenant for e in events] == ["v0", "v1", "v2", "other"] * 2


def test_a_name_is_limited_for_each_kind_apart() -> None:
    """A tool's name is no evaluator's."""
    tool = {"gen_ai.operation.name": "execute_tool"}
    judged = {"annotations.0.annotation.score": 1}
    events, packed = normalised(
        *(named(f"v{i}", "gen_ai.tool.name", **tool) for i in range(3)),
        *(named(f"v{i}", "annotations.0.annotation.name", **judged) for i in range(3)),
        named("v3", "annotations.0.annotation.name", **judged),
    )
    assert packed.limited == {"evaluator": 1}
    assert [e.name for e in events if e.kind == Kind.SCORE] == ["v0", "v1", "v2", OTHER]


@pytest.mark.parametrize(
    ("attribute", "field", "dimension", "values"),
    [
        ("trueup.tenant", "tenant", "tenant", {}),
        ("trueup.workflow", "workflow", "workflow", {}),
        ("deployment.environment.name", "environment", "environment", {}),
        ("gen_ai.agent.name", "agent", "agent", {}),
        ("gen_ai.agent.version", "agent_version", "agent_version", {}),
        ("trueup.task.type", "case_type", "case_type", {}),
        ("gen_ai.request.model", "model", "model", {"gen_ai.operation.name": "chat"}),
        ("error.type", "error_type", "error_type", {}),
        ("gen_ai.tool.name", "name", "tool", {"gen_ai.operation.name": "execute_tool"}),
    ],
)
def test_every_dimension_is_limited(attribute: str, field: str, dimension: str, values: dict[str, str]) -> None:
    events, packed = normalised(*(named(f"v{i}", attribute, **values) for i in range(5)))
    assert [getattr(e, field) for e in events] == ["v0", "v1", "v2", OTHER, OTHER]
    assert packed.limited == {dimension: 2}


def test_what_windows_are_keyed_by_is_limited() -> None:
    """The stage is a closed set already."""
    assert set(DIMENSIONS) - {limited.field for limited in LIMITED} == {"stage"}


def test_a_model_call_is_called_by_its_model_everywhere() -> None:
    chat = {"gen_ai.operation.name": "chat"}
    events, _ = normalised(*(named(f"v{i}", "gen_ai.request.model", **chat) for i in range(4)))
    assert [(e.model, e.name) for e in events[2:]] == [("v2", "v2"), (OTHER, OTHER)]


def test_several_dimensions_of_one_event() -> None:
    many = [named(f"v{i}", **{"gen_ai.agent.name": f"a{i}"}) for i in range(4)]
    events, packed = normalised(*many)
    assert events[-1].attributes[NOTED] == "tenant,agent"
    assert packed.limited == {"tenant": 1, "agent": 1}


def test_what_is_not_told_is_no_value() -> None:
    events, packed = normalised(
        *(named(f"v{i}") for i in range(3)), span({"trueup.task.id": "T"}, at=START + SECOND_NS)
    )
    assert events[-1].tenant == ""
    assert not packed.limited


def test_its_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.normalise.cardinality.COMBINATIONS_HELD", 20)
    cardinality = Cardinality(2)
    (event,), _ = normalised(named("v"))
    for hour in range(HOURS_HELD * 3):
        event.at = hour * 3_600_000_000
        for i in range(5):
            event.tenant = f"v{i}"
            cardinality.limit(event)
    assert len(cardinality._hours) == HOURS_HELD
    assert len(cardinality._fine) <= 20
    assert all(len(values) <= 2 for hour in cardinality._hours.values() for values in hour)
