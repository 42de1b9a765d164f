"""The collector's parts are pinned, its configuration is valid, and what is missing is told with the fix."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.collector import build
from deploy.collector.build import CollectorUnavailableError

FOLDER = Path(build.__file__).parent


def test_every_part_is_pinned_to_the_version_that_go_mod_has() -> None:
    builder = yaml.safe_load((FOLDER / "builder.yaml").read_text())
    parts = [part["gomod"] for kind, entries in builder.items() if kind != "dist" for part in entries]
    pinned = re.findall(r"^\t(\S+ v\S+)$", (FOLDER / "go.mod").read_text(), re.MULTILINE)

    assert parts
    assert set(parts) <= set(pinned)


def test_without_go_the_command_fails_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(build, "_GO_FOLDER", str(tmp_path))

    assert build.main() == 3
    assert "install Go 1.25 or newer, then run `python -m deploy.collector.build`" in capsys.readouterr().err


def test_what_go_could_not_do_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho 'dial tcp: lookup proxy.example.invalid' >&2; exit 1\n")
    go.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    with pytest.raises(CollectorUnavailableError, match=r"lookup proxy.example.invalid"):
        build.build()


def test_an_unbuilt_collector_names_the_command_that_builds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert "run `python -m deploy.collector.build`" in (build.missing() or "")


@pytest.mark.parametrize("files", [["config.yaml"], ["config.yaml", "kafka-scram.yaml"]], ids="+".join)
def test_the_configuration_is_valid(files: list[str], tmp_path: Path) -> None:
    if reason := build.missing():
        pytest.skip(reason)
    (tmp_path / "password").write_text("secret")
    secrets = {"TRUEUP_KAFKA__SSL_CA_FILE": "ca.pem", "TRUEUP_KAFKA__SASL_PASSWORD_FILE": str(tmp_path / "password")}
    command = [str(build.locate()), "validate", *(f"--config={FOLDER / name}" for name in files)]

    ran = subprocess.run(
        command, env={**secrets, "TRUEUP_KAFKA__SASL_USERNAME": "trueup"}, capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stderr) == (0, "")
