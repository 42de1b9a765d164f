"""Addresses in the configuration: one at which nothing can ever answer is refused where it is read."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_BROKERS = "write host:port, several separated by commas"


def brokers(value: str) -> str:
    """Kafka's brokers, `host:port`, separated by commas. Raises ValueError."""
    for each in map(str.strip, value.split(",")):
        if not re.fullmatch(r"[^\s/?#@]*", each):
            raise ValueError(f"a broker is a host and a port, and nothing more; {_BROKERS}")
        if wrong := _wrong(f"//{each}"):
            raise ValueError(f"{each!r} is no broker: {wrong}; {_BROKERS}")
    return value


def http_url(value: str) -> str:
    """A URL of HTTP. Raises ValueError, which does not repeat it: it may hold a password."""
    if wrong := _wrong(value):
        raise ValueError(f"nothing can be at that URL: {wrong}; write http://host:port or https://host:port")
    return value


def _wrong(url: str) -> str | None:
    """Why nothing can be at a URL; None if something can."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return str(error)[:1].lower() + str(error)[1:]
    if not parts.hostname:
        return "it names no host"
    if port == 0 or parts.netloc.endswith(":"):
        return "it names no port"
    return None
