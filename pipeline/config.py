"""The one configuration model: environment, file, command line and documentation all come from it.

Order of precedence: environment (`TRUEUP_KAFKA__BOOTSTRAP=…`), then the file named by `--config` or
`TRUEUP_CONFIG` (YAML), then the defaults here. Durations are written as `30s`, `15m`, `2h`, `1d`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from pipeline.addresses import brokers, http_url
from pipeline.alerter.settings import AlerterSettings
from pipeline.notify.settings import NotifySettings
from pipeline.section import (
    LONGEST_DAYS,
    ConfigError,
    Duration,
    Section,
    parse_duration,
    secret_of,
    show_duration,
)
from schemas.mapping.reader import Reader
from schemas.mapping.records import Limits
from schemas.prices import PROVIDERS, per_token
from schemas.units import millionths

__all__ = [
    "ClickHouse",
    "ConfigError",
    "Duration",
    "Http",
    "Kafka",
    "LimitSettings",
    "OwnPriceSettings",
    "Privacy",
    "Scale",
    "Section",
    "Settings",
    "Usd",
    "Worker",
    "Workflow",
    "load",
    "parse_duration",
    "show_duration",
    "variable",
]

_LIMITS = Limits()
MILLION = 1_000_000


class Kafka(Section):
    """Where the events are."""

    bootstrap: Annotated[str, AfterValidator(brokers)] = Field(
        "127.0.0.1:9092", description="brokers, host:port, separated by commas"
    )
    group: str = Field("trueup", description="consumer group of the workers")
    spans_topic: str = Field("otlp_spans", description="OTLP traces, protobuf or JSON")
    logs_topic: str = Field("otlp_logs", description="OTLP logs, protobuf or JSON")
    actions_topic: str = Field("agent.actions", description="canonical events, keyed by task")
    deadletter_topic: str = Field("agent.deadletter", description="what could not be used, and why")
    partitions: int = Field(12, ge=1, le=4096, description="partitions of agent.actions; a change is a new epoch")
    epoch: int = Field(
        0,
        ge=0,
        le=65535,
        description="raise it when agent.actions is recreated or repartitioned; what is sent again then counts again",
    )
    replication: int = Field(1, ge=1, le=9, description="replicas of topics that Trueup creates")
    message_bytes: int = Field(900_000, ge=10_000, description="largest message that Trueup produces")
    session_timeout: float = Field(10.0, ge=1, description="seconds after which a silent worker loses its partitions")
    security_protocol: str = Field(
        "PLAINTEXT",
        pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$",
        description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
    )
    sasl_mechanism: str = Field(
        "SCRAM-SHA-512",
        pattern="^(SCRAM-SHA-256|SCRAM-SHA-512|PLAIN)$",
        description="SCRAM-SHA-256, SCRAM-SHA-512 or PLAIN",
    )
    sasl_username: str = Field("", description="as whom to speak to the brokers")
    sasl_password: SecretStr | None = Field(None, description="better in a file")
    sasl_password_file: Path | None = Field(None, description="read instead of sasl_password")
    ssl_ca_file: Path | None = Field(None, description="certificate authority of the brokers")

    @property
    def password(self) -> str:
        """The SASL password, from the file if one is named."""
        return secret_of(self.sasl_password, self.sasl_password_file)


class ClickHouse(Section):
    """Where results land."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s/@?#]+$"), AfterValidator(http_url)] = Field(
        "http://127.0.0.1:8123", description="HTTP interface"
    )
    database: str = Field("trueup", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="made by `trueup migrate`")
    user: str = Field("default", description="needs SELECT, INSERT, and for `trueup migrate` CREATE and ALTER")
    password: SecretStr | None = Field(None, description="better in a file")
    password_file: Path | None = Field(None, description="read instead of password")
    ca_file: Path | None = Field(None, description="certificate authority of the server")
    timeout: int = Field(30, ge=15, description="seconds without a sign of life after which a request is tried again")
    retention_days: int = Field(
        400, ge=0, le=LONGEST_DAYS, description="how long rows are kept, 7300 at most; 0: for ever"
    )

    @property
    def secret(self) -> str:
        """The password, from the file if one is named."""
        return secret_of(self.password, self.password_file)


class Worker(Section):
    """How the worker batches."""

    messages: int = Field(500, ge=1, description="most Kafka messages in a batch")
    events: int = Field(150_000, ge=1, description="about how many events are folded, at most, before they are written")
    linger: float = Field(0.2, gt=0, le=60, description="seconds to wait for a batch to fill")
    rows_held: int = Field(
        1_000, ge=100, description="closed tasks kept in memory per partition, and five times as many windows"
    )
    open_held: int = Field(
        4_000, ge=100, description="open tasks kept in memory per partition; others wait in ClickHouse for their events"
    )
    clock: float = Field(5.0, gt=0, description="seconds between clock events")
    commit: float = Field(1.0, gt=0, description="seconds between commits of offsets")


class Http(Section):
    """Health and metrics of a process."""

    host: str = Field("127.0.0.1", description="loopback unless you open it")
    port: int = Field(8080, ge=0, le=65535, description="/livez, /readyz, /metrics; 0: a free one")


class LimitSettings(Section):
    """Named limits. What exceeds one becomes a dead letter that names it, if nothing else is said."""

    attributes: int = Field(_LIMITS.attributes, ge=1, description="attributes of a record")
    text_bytes: int = Field(_LIMITS.text_bytes, ge=64, description="bytes of an id, a name or a dimension")
    oldest_days: int = Field(_LIMITS.oldest_days, ge=1, description="age of an event when its message was sent")
    future_minutes: int = Field(
        _LIMITS.future_minutes, ge=0, description="how far ahead of its message an event may be"
    )
    cost_usd: int = Field(
        _LIMITS.cost_usd,
        ge=1,
        le=10**9,
        description="US dollars of one cost: of a step, a task, or a workflow's period",
    )
    tokens: int = Field(
        _LIMITS.tokens, ge=1, le=10**12, description="tokens of one call, of each kind; more is taken for not told"
    )
    task_events: int = Field(
        100_000,
        ge=1,
        description="spans of a task, and as many again of claims, verdicts and what else judges it",
    )
    dead_share: float = Field(
        0.5, gt=0, le=1, description="part of a partition's latest records that may be bad; 1: the worker never stops"
    )
    dead_window: int = Field(1_000, ge=1, description="how many of them, at least, dead_share looks at")
    dimension_values: int = Field(
        1_000, ge=1, description="values of a dimension in an hour, in each worker; later new ones become `other`"
    )


class Privacy(Section):
    """What of the content may be kept: nothing, unless named here."""

    allow: list[str] = Field(default_factory=list, description="attributes kept with an event")
    dead_letters: str = Field("redacted", pattern="^(redacted|full)$", description="payload of dead letters")


class Workflow(Section):
    """What is special about one workflow."""

    abandon_after: Duration | None = Field(None, ge=1, description="silence after which an open task is abandoned")


class Scale(Section):
    """What a score of content lies between."""

    low: float = Field(description="the score of the least content")
    high: float = Field(description="the score of the most content")

    @model_validator(mode="after")
    def _ordered(self) -> Scale:
        if millionths(self.low, -MILLION, MILLION) >= millionths(self.high, -MILLION, MILLION):
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        return self


def _price(usd: Decimal) -> Decimal:
    per_token(usd)
    return usd


Usd = Annotated[Decimal, AfterValidator(_price)]
"""USD per million tokens."""


class OwnPriceSettings(Section):
    """A price of your own: what you have agreed, or what the list does not have. It beats the list."""

    provider: str = Field("", description="as the telemetry names it; empty: any, and calls that name none")
    model: str = Field(min_length=1, description="as the telemetry names it; `*` at the end stands for anything")
    input: Usd = Field(description="USD per million tokens that are not cached")
    output: Usd = Field(description="USD per million tokens")
    cache_read: Usd | None = Field(None, description="USD per million tokens read from a cache; else as input")
    cache_write: Usd | None = Field(None, description="USD per million tokens written to a cache; else as input")
    reasoning: Usd | None = Field(None, description="USD per million reasoning tokens; else as output")
    valid_from: date | None = Field(None, description="first day (UTC) of the price; empty: always")
    source: str = Field("", description="where the price is from, for those who read this file")


class Settings(BaseSettings):
    """Everything a user can set."""

    model_config = SettingsConfigDict(
        env_prefix="TRUEUP_", env_nested_delimiter="__", extra="forbid", validate_default=True
    )

    kafka: Kafka = Kafka()
    clickhouse: ClickHouse = ClickHouse()
    worker: Worker = Worker()
    http: Http = Http()
    limits: LimitSettings = LimitSettings()
    privacy: Privacy = Privacy()
    alerter: AlerterSettings = AlerterSettings()
    notify: NotifySettings = NotifySettings()
    abandon_after: Duration = Field(3_600, ge=1, description="silence after which an open task is abandoned")
    workflows: dict[str, Workflow] = Field(default_factory=dict, description="by workflow name")
    human_usd_per_hour: dict[str, Annotated[float, Field(ge=0, le=1_000_000)]] = Field(
        default_factory=dict, description="price of human time by role; `default` for the others"
    )
    verdicts: list[str] = Field(
        ["task_outcome"],
        description="evaluations of other tools that are verdicts of the task, where a human or code judged",
    )
    feedback: dict[str, Scale] = Field(
        {"satisfaction": Scale(low=0, high=1)},
        description="evaluations of other tools by which humans say how content they are, with their scale",
    )
    prices: list[OwnPriceSettings] = Field(default_factory=list, description="your own prices of model calls")
    model_aliases: dict[str, str] = Field(
        default_factory=dict, description="what a model's name in telemetry stands for, as provider/model"
    )
    aliases: dict[str, list[str]] = Field(
        default_factory=dict, description="other names of an attribute of the contract"
    )

    @field_validator("aliases")
    @classmethod
    def _known_attributes(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        Reader(value)
        return value

    @field_validator("model_aliases")
    @classmethod
    def _with_provider(cls, value: dict[str, str]) -> dict[str, str]:
        for model, stands_for in value.items():
            if stands_for.partition("/")[0].lower() not in PROVIDERS:
                raise ValueError(
                    f"{model} stands for {stands_for!r}, which names no known provider; write provider/model, "
                    f"with one of {', '.join(sorted(PROVIDERS))}"
                )
        return value

    @model_validator(mode="after")
    def _nothing_outlives_retention(self) -> Settings:
        kept = self.clickhouse.retention_days
        if kept and self.limits.oldest_days > kept:
            raise ValueError(
                f"limits.oldest_days ({self.limits.oldest_days}) is more than clickhouse.retention_days ({kept}): "
                "older events would vanish as they land; lower the one or raise the other"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings, InitSettingsSource(settings_cls, _of_file))


def variable(setting: str) -> str:
    """The environment variable of a setting: `http.port` is `TRUEUP_HTTP__PORT`."""
    return "TRUEUP_" + setting.upper().replace(".", "__")


_of_file: dict[str, Any] = {}


def _read(file: Path) -> dict[str, Any]:
    """What a file sets. Raises ConfigError, or what reading and YAML raise."""
    read = yaml.safe_load(file.read_text("utf-8"))
    if read is None:
        return {}
    if not (isinstance(read, dict) and all(isinstance(name, str) for name in read)):
        raise ConfigError(
            f"the configuration in {file} is no map of settings by their names; write `abandon_after: 2h`, and so on "
            "(`trueup config show` prints all of them)"
        )
    return read


def load(file: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings in force. `file` else `TRUEUP_CONFIG`; `overrides` win over all. Raises ConfigError."""
    global _of_file  # noqa: PLW0603 - pydantic-settings asks a class method for its sources
    named = file or (Path(os.environ["TRUEUP_CONFIG"]) if os.environ.get("TRUEUP_CONFIG") else None)
    if named is not None and not named.is_file():
        raise ConfigError(f"there is no configuration file {named}; check --config or TRUEUP_CONFIG")
    environment = {k: v for k, v in os.environ.items() if k == "TRUEUP_CONFIG"}
    try:
        _of_file = _read(named) if named else {}
        for name in environment:
            del os.environ[name]
        return Settings(**dict(overrides or {}))
    except ValidationError as error:
        where = named or "the environment"
        lines = [f"  {'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors()]
        raise ConfigError(f"the configuration in {where} cannot be used:\n" + "\n".join(lines)) from None
    except (ValueError, OSError, yaml.YAMLError) as error:
        raise ConfigError(f"the configuration in {named or 'the environment'} cannot be read: {error}") from None
    finally:
        os.environ.update(environment)
        _of_file = {}
