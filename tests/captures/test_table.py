"""The table of docs/frameworks.md says what the captures measure today."""

from __future__ import annotations

from tests.captures.measured import NAMES
from tests.captures.table import BEGIN, DOCUMENT, END, in_document, table


def test_the_document_has_the_table_of_today() -> None:
    """`python -m tests.captures.table` writes it anew."""
    text = DOCUMENT.read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    assert text == in_document(text)


def test_every_capture_is_in_it() -> None:
    assert table().count("\n") == len(NAMES) + 2
