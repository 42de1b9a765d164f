"""Why Kafka cannot be reached. The client says only that it gave up; a person needs to know which setting it is."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from pathlib import Path

from pipeline.config import ConfigError, Kafka, Settings

SECONDS = 5.0


class Unreachable(Exception):
    """Kafka does not answer: nothing can be decided."""


def trouble(settings: Settings, error: Exception) -> ConfigError | Unreachable:
    """What to raise when kafka-python gave up with `error`: it connects once more, step by step, to find out why."""
    k = settings.kafka
    failed = OSError("no address")
    for address in k.bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            with socket.create_connection((host, int(port)), SECONDS) as connection:
                return _of_connection(k, address.strip(), host, connection) or _of_login(k, address.strip(), error)
        except (OSError, ValueError) as refused:
            failed = refused if isinstance(refused, OSError) else OSError(f"{address} is not host:port")
    return Unreachable(f"Kafka at {k.bootstrap} does not answer ({failed.strerror or failed}); is it running?")


def _of_connection(k: Kafka, address: str, host: str, connection: socket.socket) -> ConfigError | None:
    if not k.security_protocol.endswith("SSL"):
        if _speaks_tls(connection):
            return ConfigError(f"Kafka at {address} speaks TLS; set kafka.security_protocol to SSL or SASL_SSL")
        return None
    try:
        with tls(k).wrap_socket(connection, server_hostname=host):
            return None
    except ssl.SSLCertVerificationError as error:
        return ConfigError(
            f"the certificate of Kafka at {address} is not trusted ({error.verify_message}); "
            "set kafka.ssl_ca_file to the authority that signed it, and kafka.bootstrap to the name it is for"
        )
    except OSError as error:
        return ConfigError(f"Kafka at {address} does not speak TLS ({error}); see kafka.security_protocol")


def _speaks_tls(connection: socket.socket) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent
    with suppress(OSError), context.wrap_socket(connection):
        return True
    return False


def _of_login(k: Kafka, address: str, error: Exception) -> Unreachable:
    if k.security_protocol.startswith("SASL"):
        return Unreachable(
            f"Kafka at {address} hangs up on {k.sasl_username!r} ({error}); check kafka.sasl_username, "
            f"kafka.sasl_password_file and kafka.sasl_mechanism ({k.sasl_mechanism})"
        )
    return Unreachable(
        f"Kafka at {address} takes connections and does not answer ({error}); if it wants a login, "
        "set kafka.security_protocol to SASL_SSL"
    )


def tls(k: Kafka) -> ssl.SSLContext:
    """What checks the brokers' certificates. Raises ConfigError when the authority's file cannot be read."""
    return ssl.create_default_context(cafile=ca_file(k))


def ca_file(k: Kafka) -> str | None:
    """The file of the brokers' authority; None: the system's. Raises ConfigError when it cannot be used."""
    if k.ssl_ca_file is None:
        return None
    try:
        ssl.create_default_context(cafile=str(k.ssl_ca_file))
    except OSError as error:
        raise ConfigError(
            f"kafka.ssl_ca_file {Path(k.ssl_ca_file)} cannot be used ({error.strerror or error}); "
            "it must hold certificates in PEM form"
        ) from None
    return str(k.ssl_ca_file)
