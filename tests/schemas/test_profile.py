"""The profile of a task's input: what is kept of it on a root span, and what may be content and is not."""

from __future__ import annotations

import pytest

from tests.schemas.mapped import CHAT, of_span

INPUT = {
    "trueup.input.fields_present": ["order_id", "größe"],
    "trueup.input.fields_missing": [],
    "trueup.input.format": "application/pdf",
    "trueup.input.size.bytes": 2048,
    "trueup.input.size.pages": 1.5,
    "trueup.input.signed": False,
}


def test_a_root_span_keeps_what_the_input_of_its_task_looked_like() -> None:
    assert of_span(INPUT | {"somebody.else": "x"}).attributes == {
        "trueup.input.fields_present": "order_id,größe",
        "trueup.input.fields_missing": "",
        "trueup.input.format": "application/pdf",
        "trueup.input.size.bytes": "2048",
        "trueup.input.size.pages": "1.5",
        "trueup.input.signed": "false",
    }
    assert of_span(INPUT, parentSpanId="1" * 16).attributes == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trueup.input.text", "Ada has a broken receipt"),
        ("trueup.input.text", "x" * 65),
        ("trueup.input.text", ""),
        ("trueup.input.fields_present", ["order_id", "Ada has a broken receipt"]),
        ("trueup.input.fields_present", ["order,id"]),
        ("trueup.input.fields_present", [7]),
        ("trueup.input.fields_present", ["x"] * 65),
        ("trueup.input.order", {"kvlistValue": {"values": [{"key": "id", "value": {"stringValue": "x"}}]}}),
        ("trueup.input.order", {"bytesValue": "eA=="}),
        ("trueup.input.Ada has a broken receipt", 1),
    ],
    ids=lambda v: repr(v)[:30],
)
def test_what_may_be_content_of_the_input_is_not_kept_and_noted(name: str, value: object) -> None:
    told = {"trueup.input.size.bytes": 7, name: value}
    assert of_span(told).attributes == {"trueup.input.size.bytes": "7", "trueup.ignored": "input"}
    tokens = CHAT | {"gen_ai.usage.input_tokens": -1}
    assert of_span(told | tokens).attributes["trueup.ignored"] == "input_tokens,input"


def test_a_profile_of_the_input_has_an_end() -> None:
    kept = of_span({f"trueup.input.size.{n}": n for n in range(65)}).attributes
    assert (len(kept), kept["trueup.ignored"]) == (65, "input")
