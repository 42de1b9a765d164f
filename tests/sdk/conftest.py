"""What the tests of the SDK share: a Kafka in memory, settings that do not wait, a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from textwrap import dedent

import pytest
from opentelemetry import context
from trueup.settings import KafkaSettings
from trueup.telemetry import Telemetry
from trueup.testing import MemoryKafka

PATIENCE = 20.0
"""Seconds that a test waits for what should happen at once."""


@pytest.fixture
def kafka() -> MemoryKafka:
    return MemoryKafka()


@pytest.fixture
def settings() -> KafkaSettings:
    """Nothing listens there, and a shutdown does not wait for it."""
    return KafkaSettings(bootstrap="127.0.0.1:1", exit_timeout=0.01)


@pytest.fixture
def telemetry(kafka: MemoryKafka) -> Iterator[Telemetry]:
    """A telemetry handle of service `refund-agent`, workflow `refunds`, into the Kafka in memory."""
    with kafka.telemetry("refund-agent", workflow="refunds") as handle:
        yield handle


@pytest.fixture(autouse=True)
def _empty_context() -> Iterator[None]:
    """No test sees the baggage that another one left behind."""
    token = context.attach(context.Context())
    yield
    context.detach(token)


@pytest.fixture
def eventually(kafka: MemoryKafka) -> Callable[[Callable[[], bool]], None]:
    """Wait until something is true of the Kafka in memory, or fail."""

    def wait(condition: Callable[[], bool]) -> None:
        with kafka.changed:
            assert kafka.changed.wait_for(condition, PATIENCE)

    return wait


@pytest.fixture
def run_script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python code in a fresh interpreter: for what is global to a process, and for what happens at its end."""

    def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {"PATH": "/usr/bin:/bin", "PYTHONWARNINGS": "error::ResourceWarning"}
        return subprocess.run(
            [sys.executable, "-c", dedent(code), *arguments],
            env=inherited | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
