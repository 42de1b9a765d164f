"""The frameworks of the examples: where they are, and what is said where they cannot be had."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deploy import examples


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache with nothing in it, and a machine without uv."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    return tmp_path


def test_what_is_not_installed_is_said_with_the_command_that_installs_it() -> None:
    assert "run `python -m deploy.examples`" in (examples.missing() or "")


def test_without_uv_it_says_so_and_leaves_nothing_behind(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert examples.main() == 3
    assert "run `make setup`, then `python -m deploy.examples`" in capsys.readouterr().err
    assert [path.name for path in cache.rglob("*") if path.name == "made"] == []


def test_what_is_installed_is_not_installed_again(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment = examples._python()
    assert environment.is_relative_to(cache)
    environment.parent.mkdir(parents=True)
    environment.touch()
    assert examples.main() == 0
    assert capsys.readouterr().out == f"{environment}\n"
    assert examples.missing() is None


def test_another_lock_is_another_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = examples._python()
    other = tmp_path / "requirements.lock"
    other.write_text("httpx==0.28.1\n")
    monkeypatch.setattr(examples, "_LOCK", other)
    assert examples._python() != before
