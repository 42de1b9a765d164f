"""What counts as a failure of a span, and what only looks like one."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.mapping.table import INTERRUPTS
from schemas.words import Kind
from tests.otlp import SPAN, attributes
from tests.schemas.mapped import of_span

ERROR = {"code": 2}
PARENT = "d" * 16


def raised(kind: str | None = None, message: str | None = None) -> list[dict[str, Any]]:
    """The events of a span in which an exception was raised."""
    told = {"exception.type": kind, "exception.message": message}
    return [{"name": "exception", "attributes": attributes({k: v for k, v in told.items() if v is not None})}]


@pytest.mark.parametrize(
    ("values", "fields", "error"),
    [
        ({}, {}, ""),
        ({}, {"events": raised("ValueError")}, ""),
        ({}, {"status": ERROR}, "_OTHER"),
        ({}, {"status": ERROR, "events": raised("acme.Timeout")}, "acme.Timeout"),
        ({"error.type": "429"}, {"status": ERROR, "events": raised("acme.Timeout")}, "429"),
        ({"error.type": "_OTHER"}, {"status": ERROR, "events": raised("acme.Timeout")}, "acme.Timeout"),
        ({"error.type": "tool_error"}, {}, "tool_error"),
        ({"error.type": "e" * 300}, {}, "e" * 256),
    ],
)
def test_the_error_is_what_tells_most_of_it(values: dict[str, Any], fields: dict[str, Any], error: str) -> None:
    assert of_span(values, **fields).error_type == error


@pytest.mark.parametrize("row", INTERRUPTS, ids=lambda row: row.exception)
def test_a_hand_over_of_control_is_no_error(row: Any) -> None:
    for values, events in (
        ({"error.type": row.exception}, []),
        ({"error.type": f"a.module.{row.exception}"}, []),
        ({"error.type": "_OTHER"}, raised(f"a.module.{row.exception}")),
        ({}, raised(row.exception)),
    ):
        event = of_span({"gen_ai.operation.name": "invoke_agent"} | values, status=ERROR, events=events)
        assert (event.kind, event.error_type, event.root) == (Kind.AGENT_RUN, "", 0)


@pytest.mark.parametrize("status", [{}, {"code": 1}, ERROR])
def test_a_tool_that_waits_is_not_called_yet(status: dict[str, int]) -> None:
    """It is called when the run goes on, and tells that itself. OpenInference calls such a span fine."""
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "pay"}
    waiting = of_span(tool, status=status, events=raised("langgraph.errors.GraphInterrupt"))
    assert (waiting.kind, waiting.error_type) == (Kind.STEP, "")
    assert of_span(tool, status=status, events=raised("ValueError")).kind == Kind.TOOL_CALL


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("Interrupt(value='approve?', id='1')", ""),
        ("(Interrupt(value='approve?'),)", ""),
        ("ParentCommand(Command(goto='next'))", ""),
        ("Command(goto='next')", ""),
        ("the pump was hit by an Interrupt(", "_OTHER"),
        (None, "_OTHER"),
    ],
)
def test_it_is_known_by_its_message_where_nothing_tells_its_class(message: str | None, error: str) -> None:
    assert of_span({}, status=ERROR, events=raised(None, message)).error_type == error
    assert of_span({}, status=ERROR, events=raised("ValueError", message)).error_type == "ValueError"


def test_a_run_that_waits_has_not_finished() -> None:
    """Neither success nor failure: the task is open until its work goes on, or is abandoned."""
    run = {"gen_ai.operation.name": "invoke_agent"}
    waiting = of_span(run | {"error.type": "GraphInterrupt"}, status=ERROR)
    assert (waiting.root, waiting.value, waiting.explicit) == (0, "", 0)
    failed = of_span(run | {"error.type": "ValueError"}, status=ERROR)
    assert (failed.root, failed.value) == (1, "failure")
    claimed = of_span(run | {"error.type": "GraphInterrupt", "trueup.task.outcome": "escalated"}, status=ERROR)
    assert (claimed.root, claimed.value, claimed.error_type) == (1, "escalated", "")
    assert of_span(run, parentSpanId=PARENT, spanId=SPAN).root == 0
