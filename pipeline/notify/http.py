"""POST to a receiver over HTTP, and what its answer decides. The only place that knows urllib3.

Messages of errors name the host and never the path, because the URL of a webhook is a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationValueError, NewConnectionError, ReadTimeoutError

from pipeline.notify.clock import MICRO, SYSTEM, Clock
from pipeline.notify.receiver import Rejected, Retryable
from pipeline.section import ConfigError

Secret = Callable[[], str]
"""Reads a secret each time it is needed, because the file it is in may change. May raise ConfigError."""

_ANSWER_BYTES = 4_096
_TOLD_CHARACTERS = 200
_TRY_AGAIN = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Connection:
    """How to connect. `timeout` is in seconds, of connecting and of each wait for bytes."""

    timeout: float = 10.0
    ca_file: str | None = None
    proxy: str | None = None


class Endpoint:
    """Where to post JSON. `authorization` gives the header of that name, empty: none."""

    def __init__(
        self,
        url: Secret,
        connection: Connection = Connection(),
        *,
        authorization: Secret = str,
        clock: Clock = SYSTEM,
    ) -> None:
        self._url = url
        self._authorization = authorization
        self._clock = clock
        self._pool = _pool(connection)

    def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Returns on 2xx; redirects are not followed. Raises Retryable or Rejected.

        What is wrong on our side is Retryable: someone may put it right before the notification is given up.
        """
        url, authorization = current(self._url), current(self._authorization)
        host = _host(url)
        sent = {"Content-Type": "application/json", "User-Agent": "trueup", **(headers or {})}
        if authorization:
            sent["Authorization"] = authorization
        try:
            answer = self._pool.request(
                "POST", url, body=body, headers=sent, redirect=False, preload_content=False, decode_content=False
            )
            try:
                said = answer.read(_ANSWER_BYTES)
            finally:
                answer.close()  # the connection is kept if the answer was read to its end
        except HTTPError as error:
            raise Retryable(f"{host} {_trouble(error)}") from None
        except (ValueError, OSError) as error:
            raise Retryable(f"cannot post to {host}: {type(error).__name__}; correct the headers or ca_file") from None
        self._decide(host, answer.status, answer.headers, said)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _decide(self, host: str, status: int, headers: Mapping[str, str], said: bytes) -> None:
        if 200 <= status < 300:
            return
        told = f"{host} answers {status}{_excerpt(said)}"
        if 300 <= status < 400:
            raise Rejected(f"{told}; it redirects: set the URL to where it leads")
        if status >= 500 or status in _TRY_AGAIN:
            raise Retryable(told, retry_after(headers.get("Retry-After"), self._clock.wall()))
        raise Rejected(told)


def current(secret: Secret) -> str:
    """The secret as it is now. Raises Retryable when it cannot be read."""
    try:
        return secret()
    except ConfigError as error:
        raise Retryable(str(error)) from None


def retry_after(value: str | None, now: int) -> float | None:
    """Seconds of a Retry-After header, a number or an HTTP date; None if it is neither. `now` is in microseconds."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now / MICRO)


def _pool(connection: Connection) -> urllib3.PoolManager:
    timeout = urllib3.Timeout(connect=connection.timeout, read=connection.timeout)
    if connection.proxy is not None:
        return urllib3.ProxyManager(connection.proxy, timeout=timeout, retries=False, ca_certs=connection.ca_file)
    return urllib3.PoolManager(timeout=timeout, retries=False, ca_certs=connection.ca_file)


def _host(url: str) -> str:
    """`host` or `host:port`. Raises Retryable if the URL is none; it is not told, as it may be a secret."""
    try:
        parsed = urllib3.util.parse_url(url)
    except LocationValueError:
        parsed = urllib3.util.Url()
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise Retryable("the URL of the receiver is none: it must begin with http:// or https:// and name a host")
    return f"{parsed.host}:{parsed.port}" if parsed.port else parsed.host


def _trouble(error: HTTPError) -> str:
    if isinstance(error, NewConnectionError):
        return f"cannot be connected to ({error.__cause__ or 'refused'}); is it running, is the URL right?"
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError):
        return "does not answer in time"
    reason = error.__cause__ or error.__context__
    return f"breaks the connection ({type(error).__name__}{f': {reason}' if reason else ''})"


def _excerpt(said: bytes) -> str:
    words = " ".join(said.decode("utf-8", "replace").split())
    told = "".join(letter for letter in words if letter.isprintable())[:_TOLD_CHARACTERS]
    return f": {told}" if told else ""
