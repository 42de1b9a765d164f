"""docker-compose.yml: valid, pinned, closed to the outside, with the least privileges, and true to the code."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml

from deploy.kafka import distribution
from pipeline.config import Settings, load

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILES = [ROOT / "deploy" / "Dockerfile", ROOT / "deploy" / "collector" / "Dockerfile"]
BUILT_HERE = {"trueup", "trueup-collector"}

each_service = pytest.mark.parametrize("name", SERVICES)
each_dockerfile = pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: str(path.relative_to(ROOT)))


def test_it_is_valid_by_the_compose_specification() -> None:
    schema = json.loads((Path(__file__).parent / "vendor" / "compose-spec.json").read_text())

    jsonschema.validate(COMPOSE, schema)


@each_service
def test_every_image_has_an_exact_version(name: str) -> None:
    assert re.search(r":\d+\.\d+\.\d+", SERVICES[name]["image"])


@each_dockerfile
def test_every_base_image_has_an_exact_version(dockerfile: Path) -> None:
    bases = re.findall(r"^FROM (\S+)", dockerfile.read_text(), re.MULTILINE)

    assert bases
    assert not [base for base in bases if not re.search(r":\d+\.\d+\.\d+", base)]


@each_service
def test_ports_are_published_on_loopback_only(name: str) -> None:
    assert not [port for port in SERVICES[name].get("ports", []) if not port.startswith("127.0.0.1:")]


@each_service
def test_no_service_has_more_privileges_than_it_needs(name: str) -> None:
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    assert service.get("network_mode") is None


@each_service
def test_no_service_runs_as_root(name: str) -> None:
    user = SERVICES[name].get("user") or _last_user(name)

    assert user not in (None, "root", "0", "0:0")


@pytest.mark.parametrize("name", ["migrate", "worker", "collector"])
def test_our_own_images_run_with_a_read_only_file_system(name: str) -> None:
    assert SERVICES[name]["read_only"] is True


@each_service
def test_memory_is_bounded(name: str) -> None:
    assert re.fullmatch(r"\d+[mg]", SERVICES[name]["mem_limit"])


@each_service
def test_what_a_service_waits_for_has_the_state_it_waits_for(name: str) -> None:
    for other, dependency in SERVICES[name].get("depends_on", {}).items():
        if dependency["condition"] == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]
        else:
            assert dependency["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no"


@each_service
def test_a_service_that_goes_on_running_has_a_health_check(name: str) -> None:
    service = SERVICES[name]
    in_image = name in ("worker", "collector") and "HEALTHCHECK" in _dockerfile(name).read_text()

    assert service["restart"] == "no" or in_image or "test" in service["healthcheck"]


def test_every_file_that_is_mounted_exists() -> None:
    mounted = [source for source, _ in _mounts() if source.startswith(".")]

    assert mounted
    assert not [source for source in mounted if not (ROOT / source).is_file()]


def test_files_are_mounted_read_only() -> None:
    assert not [source for source, options in _mounts() if source.startswith(".") and options != "ro"]


def test_the_script_makes_every_secret_once_and_they_differ(tmp_path: Path) -> None:
    wanted = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    script = [str(ROOT / "deploy" / "compose" / "secrets.sh"), str(tmp_path / "secrets")]

    subprocess.run(script, check=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    subprocess.run(script, check=True)

    assert set(made) == wanted
    assert len(set(made.values())) == len(wanted)
    assert all(re.fullmatch(r"[0-9a-f]{48}", password) for password in made.values())
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made


def test_the_secrets_are_kept_out_of_the_repository_and_the_image() -> None:
    folder = Path(next(iter(COMPOSE["secrets"].values()))["file"]).parent

    assert folder.name + "/" in (ROOT / folder.parent / ".gitignore").read_text().splitlines()
    assert str(folder) in (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()


def test_no_password_is_written_in_the_file() -> None:
    names = [name for service in SERVICES.values() for name in service.get("environment", {})]

    assert names
    assert not [name for name in names if "PASSWORD" in name and not name.endswith("_FILE")]


@pytest.mark.parametrize("name", ["migrate", "worker"])
def test_the_application_understands_its_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(name, monkeypatch)

    assert settings.kafka.bootstrap == "kafka:19092"
    assert settings.clickhouse.url == "http://clickhouse:8123"
    assert str(settings.clickhouse.password_file).removeprefix("/run/secrets/") in SERVICES[name]["secrets"]


def test_the_users_of_clickhouse_are_those_that_its_configuration_has(monkeypatch: pytest.MonkeyPatch) -> None:
    file = ROOT / "deploy" / "clickhouse" / "users.d" / "trueup.xml"
    users = ElementTree.parse(file).find("users")  # noqa: S314 - our own file
    assert users is not None
    configured = {user.tag for user in users if user.get("remove") is None}

    assert {_settings(name, monkeypatch).clickhouse.user for name in ("migrate", "worker")} == configured


def test_the_topics_that_are_created_are_those_that_the_worker_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = _settings("worker", monkeypatch).kafka
    script = (ROOT / "deploy" / "kafka" / "create-topics.sh").read_text()
    created = dict(re.findall(r'^create (\S+) "?(\S+?)"? \S+$', script, re.MULTILINE))

    assert set(created) == {kafka.spans_topic, kafka.logs_topic, kafka.actions_topic, kafka.deadletter_topic}
    assert created[kafka.actions_topic] == "$partitions"
    assert SERVICES["kafka-init"]["environment"]["TRUEUP_KAFKA__PARTITIONS"] == str(kafka.partitions)


def test_the_kafka_image_is_the_version_that_the_tests_run() -> None:
    assert {SERVICES[name]["image"] for name in ("kafka", "kafka-init")} == {f"apache/kafka:{distribution.version()}"}


def test_the_images_carry_the_versions_of_what_is_in_them() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    builder = yaml.safe_load((ROOT / "deploy" / "collector" / "builder.yaml").read_text())
    version = re.search(r'^version = "(.+)"$', pyproject, re.MULTILINE)
    assert version is not None

    assert {SERVICES[name]["image"] for name in ("migrate", "worker")} == {f"trueup:{version[1]}"}
    assert SERVICES["collector"]["image"] == f"trueup-collector:{builder['dist']['version']}"


def _mounts() -> Iterator[tuple[str, str]]:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source, _, rest = volume.partition(":")
            yield source, rest.partition(":")[2]


def _dockerfile(name: str) -> Path:
    build = SERVICES[name]["build"]
    return ROOT / (build["dockerfile"] if "dockerfile" in build else f"{build['context']}/Dockerfile")


def _last_user(name: str) -> str | None:
    users = re.findall(r"^USER (\S+)$", _dockerfile(name).read_text(), re.MULTILINE)
    return users[-1] if users else None


def _settings(name: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for key, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(key, value)
    return load()
