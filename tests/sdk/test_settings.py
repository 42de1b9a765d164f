"""Where telemetry goes, from arguments and the environment."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from trueup.settings import PREFIX, KafkaSettings, SettingsError

README = Path(__file__).parents[2] / "sdk" / "README.md"


def test_without_anything_it_is_the_local_broker() -> None:
    settings = KafkaSettings.from_env({})
    assert settings == KafkaSettings()
    assert settings.servers == ("127.0.0.1:9092",)
    assert (settings.spans_topic, settings.logs_topic) == ("otlp_spans", "otlp_logs")


def test_arguments_come_before_variables_and_none_is_no_argument() -> None:
    environ = {"TRUEUP_KAFKA_BOOTSTRAP": "a:1,b:2", "TRUEUP_KAFKA_SPANS_TOPIC": "spans", "TRUEUP_KAFKA_LINGER_MS": "7"}
    settings = KafkaSettings.from_env(environ, spans_topic="others", logs_topic=None)
    assert settings.servers == ("a:1", "b:2")
    assert (settings.spans_topic, settings.logs_topic, settings.linger_ms) == ("others", "otlp_logs", 7)


def test_an_empty_variable_is_no_variable() -> None:
    assert KafkaSettings.from_env({"TRUEUP_KAFKA_BOOTSTRAP": ""}) == KafkaSettings()


def test_the_password_comes_from_a_file_first_and_is_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    environ = {
        "TRUEUP_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "TRUEUP_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "TRUEUP_KAFKA_SASL_USERNAME": "agent",
        "TRUEUP_KAFKA_SASL_PASSWORD": "ignored",
        "TRUEUP_KAFKA_SASL_PASSWORD_FILE": str(secret),
        "TRUEUP_KAFKA_SSL_CAFILE": "/etc/ca.pem",
    }
    settings = KafkaSettings.from_env(environ)
    options = settings.producer_options()
    assert options["sasl_plain_password"] == "hunter2"
    assert options["sasl_plain_username"] == "agent"
    assert options["ssl_cafile"] == "/etc/ca.pem"
    assert "hunter2" not in repr(settings)


def test_a_password_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"SASL_PASSWORD_FILE names .*/nowhere, which cannot be read"):
        KafkaSettings.from_env({"TRUEUP_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "nowhere")})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"bootstrap": ""}, "bootstrap is empty"),
        ({"bootstrap": "kafka"}, "an address is host:port"),
        ({"bootstrap": "kafka:9092, [::1]"}, "an address is host:port"),
        ({"spans_topic": "no spaces"}, "topic is 'no spaces'"),
        ({"security_protocol": "TLS"}, "one of: PLAINTEXT, SSL"),
        ({"security_protocol": "SASL_SSL"}, "needs a mechanism, a user name and a password"),
        ({"compression": "brotli"}, "one of: none, gzip"),
        ({"max_request_size": 0}, "greater than 0"),
        ({"delivery_timeout": float("nan")}, "greater than 0"),
        ({"linger_ms": -1}, "0 or more"),
        ({"queue_bytes": 10}, "would never fit"),
    ],
)
def test_what_cannot_work_is_refused_with_the_fix(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        KafkaSettings(**wrong)  # type: ignore[arg-type]


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="TRUEUP_KAFKA_LINGER_MS is 'soon'; it must be a number"):
        KafkaSettings.from_env({"TRUEUP_KAFKA_LINGER_MS": "soon"})


def test_compression_without_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueup.settings.find_spec", lambda module: None)
    with pytest.raises(SettingsError, match="compression zstd needs the Python package zstandard"):
        KafkaSettings(compression="zstd")


@pytest.mark.parametrize("server", ["kafka:9092", "10.0.0.1:1", "[::1]:9092", "a-b.c:65535"])
def test_addresses_that_work(server: str) -> None:
    assert KafkaSettings(bootstrap=server).servers == (server,)


def test_kafka_itself_knows_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    from kafka import KafkaProducer

    assert set(KafkaSettings().producer_options()) <= set(KafkaProducer.DEFAULT_CONFIG)


def test_the_readme_lists_every_variable() -> None:
    text = README.read_text(encoding="utf-8")
    assert [f.name for f in fields(KafkaSettings) if f"`{PREFIX}{f.name.upper()}`" not in text] == []
