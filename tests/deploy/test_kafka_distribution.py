"""Where a part of Apache Kafka is missing, the message says which one and how to get it."""

import os
from pathlib import Path

import pytest

from deploy.kafka import distribution
from deploy.kafka.distribution import KafkaUnavailableError
from deploy.local.kafka import main


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are found; the cache is empty too."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


def add_program(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


JAVA_17 = """echo 'openjdk version "17.0.15" 2025-04-15' >&2"""
JAVA_11 = """echo 'openjdk version "11.0.2" 2019-01-15' >&2"""


def test_without_java_the_reason_says_how_to_install_it(programs: Path) -> None:
    assert "apt-get install openjdk-17-jdk-headless" in (distribution.missing() or "")


def test_an_old_java_is_named_with_its_version(programs: Path) -> None:
    add_program(programs, "java", JAVA_11)

    assert '"11.0.2"' in (distribution.missing() or "")


def test_without_the_jars_the_reason_has_the_command_that_fetches_them(programs: Path) -> None:
    add_program(programs, "java", JAVA_17)

    assert "python -m deploy.local.kafka --fetch-only" in (distribution.missing() or "")


def test_java_home_comes_before_the_path(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_program(programs, "java", JAVA_11)
    home = tmp_path / "jdk"
    (home / "bin").mkdir(parents=True)
    add_program(home / "bin", "java", JAVA_17)
    monkeypatch.setenv("JAVA_HOME", str(home))

    assert "not on this machine yet" in (distribution.missing() or "")


def test_without_maven_the_command_line_fails_with_the_fix(programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_program(programs, "java", JAVA_17)

    assert main(["--fetch-only"]) == 3
    assert "apt-get install maven" in capsys.readouterr().err


def test_what_maven_could_not_fetch_is_told_and_leaves_nothing_half_done(programs: Path, tmp_path: Path) -> None:
    add_program(programs, "java", JAVA_17)
    add_program(programs, "mvn", "echo '[ERROR] Unknown host repo.example.invalid'; exit 1")

    with pytest.raises(KafkaUnavailableError, match=r"Unknown host repo.example.invalid"):
        distribution.fetch()
    assert not list((tmp_path / "cache" / "trueup" / "kafka").iterdir())


def test_fetching_copies_the_jars_once(programs: Path, tmp_path: Path) -> None:
    count = tmp_path / "runs"
    add_program(programs, "java", JAVA_17)
    add_program(
        programs,
        "mvn",
        f'echo run >> {count}\nfor each; do case "$each" in -DoutputDirectory=*) target=${{each#*=}};; esac; done\n'
        '/bin/mkdir -p "$target" && : > "$target/kafka.jar"',
    )

    assert [jar.name for jar in distribution.fetch().jars] == ["kafka.jar"]
    assert [jar.name for jar in distribution.fetch().jars] == ["kafka.jar"]
    assert count.read_text().split() == ["run"]


def test_the_jars_are_kept_outside_the_repository() -> None:
    if reason := distribution.missing():
        pytest.skip(reason)
    repository = Path(__file__).parents[2]

    assert not any(jar.is_relative_to(repository) for jar in distribution.locate().jars)
    assert os.access(distribution.locate().java, os.X_OK)
