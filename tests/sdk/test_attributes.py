"""The names and words of the telemetry contract."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from trueup import attributes

from schemas import words
from schemas.contract import EVENTS

README = Path(__file__).parents[2] / "sdk" / "README.md"

NAMES = {name: value for name, value in vars(attributes).items() if isinstance(value, str) and name.isupper()}


def test_every_event_of_the_contract_has_a_name_here() -> None:
    assert {value for name, value in NAMES.items() if name.startswith("EVENT_") and name != "EVENT_ID"} == set(EVENTS)


def test_every_attribute_of_an_event_has_a_name_here() -> None:
    read = {field.alias for event in EVENTS.values() for field in event.model_fields.values()}
    ours = {alias for alias in read if alias and alias.startswith("trueup.")}
    assert ours <= set(NAMES.values())


@pytest.mark.parametrize("word", ["Stage", "Outcome", "Verdict", "Intervention", "CostCategory"])
def test_words_are_those_the_pipeline_reads(word: str) -> None:
    """The SDK cannot import the pipeline's schemas, so it has words of its own; they must not drift apart."""
    ours, theirs = getattr(attributes, word), getattr(words, word)
    assert [member.value for member in ours] == [member.value for member in theirs]


@pytest.mark.parametrize("word", ["Stage", "Outcome", "Verdict", "Intervention", "CostCategory"])
def test_literals_offer_every_word(word: str) -> None:
    enum, literal = get_args(getattr(attributes, f"{word}Word"))
    assert set(get_args(literal)) == {member.value for member in enum}


def test_every_name_says_in_one_line_what_it_means() -> None:
    body = ast.parse(inspect.getsource(attributes)).body
    for statement, following in pairwise(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            assert isinstance(following, ast.Expr), statement.target.id
            assert isinstance(following.value, ast.Constant), statement.target.id


def test_the_readme_lists_every_name() -> None:
    text = README.read_text(encoding="utf-8")
    assert [value for value in NAMES.values() if f"`{value}`" not in text] == []
