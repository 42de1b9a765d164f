"""Content is dropped by default, from every capture's shape; a configuration opens single attributes."""

from __future__ import annotations

import base64

import pytest

from tests.captures.marked import MARK, Marked, broken
from tests.captures.measured import NAMES, compare, measure, settings


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_leaves_the_first_stage_has_content(name: str) -> None:
    marked = Marked(name)
    measured = measure([*marked.messages, *((topic, broken(payload)) for topic, payload in marked.messages)])
    assert marked.marks > 20
    assert measured.packed.dead_letters
    lines = [line for parts in measured.packed.parts.values() for part in parts for line in part]
    assert [line for line in lines if MARK.encode() in line.lower()] == []
    for letter in measured.packed.dead_letters:
        assert MARK not in letter.detail.lower()
        assert MARK.encode() not in base64.b64decode(letter.payload).lower()


@pytest.mark.parametrize("name", NAMES)
def test_the_marks_change_no_number(name: str) -> None:
    """So what is looked through above is what there would be."""
    measured = measure(Marked(name).messages)
    wrong = [c for c in compare(name, measured.tasks) if c.told and c.got != c.should]
    assert wrong == []


def test_an_attribute_that_is_allowed_is_kept_and_no_other() -> None:
    marked = Marked("pydantic-ai")
    measured = measure(marked.messages, settings(privacy={"allow": ["input.value"]}))
    attributes = [item for _, event in measured.store.raw.values() for item in event.attributes.items()]
    kept = {key: value for key, value in attributes if not key.startswith("trueup.")}  # notes of our own
    assert kept.keys() == {"input.value"}
    assert MARK in kept["input.value"]
    assert not [value for key, value in attributes if key != "input.value" and MARK in value.lower()]


def test_dead_letters_are_whole_only_if_they_are_asked_for() -> None:
    topic, payload = Marked("pydantic-ai").messages[0]
    measured = measure([(topic, broken(payload))], settings(privacy={"dead_letters": "full"}))
    assert all(MARK.encode() in base64.b64decode(letter.payload) for letter in measured.packed.dead_letters)
