"""Nothing is configured and nothing answers, unless a test says so."""

from __future__ import annotations

import os

import pytest

from tests.command import Trueup, runner

NOBODY = "127.0.0.1:1"
"""An address where nothing listens."""


@pytest.fixture(autouse=True)
def nothing_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TRUEUP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRUEUP_KAFKA__BOOTSTRAP", NOBODY)
    monkeypatch.setenv("TRUEUP_CLICKHOUSE__URL", f"http://{NOBODY}")
    monkeypatch.setattr("pipeline.kafka.ANSWER_MS", 200)


@pytest.fixture
def trueup(capsys: pytest.CaptureFixture[str]) -> Trueup:
    return runner(capsys)
