"""The configuration: where a value comes from, what is refused, and what is never shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.fields import FieldInfo

from pipeline.config import ConfigError, Section, Settings, load, parse_duration, show_duration, variable
from pipeline.environment import nearly_ours
from tests.command import Trueup

PASSWORD = "a word that nobody may see"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "trueup.yaml"


def write(file: Path, **settings: Any) -> Path:
    file.write_text(yaml.safe_dump(settings))
    return file


def test_the_environment_beats_the_file_and_the_file_the_default(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, kafka={"group": "of the file", "partitions": 3}, abandon_after="2h")
    monkeypatch.setenv("TRUEUP_KAFKA__GROUP", "of the environment")
    settings = load(file)
    assert settings.kafka.group == "of the environment"
    assert (settings.kafka.partitions, settings.abandon_after) == (3, 7_200)
    assert settings.kafka.spans_topic == "otlp_spans"
    assert load().kafka.partitions == Settings().kafka.partitions


def test_what_the_caller_says_beats_all(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUEUP_ABANDON_AFTER", "2h")
    assert load(write(file, abandon_after="3h"), {"abandon_after": "4h"}).abandon_after == 4 * 3_600


def test_the_file_is_the_one_of_the_option_else_of_the_environment(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUEUP_CONFIG", str(write(tmp_path / "other.yaml", abandon_after="5h")))
    assert load().abandon_after == 5 * 3_600
    assert load(write(file, abandon_after="6h")).abandon_after == 6 * 3_600
    monkeypatch.delenv("TRUEUP_CONFIG")
    assert load().abandon_after == 3_600


def test_maps_and_lists_come_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUEUP_ALIASES", '{"trueup.task.id": ["metadata.task_id"]}')
    monkeypatch.setenv("TRUEUP_WORKFLOWS", '{"refunds": {"abandon_after": "10m"}}')
    settings = load()
    assert settings.aliases == {"trueup.task.id": ["metadata.task_id"]}
    assert settings.workflows["refunds"].abandon_after == 600


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"kafak": {}}, "kafak: Extra inputs are not permitted"),
        ({"kafka": {"partition": 3}}, "kafka.partition: Extra inputs are not permitted"),
        ({"kafka": {"partitions": 0}}, "kafka.partitions: Input should be greater than or equal to 1"),
        ({"kafka": {"partitions": "many"}}, "kafka.partitions: Input should be a valid integer"),
        ({"kafka": {"security_protocol": "TLS"}}, "kafka.security_protocol: String should match pattern"),
        ({"clickhouse": {"url": "localhost"}}, "clickhouse.url: String should match pattern"),
        ({"clickhouse": {"url": "http://me:word@host"}}, "clickhouse.url: String should match pattern"),
        ({"clickhouse": {"database": "a; DROP"}}, "clickhouse.database: String should match pattern"),
        ({"abandon_after": "soon"}, "abandon_after: Value error, 'soon' is not a duration; write 30s, 15m, 2h or 1d"),
        ({"aliases": {"task": ["x"]}}, "aliases: Value error, task is not an attribute of the contract"),
        (
            {"kafka": {"bootstrap": "foo:abc"}},
            "kafka.bootstrap: Value error, 'foo:abc' is no broker: port could not be",
        ),
        ({"kafka": {"bootstrap": "a:1,b:99999"}}, "'b:99999' is no broker: port out of range 0-65535; write host:port"),
        ({"kafka": {"bootstrap": "a:1,"}}, "'' is no broker: it names no host"),
        ({"kafka": {"bootstrap": "a:"}}, "'a:' is no broker: it names no port"),
        ({"kafka": {"bootstrap": "kafka://a:1"}}, "a broker is a host and a port, and nothing more; write host:port"),
        (
            {"clickhouse": {"url": "http://h:99999"}},
            "nothing can be at that URL: port out of range 0-65535; write http",
        ),
        (
            {"clickhouse": {"url": "http://[::1"}},
            "nothing can be at that URL: invalid IPv6 URL; write http://host:port",
        ),
        (
            {"clickhouse": {"url": "http://:8123"}},
            "clickhouse.url: Value error, nothing can be at that URL: it names no",
        ),
        ({"clickhouse": {"url": "http://h?database=x"}}, "clickhouse.url: String should match pattern"),
        ({"clickhouse": {"retention_days": 7_301}}, "clickhouse.retention_days: Input should be less than or equal to"),
        (
            {"notify": {"receivers": [{"type": "alertmanager", "name": "a", "url": "http://h:99999"}]}},
            "notify.receivers.0.alertmanager.url: Value error, nothing can be at that URL: port out of range",
        ),
        ({"abandon_after": 0}, "abandon_after: Input should be greater than or equal to 1"),
        ({"workflows": {"w": {"abandon_after": "0s"}}}, "workflows.w.abandon_after: Input should be greater than or"),
        ({"abandon_after": "999999999d"}, "abandon_after: Value error, 999999999d is longer than 7300d"),
        ({"privacy": {"dead_letters": "some"}}, "privacy.dead_letters: String should match pattern"),
        (
            {"clickhouse": {"retention_days": 30}},
            "limits.oldest_days (400) is more than clickhouse.retention_days (30)",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_told_by_its_name(
    trueup: Trueup, file: Path, monkeypatch: pytest.MonkeyPatch, settings: Any, told: str
) -> None:
    for name in ("TRUEUP_CLICKHOUSE__URL", "TRUEUP_KAFKA__BOOTSTRAP"):
        monkeypatch.delenv(name)
    done = trueup("config", "check", "--config", str(write(file, **settings)))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"trueup: the configuration in {file} cannot be used:\n")
    assert told in done.err


def test_a_variable_of_a_section_that_does_not_exist_is_refused(
    trueup: Trueup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUEUP_KAFKA__PARTITION", "3")
    done = trueup("config", "check")
    assert done.code == 2
    assert "the configuration in the environment cannot be used:\n  kafka.partition: Extra inputs" in done.err


@pytest.mark.parametrize("address", ["h", "h:1", "h:1, i:2", "[::1]:9092", "10.0.0.1:9092,10.0.0.2:9092"])
def test_where_something_can_be_is_taken(file: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    for name in ("TRUEUP_CLICKHOUSE__URL", "TRUEUP_KAFKA__BOOTSTRAP"):
        monkeypatch.delenv(name)
    settings = load(
        write(file, kafka={"bootstrap": address}, clickhouse={"url": f"https://{address.split(',', maxsplit=1)[0]}"})
    )
    assert settings.kafka.bootstrap == address


@pytest.mark.parametrize(
    "settings",
    [
        {"notify": {"receivers": [{"type": "slack", "name": "s", "url": "https://h/x", "template": "FILE"}]}},
        {"clickhouse": {"password_file": "FILE"}},
        {"kafka": {"security_protocol": "SASL_PLAINTEXT", "sasl_password_file": "FILE"}},
    ],
    ids=str,
)
def test_a_file_that_the_configuration_names_and_that_is_not_there_is_found(
    trueup: Trueup, file: Path, tmp_path: Path, settings: Any
) -> None:
    absent = tmp_path / "absent"
    file.write_text(yaml.safe_dump(settings).replace("FILE", str(absent)))
    done = trueup("config", "check", "--config", str(file))
    assert (done.code, done.out) == (2, "")
    assert str(absent) in done.err
    assert done.err.endswith("check the path and its rights\n")


def test_a_configuration_with_all_its_files_is_fine(trueup: Trueup, file: Path) -> None:
    receivers = [{"type": "slack", "name": "s", "url": "https://h/x"}, {"type": "kafka", "name": "k"}]
    done = trueup("config", "check", "--config", str(write(file, notify={"receivers": receivers})))
    assert (done.code, done.err) == (0, "the configuration is fine\n")


@pytest.mark.parametrize("text", ["- a\n- b\n", "just text", "1: 2"], ids=repr)
def test_a_file_of_another_shape_is_told_with_the_right_one(trueup: Trueup, file: Path, text: str) -> None:
    file.write_text(text)
    done = trueup("config", "check", "--config", str(file))
    told = f"trueup: the configuration in {file} is no map of settings by their names; write `abandon_after: 2h`"
    assert (done.code, done.err[: len(told)]) == (2, told)


@pytest.mark.parametrize("text", ["a: [", "- a\n- b\n", "just text", "\x00"], ids=repr)
def test_a_file_that_is_no_map_of_settings_is_told(trueup: Trueup, file: Path, text: str) -> None:
    file.write_text(text)
    done = trueup("config", "check", "--config", str(file))
    assert (done.code, done.out) == (2, "")
    assert str(file) in done.err
    assert "Traceback" not in done.err


def test_a_file_that_is_not_there_is_told(trueup: Trueup, tmp_path: Path) -> None:
    done = trueup("report", "--config", str(tmp_path / "absent.yaml"))
    assert done.code == 2
    fix = "check --config or TRUEUP_CONFIG"
    assert done.err == f"trueup: there is no configuration file {tmp_path / 'absent.yaml'}; {fix}\n"


def test_what_is_shown_can_be_used_again(trueup: Trueup, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, workflows={"refunds": {"abandon_after": "90s"}}, human_usd_per_hour={"default": 40.5})
    shown = trueup("config", "show", "--config", str(file)).out
    again = file.with_name("again.yaml")
    again.write_text(shown)
    assert load(again) == load(file)
    assert "abandon_after: 90s" in shown


def test_secrets_are_masked(trueup: Trueup, file: Path) -> None:
    write(file, kafka={"sasl_password": PASSWORD}, clickhouse={"password": PASSWORD})
    done = trueup("config", "show", "--config", str(file))
    assert done.code == 0
    assert PASSWORD not in done.out + done.err
    assert done.out.count("**********") == 2
    settings = load(file)
    assert (settings.kafka.password, settings.clickhouse.secret) == (PASSWORD, PASSWORD)
    assert PASSWORD not in repr(settings)


def test_a_bad_value_beside_a_secret_does_not_tell_the_secret(trueup: Trueup, file: Path) -> None:
    write(file, kafka={"sasl_password": PASSWORD, "partitions": 0}, clickhouse={"password": [PASSWORD]})
    done = trueup("config", "check", "--config", str(file))
    assert done.code == 2
    assert PASSWORD not in done.out + done.err


def test_a_secret_may_be_in_a_file(file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{PASSWORD}\n")
    write(file, kafka={"sasl_password_file": str(secret), "sasl_password": "not this"})
    assert load(file).kafka.password == PASSWORD
    secret.unlink()
    with pytest.raises(ConfigError, match=r"cannot read the secret in .*: No such file"):
        assert load(file).kafka.password


def test_the_schema_of_the_configuration_is_json(trueup: Trueup) -> None:
    schema = yaml.safe_load(trueup("config", "schema").out)
    assert schema["properties"].keys() == Settings.model_fields.keys()


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("15m", 900), ("2h", 7_200), ("1d", 86_400), (" 7 ", 7), (9, 9)]
)
def test_durations(text: str | int, seconds: int) -> None:
    assert parse_duration(text) == seconds
    assert parse_duration(show_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "1w", "-1s", "1.5h", "1 h", True, None, -1, 1.5])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


def test_every_setting_says_what_it_means() -> None:
    def undescribed(prefix: str, fields: dict[str, FieldInfo]) -> list[str]:
        found = []
        for name, field in fields.items():
            kind = field.annotation
            if isinstance(kind, type) and issubclass(kind, Section):
                found += undescribed(f"{prefix}{name}.", kind.model_fields)
            elif not field.description:
                found.append(prefix + name)
        return found

    assert undescribed("", Settings.model_fields) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TRUEUP_KAFKA_BOOTSTRAP", "TRUEUP_KAFKA__BOOTSTRAP"),
        ("TRUEUP_KAFKA_SSL_CAFILE", "TRUEUP_KAFKA__SSL_CA_FILE"),
        ("trueup_kafak__bootstrap", "TRUEUP_KAFKA__BOOTSTRAP"),
        ("TRUEUP_CLICKHOUSE_URL", "TRUEUP_CLICKHOUSE__URL"),
        ("TRUEUP_ABANDONED_AFTER", "TRUEUP_ABANDON_AFTER"),
        ("TRUEUP_CONFIGS", "TRUEUP_CONFIG"),
    ],
)
def test_a_variable_that_is_nearly_ours_is_told_with_the_one_that_was_meant(name: str, meant: str) -> None:
    assert [(found.name, found.meant) for found in nearly_ours({name: "x"})] == [(name.upper(), meant)]
    assert nearly_ours({name: "x", meant: "y"}) == []


def test_a_variable_that_is_ours_or_somebody_elses_is_not_told() -> None:
    for name, field in Settings.model_fields.items():
        assert nearly_ours({variable(name): ""}) == []
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            assert nearly_ours({variable(f"{name}.{inner}"): "" for inner in field.annotation.model_fields}) == []
    others = ["TRUEUP_WORKFLOWS__REFUNDS__ABANDON_AFTER", "TRUEUP_DEBUG", "KAFKA_BOOTSTRAP", "TRUEUP_KAFKA_LINGER_MS"]
    assert nearly_ours(dict.fromkeys(others, "")) == []


def test_config_show_and_doctor_tell_of_a_variable_that_is_nearly_ours(
    trueup: Trueup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRUEUP_KAFKA__BOOTSTRAP")
    monkeypatch.setenv("TRUEUP_KAFKA_BOOTSTRAP", "k1:9092")
    told = (
        "TRUEUP_KAFKA_BOOTSTRAP is set, and nothing reads it, except for an agent's SDK; "
        "the setting is TRUEUP_KAFKA__BOOTSTRAP"
    )
    done = trueup("config", "show")
    assert (done.code, done.err) == (0, f"trueup: {told}\n")
    assert "bootstrap: 127.0.0.1:9092" in done.out
    checks = json.loads(trueup("doctor", "--output", "json").out)["checks"]
    fix = "set TRUEUP_KAFKA__BOOTSTRAP, or remove TRUEUP_KAFKA_BOOTSTRAP"
    assert checks[0] == {"name": "environment", "ok": True, "mark": "note", "finding": told, "fix": fix}
