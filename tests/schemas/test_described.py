"""What is told of a value that cannot be used: its type and size, and none of its words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.described import described, is_name, unquoted
from schemas.event import HEAD
from schemas.message import decode_message
from schemas.words import Kind


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (-1.5, "-1.5"),
        (True, "True"),
        ("Ada", "a text of 3 characters"),
        (b"Ada", "a bytes of 3"),
        (["Ada"], "a list of 1"),
        ({"Ada": "Lovelace"}, "a dict of 1"),
        (None, "a NoneType"),
    ],
)
def test_a_value_is_told_by_its_type_and_size(value: Any, told: str) -> None:
    assert described(value) == told


@given(text=st.text())
def test_the_words_of_a_text_are_never_told(text: str) -> None:
    assert described(text) == described("x" * len(text))


@pytest.mark.parametrize("text", ["", "two words", "ada@lovelace.org", "患者姓名", "line\n", "x" * 201])
def test_what_people_write_is_no_name(text: str) -> None:
    assert not is_name(text)


@pytest.mark.parametrize("text", ["T-1", "refund_4711", "trueup.task.id", "eu/refunds:7", "a" * 200])
def test_ids_and_names_of_attributes_are_names(text: str) -> None:
    assert is_name(text)


@given(text=st.text(max_size=20).filter(lambda text: text not in list(Kind)))
def test_what_is_wrong_with_an_event_is_told_without_the_value(text: str) -> None:
    """Its second field is the kind."""
    with pytest.raises(msgspec.ValidationError) as caught:
        decode_message(msgspec.json.encode([[*HEAD, [[1, text]]]]))
    assert unquoted(str(caught.value)) == "Invalid enum value ... - at `$[0][9][0][1]`"
