"""Files of OTLP/JSON lines: what is read, and what a bad one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.replay.send import BadFile, lines_of, read_request


def test_lines_are_read_with_their_place_and_empty_ones_left_out(tmp_path: Path) -> None:
    one, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    one.write_bytes(b'{"a": 1}\n\n  \r\n{"b": 2}\r\n')
    other.write_bytes(b'{"c": 3}')
    assert list(lines_of([one, other])) == [
        (f"{one}:1", b'{"a": 1}'),
        (f"{one}:4", b'{"b": 2}'),
        (f"{other}:1", b'{"c": 3}'),
    ]


@pytest.mark.parametrize(("name", "why"), [("absent", "No such file"), ("", "Is a directory")])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(BadFile, match=f"{why}.*; give files of OTLP/JSON lines"):
        list(lines_of([tmp_path / name]))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"plain", "not JSON"),
        (b'{"resourceSpans": [\xff]}', "not JSON"),
        (b"[]", "JSON without resourceSpans or resourceLogs"),
        (b'{"events": []}', "JSON without resourceSpans or resourceLogs"),
        (b'{"resourceSpans": 1}', "JSON of another shape"),
        (b'{"resourceSpans": [1]}', "JSON of another shape"),
        (b'{"resourceSpans": [{"scopeSpans": {"spans": []}}]}', "JSON of another shape"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": {}}]}]}', "JSON of another shape"),
        (b'{"resourceLogs": [{"scopeLogs": [[]]}]}', "JSON of another shape"),
        (b'{"resourceSpans":' + b"[" * 5_000, "not JSON"),
    ],
)
def test_a_line_that_is_no_request_is_told_where_and_why(line: bytes, why: str) -> None:
    with pytest.raises(BadFile, match=rf"^runs.jsonl:7: {why}.*OTLP/JSON export request"):
        read_request("runs.jsonl:7", line)
