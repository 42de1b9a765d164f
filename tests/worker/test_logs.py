"""What libraries log, as it reaches a person."""

from __future__ import annotations

import io
import json
import logging

import pytest

from pipeline.logs import QUIET_SECONDS, libraries_to


class Library:
    """A logger whose lines go where libraries' lines go; `now` is its clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self._stream = io.StringIO()
        self._handler = libraries_to(self._stream, lambda: self.now)
        self.logger = logging.Logger("aiokafka.client", logging.WARNING)
        self.logger.addHandler(self._handler)

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


@pytest.fixture
def library() -> Library:
    return Library()


def fail(library: Library, level: int = logging.ERROR) -> None:
    library.logger.log(level, "Unable to connect to %s", "node 1")


def test_a_library_s_line_is_json_with_its_level_time_and_name(library: Library) -> None:
    fail(library)
    (line,) = library.lines()
    assert (line["event"], line["level"], line["logger"]) == ("Unable to connect to node 1", "error", "aiokafka.client")
    assert str(line["timestamp"]).endswith("Z")


def test_what_it_says_again_and_again_is_told_once_a_minute_with_a_count(library: Library) -> None:
    for second in range(int(QUIET_SECONDS) + 1):
        library.now = float(second)
        fail(library)
    assert [line["kept_back"] for line in library.lines()] == [0, QUIET_SECONDS - 1]


def test_another_line_of_code_is_heard_at_once(library: Library) -> None:
    fail(library)
    library.logger.warning("Heartbeat failed")
    assert len(library.lines()) == 2


def test_what_is_critical_is_always_told(library: Library) -> None:
    for _ in range(3):
        fail(library, logging.CRITICAL)
    assert len(library.lines()) == 3


def test_an_exception_comes_with_its_traceback_in_one_line(library: Library) -> None:
    try:
        raise OSError("refused\nhostile")
    except OSError:
        library.logger.exception("no")
    (line,) = library.lines()
    assert "OSError: refused\nhostile" in str(line["exception"])
