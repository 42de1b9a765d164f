"""YAML that remembers its lines, and what is said about YAML that is none."""

from decimal import Decimal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.slo import source
from pipeline.slo.source import plain_scalar, read_documents
from tests.objectives.documents import service, slo


def test_every_node_knows_its_line() -> None:
    (first, second), problems = read_documents("a:\n  - b: 1\n    c: 2\n---\nd: 3\n", "f.yaml")
    assert not problems
    assert first.value == {"a": [{"b": 1, "c": 2}]}
    assert first.marks[("a", 0, "c")] == (3, 5)
    assert second.marks[("d",)] == (5, 1)
    assert str(first.problem(("a", 0, "x", "y"), "what", "fix")) == "f.yaml:2:5: what. Fix: fix."


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("12:30:00", "12:30:00"),
        ("2026-01-15", "2026-01-15"),
        ("true", True),
        ("0.40", Decimal("0.40")),
        ("0.999", Decimal("0.999")),
        ("1e-3", Decimal("0.001")),
        ("-7", -7),
        ("007", 7),
        ("", None),
        ("~", None),
        ("1_000", "1_000"),
        (".nan", ".nan"),
        ("1e999", "1e999"),
        ("9" * 30, "9" * 30),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert plain_scalar(text) == value
    assert type(plain_scalar(text)) is type(value)


def test_quoted_numbers_are_text() -> None:
    (document,), _ = read_documents("a: '1'\nb: |\n  2\n", "f")
    assert document.value == {"a": "1", "b": "2\n"}


@pytest.mark.parametrize(
    ("text", "line", "what", "fix"),
    [
        ("a: [1,\nb: 2", 2, "expected ',' or ']'", "brackets"),
        ("a:\n\tb: 1", 2, "'\\t'", "spaces"),
        ("a: 1\n b: 2\n", 2, "mapping values are not allowed", "indentation"),
        ("a: 'x\n", 2, "end of stream", "quotes"),
        ("a: 1\nb: \x07\n", 2, "'\\x07' is not allowed", "remove"),
        ("a: 1\na: 2\n", 2, "'a' is given twice, first in line 1", "remove"),
        ("a: &x [*x]\n", 1, "refers to itself", "without aliases"),
        ("a: *x\n", 1, "undefined alias", "check"),
        ("a: !!python/object:os.system {}\n", 1, "tag", "remove"),
        ("a: !secret b\n", 1, "tag !secret", "remove"),
        ("? [a]\n: b\n", 1, "only plain names", "colon"),
        ("base: &b {x: 1}\nc:\n  <<: *b\n", 3, "only plain names", "colon"),
        ("a: " + "[" * 3000 + "]" * 3000, 1, "deep", "levels"),
        ("[" * 100_000, 1, "deep", "levels"),
        ("a: " + "{a: " * 100_000, 1, "deep", "levels"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, what: str, fix: str) -> None:
    _, (problem, *_) = read_documents(text, "f.yaml")
    assert problem.line == line
    assert what in problem.what
    assert fix in problem.fix


@pytest.mark.parametrize(
    "text",
    [
        service() + slo(),
        "é: ü\nüü: [ä, 'ö', 1.5]\n---\n'': \"x\\ny\"\nb: >-\n  hey\n  you\n",
        "a:\r\n  b: {x: 1, y: ~}\nc: 🙂\nd: []\n",
        "- - - a\n  - b\n-\n",
        "a: 1\nb: [\n",
        "a: 1\na: 2\n",
    ],
)
def test_the_fast_parser_reads_what_the_slow_one_does_with_the_same_places(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    fast = read_documents(text, "f.yaml")
    monkeypatch.setattr(source, "_FAST", yaml.SafeLoader)
    assert fast == read_documents(text, "f.yaml")


def test_aliases_cannot_blow_up() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{at + 1}: &a{at + 1} [{', '.join([f'*a{at}'] * 10)}]\n" for at in range(9))
    documents, (problem,) = read_documents(bomb, "f.yaml")
    assert documents == []
    assert "too large" in problem.what


def test_documents_before_a_mistake_are_read() -> None:
    documents, problems = read_documents("a: 1\n---\nb: [\n", "f.yaml")
    assert [each.value for each in documents] == [{"a": 1}]
    assert [each.line for each in problems] == [4]


@given(st.text(max_size=200))
def test_any_text_is_read_or_explained(text: str) -> None:
    documents, problems = read_documents(text, "f.yaml")
    assert all(problem.line >= 1 and problem.column >= 1 and problem.what and problem.fix for problem in problems)
    assert all(() in document.marks for document in documents)
