"""Logs: JSON lines on stderr, for people through `jq` and for machines as they are."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import TextIO

import structlog
from structlog.typing import Processor

QUIET_SECONDS = 60.0
"""For so long a library does not say the same thing again: a client says of each attempt that it fails."""

_TELL: list[Processor] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class OncePerMinute(logging.Filter):
    """Lets each line of a library's code log once per QUIET_SECONDS, with how often it said so since."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.CRITICAL:
            return True
        place, now = (record.pathname, record.lineno), self._clock()
        at, kept_back = self._said.get(place, (-QUIET_SECONDS, 0))
        if now - at < QUIET_SECONDS:
            self._said[place] = at, kept_back + 1
            return False
        self._said[place] = now, 0
        record.kept_back = kept_back
        return True


def log_to_stderr(level: int = logging.INFO) -> None:
    """Set up structlog for our own lines, and the standard library's logging for those of libraries."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *_TELL,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # What ClickHouse's client says of every attempt that fails, the worker says once (pipeline/worker/patient.py).
    for name in ("clickhouse_connect", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.basicConfig(level=logging.WARNING, handlers=[libraries_to(sys.stderr)])


def libraries_to(stream: TextIO, clock: Callable[[], float] = time.monotonic) -> logging.Handler:
    """What writes the libraries' records as our own lines are."""
    handler = logging.StreamHandler(stream)
    handler.addFilter(OncePerMinute(clock))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_TELL, structlog.stdlib.ExtraAdder(["kept_back"]), structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    return handler
