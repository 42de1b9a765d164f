"""How to reach Kafka and how much to hold for it: from arguments, else from TRUEUP_KAFKA_* variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

PREFIX: Final = "TRUEUP_KAFKA_"
PASSWORD_FILE: Final = "TRUEUP_KAFKA_SASL_PASSWORD_FILE"  # noqa: S105 - the name of a variable

SECURITY_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
COMPRESSIONS: Final = {"none": None, "gzip": "gzip", "lz4": "lz4", "zstd": "zstandard", "snappy": "snappy"}
"""What compression is called, and the module it needs."""

BATCH_BYTES: Final = 256 * 1024
"""What one Kafka batch gathers within `linger_ms`."""
RECORD_OVERHEAD: Final = 1024
"""Room in a Kafka request beside the payload."""
REQUEST_TIMEOUT_MS: Final = 10_000
MAX_BLOCK_MS: Final = 5_000
"""How long the background thread waits for a topic's metadata before it starts over."""
BOOTSTRAP_TIMEOUT_MS: Final = 5_000

_SERVER: Final = re.compile(r"(?:[^\s:\[\]]+|\[[0-9a-fA-F:.]+\]):\d{1,5}")
_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")


class SettingsError(ValueError):
    """A setting cannot work; the text says which, why and the fix. Raised at the start, never later."""


@dataclass(frozen=True)
class KafkaSettings:
    """Where telemetry goes. Exporters of one process with the same connection share one producer."""

    bootstrap: str = "127.0.0.1:9092"
    """`host:port`, several with commas."""
    spans_topic: str = "otlp_spans"
    logs_topic: str = "otlp_logs"
    security_protocol: str = "PLAINTEXT"
    """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
    sasl_mechanism: str | None = None
    """PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or another that kafka-python knows."""
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    compression: str = "gzip"
    """none, gzip, or lz4, zstd, snappy where their packages are installed."""
    linger_ms: int = 50
    """How long a batch waits for company, milliseconds."""
    max_request_size: int = 1_000_000
    """Largest message, bytes before compression. At most the broker's message.max.bytes."""
    queue_bytes: int = 16 * 1024 * 1024
    """The most that one exporter holds until Kafka acknowledges it, bytes; beyond that it drops."""
    delivery_timeout: float = 30.0
    """Seconds without acknowledgement after which the connection is given up, and all is sent again."""
    exit_timeout: float = 5.0
    """Seconds that a shutdown waits for Kafka, unless it is told otherwise."""

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **given: Any) -> KafkaSettings:
        """Settings from TRUEUP_KAFKA_<NAME> variables, overridden by the arguments that are not None.

        The password comes from the file named by TRUEUP_KAFKA_SASL_PASSWORD_FILE, else from
        TRUEUP_KAFKA_SASL_PASSWORD. Raises SettingsError.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for setting in fields(cls):
            told = environ.get(PREFIX + setting.name.upper())
            if told:
                values[setting.name] = _converted(setting.name, str(setting.type), told)
        if password_file := environ.get(PASSWORD_FILE):
            values["sasl_password"] = _password(password_file)
        values.update({name: value for name, value in given.items() if value is not None})
        return cls(**values)

    def producer_options(self) -> dict[str, Any]:
        """The connection as options of kafka-python's KafkaProducer. What is equal here shares a producer."""
        return {
            "bootstrap_servers": self.servers,
            "security_protocol": self.security_protocol,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self.sasl_password,
            "ssl_cafile": self.ssl_cafile,
            "ssl_certfile": self.ssl_certfile,
            "ssl_keyfile": self.ssl_keyfile,
            "compression_type": None if self.compression == "none" else self.compression,
            "linger_ms": self.linger_ms,
            "max_request_size": self.max_request_size + RECORD_OVERHEAD,
            "batch_size": min(BATCH_BYTES, self.max_request_size),
            "acks": "all",
            "enable_idempotence": True,
            "delivery_timeout_ms": max(int(self.delivery_timeout * 1000), REQUEST_TIMEOUT_MS + self.linger_ms),
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
            "max_block_ms": MAX_BLOCK_MS,
            "bootstrap_timeout_ms": BOOTSTRAP_TIMEOUT_MS,
            "reconnect_backoff_max_ms": 5_000,
        }

    @property
    def servers(self) -> tuple[str, ...]:
        """The bootstrap addresses, `host:port` each."""
        return tuple(address.strip() for address in self.bootstrap.split(",") if address.strip())


def _converted(name: str, kind: str, told: str) -> object:
    try:
        return int(told) if kind == "int" else float(told) if kind == "float" else told
    except ValueError:
        raise SettingsError(f"{PREFIX}{name.upper()} is {told!r}; it must be a number") from None


def _password(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{PASSWORD_FILE} names {path}, which cannot be read: {error.strerror}") from None


def _check(settings: KafkaSettings) -> None:
    _check_addresses(settings)
    _check_security(settings)
    _check_compression(settings.compression)
    _check_sizes(settings)


def _check_addresses(settings: KafkaSettings) -> None:
    if not settings.servers:
        raise SettingsError("bootstrap is empty; give host:port, such as 127.0.0.1:9092")
    for server in settings.servers:
        if not _SERVER.fullmatch(server):
            raise SettingsError(f"bootstrap has {server!r}; an address is host:port, such as 127.0.0.1:9092")
    for topic in (settings.spans_topic, settings.logs_topic):
        if not _TOPIC.fullmatch(topic):
            raise SettingsError(f"topic is {topic!r}; it must be 1 to 249 of the characters a-z A-Z 0-9 . _ -")


def _check_security(settings: KafkaSettings) -> None:
    protocol = settings.security_protocol
    if protocol not in SECURITY_PROTOCOLS:
        allowed = ", ".join(SECURITY_PROTOCOLS)
        raise SettingsError(f"security_protocol is {protocol!r}; it must be one of: {allowed}")
    credentials = (settings.sasl_mechanism, settings.sasl_username, settings.sasl_password)
    if protocol.startswith("SASL") and not all(credentials):
        raise SettingsError(
            f"security_protocol {protocol} needs a mechanism, a user name and a password; "
            f"set {PREFIX}SASL_MECHANISM, {PREFIX}SASL_USERNAME and {PASSWORD_FILE}"
        )


def _check_compression(compression: str) -> None:
    if compression not in COMPRESSIONS:
        raise SettingsError(f"compression is {compression!r}; it must be one of: {', '.join(COMPRESSIONS)}")
    module = COMPRESSIONS[compression]
    if module is not None and find_spec(module) is None:
        raise SettingsError(f"compression {compression} needs the Python package {module}; install it or use gzip")


def _check_sizes(settings: KafkaSettings) -> None:
    for name in ("max_request_size", "queue_bytes", "delivery_timeout", "exit_timeout"):
        value = getattr(settings, name)
        if not value > 0:
            raise SettingsError(f"{name} is {value}; it must be greater than 0")
    if settings.linger_ms < 0:
        raise SettingsError(f"linger_ms is {settings.linger_ms}; it must be 0 or more")
    if settings.queue_bytes < settings.max_request_size:
        raise SettingsError(
            f"queue_bytes is {settings.queue_bytes}, so a request of max_request_size "
            f"({settings.max_request_size}) would never fit; raise it"
        )
