"""Tables for people: what came from outside is shown as text, and obeyed by nobody."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli.options import Output
from pipeline.cli.show import emit_rows, percent, plain, print_table, span

HOSTILE = {
    "[red]markup[/red]": "[red]markup[/red]",
    "[/]": "[/]",
    "\x1b[31mred\x1b[0m": "\\x1b[31mred\\x1b[0m",
    "\x1b]0;title\x07": "\\x1b]0;title\\x07",
    "line\nbreak": "line\\nbreak",
    "carriage\rreturn": "carriage\\rreturn",
    "\x9b31m": "\\x9b31m",
    "nul\x00": "nul\\x00",
    "\u202eevil": "\\u202eevil",
    "\u200b": "\\u200b",
    ":bomb:": ":bomb:",
    "\N{SNOWMAN} é": "\N{SNOWMAN} é",
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items(), ids=repr)
def test_a_hostile_text_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str], text: str, shown: str) -> None:
    print_table(("name", text), [[text, "after"]])
    head, row = capsys.readouterr().out.splitlines()
    assert row.rstrip() == f"{shown}  after" or row.split("  ") == [shown, "after"] or shown in row
    assert shown in head
    assert row.rstrip().endswith("after")


@given(text=st.text(st.characters(codec="utf-8")))
def test_whatever_a_text_is_only_printable_characters_come_out(text: str) -> None:
    assert plain(text).isprintable()
    assert plain([{text: text}]).isprintable()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0, "0"),
        (0.123456, "0.1235"),
        ("", ""),
        ([], ""),
        (["a", None], "a, -"),
        ({"corrected": 2, "approved": 1}, "corrected=2, approved=1"),
        (True, "True"),
    ],
)
def test_a_value_is_shown_as_a_person_reads_it(value: object, shown: str) -> None:
    assert plain(value) == shown


def test_a_long_text_is_folded_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("id",), [["x" * 1_000]])
    assert capsys.readouterr().out.count("x") == 1_000


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "-"), (0, "0.0 s"), (119, "119.0 s"), (120, "2.0 min"), (7_200, "2.0 h"), (172_800, "2.0 d")],
)
def test_a_time_span_has_the_unit_of_its_size(seconds: float | None, shown: str) -> None:
    assert span(seconds) == shown


def test_a_rate_is_shown_with_its_parts_and_its_interval() -> None:
    rate = {"value": 0.5, "numerator": 1, "denominator": 2, "low": 0.0945, "high": 0.9055}
    assert percent(rate) == "50.0% 1/2 [9, 91]"
    assert percent({"value": None}) == "-"


def test_rows_are_a_document_or_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"a": 1, "b": "\x1b[31m"}, {"a": None, "b": "ü"}]
    emit_rows(rows, Output.JSON, ("a",), key="things")
    assert json.loads(capsys.readouterr().out) == {"things": rows}
    emit_rows(rows, Output.NDJSON, ("a",))
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == rows
    assert "\x1b" not in "".join(lines)
