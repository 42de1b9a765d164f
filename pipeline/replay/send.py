"""Sends OTLP/JSON lines to Kafka, splitting what is larger than a message may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pipeline.config import Settings
from pipeline.kafka import Positions
from pipeline.replay.delivery import Delivery, TooLarge

REQUEST = "OTLP/JSON export request"
GROUPS = {"resourceSpans": ("scopeSpans", "spans"), "resourceLogs": ("scopeLogs", "logRecords")}


class BadFile(Exception):
    """A file that holds no OTLP/JSON lines; the text says which line, what is wrong and the fix."""


@dataclass
class Sent:
    """What was sent, and how far it reaches in each partition."""

    reached: Positions
    requests: int = 0
    messages: int = 0
    records: int = 0
    refused: list[str] = field(default_factory=list)
    """Records that were not sent because they are too large: where each is, and whose limit that is."""


def lines_of(files: list[Path]) -> Iterator[tuple[str, bytes]]:
    """(where, line) of every line that is not empty. Raises BadFile."""
    for path in files:
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        yield f"{path}:{number}", line.strip()
        except OSError as error:
            raise BadFile(f"{path}: {error.strerror}; give files of OTLP/JSON lines") from None


def split(request: dict[str, Any], limit: int) -> Iterator[tuple[str, bytes, int]]:
    """(signal, payload, records) of at most `limit` bytes each, unless one record alone is larger."""
    for signal, (scopes, items) in GROUPS.items():
        groups = request.get(signal)
        if groups:
            whole = msgspec.json.encode({signal: groups})
            n = sum(len(scope.get(items) or ()) for group in groups for scope in group.get(scopes) or ())
            if len(whole) <= limit or n <= 1:
                yield signal, whole, n
            else:
                for half in _halves(groups, scopes, items, n):
                    yield from split({signal: half}, limit)


def _halves(groups: list[Any], scopes: str, items: str, n: int) -> Iterator[list[Any]]:
    """The same groups twice: with the first half of the records, and with the second."""
    for low, high in ((0, n // 2), (n // 2, n)):
        half, seen = [], 0
        for group in groups:
            kept = []
            for scope in group.get(scopes) or ():
                records = scope.get(items) or []
                mine = records[max(0, low - seen) : max(0, high - seen)]
                seen += len(records)
                if mine:
                    kept.append({**scope, items: mine})
            if kept:
                half.append({**group, scopes: kept})
        yield half


def send(
    settings: Settings,
    files: list[Path],
    *,
    pace: Callable[[int], None] = lambda _: None,
    advance: Callable[[int], None] = lambda _: None,
) -> Sent:
    """Send the requests of files in their order. `pace(records)` may wait; `advance(bytes)` shows progress.

    Returns once every message is acknowledged. Raises BadFile, Unreachable, or the delivery's error.
    """
    topics = {"resourceSpans": settings.kafka.spans_topic, "resourceLogs": settings.kafka.logs_topic}
    limit = settings.kafka.message_bytes
    with Delivery(settings) as delivery:
        sent = Sent(delivery.reached)
        for where, line in lines_of(files):
            for signal, payload, records in split(_request(where, line, sent), limit):
                pace(records)
                try:
                    delivery.send(topics[signal], payload)
                except TooLarge as error:
                    sent.refused.append(f"{where}: a record of {error}")
                else:
                    sent.messages += 1
                    sent.records += records
            sent.requests += 1
            advance(len(line) + 1)
        delivery.settle()
    return sent


def _request(where: str, line: bytes, sent: Sent) -> dict[str, Any]:
    """As `read_request`; the error says what was sent before it."""
    try:
        return read_request(where, line)
    except BadFile as bad:
        before = f". {sent.records} records before it are sent; to send them again changes nothing"
        raise BadFile(f"{bad}{before if sent.records else ''}") from None


def read_request(where: str, line: bytes) -> dict[str, Any]:
    """The request of a line; `where` names the line in the error. Raises BadFile."""
    try:
        request = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadFile(f"{where}: not JSON ({error}); each line is one {REQUEST}") from None
    if not isinstance(request, dict) or not GROUPS.keys() & request.keys():
        raise BadFile(f"{where}: JSON without resourceSpans or resourceLogs; each line is one {REQUEST}")
    if not all(_shaped(request.get(signal), path) for signal, path in GROUPS.items()):
        raise BadFile(f"{where}: JSON of another shape than OTLP's; each line is one {REQUEST}")
    return request


def _shaped(groups: Any, path: tuple[str, ...]) -> bool:
    """Whether there are lists where `split` cuts. What the records themselves look like is not looked at."""
    if groups is None or not path:
        return groups is None or isinstance(groups, list)
    return isinstance(groups, list) and all(isinstance(g, dict) and _shaped(g.get(path[0]), path[1:]) for g in groups)
