"""Who is told of alerts: the receivers of the configuration, each of a type."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, field_validator, model_validator

from pipeline.addresses import http_url
from pipeline.notify.notification import Audience
from pipeline.section import Duration, Section, secret_of
from pipeline.slo.windows import Severity

PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"
ReceiverName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
PlainUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/@]+[^\s@]*$"), AfterValidator(http_url)]


class _Common(Section):
    name: ReceiverName = Field(
        description="in logs, metrics and receipts, and what targets in OpenSLO name; different for each receiver"
    )
    audiences: list[Audience] = Field(
        list(Audience), min_length=1, description="whose alerts: of a `workflow`'s owner, of the `platform`'s"
    )
    severities: list[Severity] = Field(list(Severity), min_length=1, description="how loud: `page`, `ticket`")
    labels: dict[str, str] = Field(
        default_factory=dict, description="only alerts whose SLO, or its Service, has these labels; else all"
    )
    timeout: Duration = Field(10, ge=1, le=60, description="how long an attempt may take")
    give_up_after: Duration = Field(86_400, ge=1, description="how long a notification is tried again")
    queue: int = Field(1_000, ge=1, le=100_000, description="most notifications that wait; further ones are dropped")


class _Http(_Common):
    ca_file: Path | None = Field(None, description="certificate authority of the server; else the system's")
    proxy: PlainUrl | None = Field(None, description="HTTP proxy on the way there")


class _SecretUrl(_Http):
    url: SecretStr | None = Field(None, description="where to post; such a URL is a secret, so better in a file")
    url_file: Path | None = Field(None, description="read instead of url")

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.url is None and self.url_file is None:
            raise ValueError(f"the receiver {self.name} has nowhere to post: set url_file or url")
        return self

    @property
    def address(self) -> str:
        """The URL, from the file if one is named. Raises ConfigError."""
        return secret_of(self.url, self.url_file)


class _Authorized(_Http):
    authorization: SecretStr | None = Field(None, description="`Authorization` header: `Bearer …`; better in a file")
    authorization_file: Path | None = Field(None, description="read instead of authorization")

    @property
    def credentials(self) -> str:
        """The value of the `Authorization` header, empty: none. Raises ConfigError."""
        return secret_of(self.authorization, self.authorization_file)


class AlertmanagerSettings(_Authorized):
    """Prometheus Alertmanager, API v2. One receiver for each server of a cluster."""

    type: Literal["alertmanager"] = Field(description="`alertmanager`")
    url: PlainUrl = Field(description="without /api/v2/alerts: `http://alertmanager:9093`")
    repeat_every: Duration = Field(60, ge=1, description="a firing alert is sent again so often")
    hold: Duration = Field(3_600, ge=2, description="how long an alert stays when Trueup says nothing any more")

    @model_validator(mode="after")
    def _held_between_repeats(self) -> Self:
        if self.hold < 2 * self.repeat_every:
            raise ValueError(
                f"hold ({self.hold}s) is less than twice repeat_every ({self.repeat_every}s): "
                "one lost message would resolve the alert; raise hold"
            )
        return self


class WebhookSettings(_SecretUrl, _Authorized):
    """Your own endpoint: JSON, signed if there is a secret."""

    type: Literal["webhook"] = Field(description="`webhook`")
    secret: SecretStr | None = Field(None, description="signs each message; better in a file")
    secret_file: Path | None = Field(None, description="read instead of secret")

    @property
    def signing_secret(self) -> str:
        """What messages are signed with, empty: they are not. Raises ConfigError."""
        return secret_of(self.secret, self.secret_file)


class SlackSettings(_SecretUrl):
    """An incoming webhook of Slack, or of what takes the same messages."""

    type: Literal["slack"] = Field(description="`slack`")
    template: Path | None = Field(None, description="your own message; else `slack.yaml` of Trueup")


class PagerDutySettings(_Http):
    """PagerDuty Events API v2, or what takes the same events."""

    type: Literal["pagerduty"] = Field(description="`pagerduty`")
    url: PlainUrl = Field(PAGERDUTY, description="of the Events API")
    routing_key: SecretStr | None = Field(None, description="integration key of the service; better in a file")
    routing_key_file: Path | None = Field(None, description="read instead of routing_key")
    template: Path | None = Field(None, description="your own event; else `pagerduty.yaml` of Trueup")

    @model_validator(mode="after")
    def _to_someone(self) -> Self:
        if self.routing_key is None and self.routing_key_file is None:
            raise ValueError(f"the receiver {self.name} has no routing key: set routing_key_file or routing_key")
        return self

    @property
    def integration_key(self) -> str:
        """The routing key, from the file if one is named. Raises ConfigError."""
        return secret_of(self.routing_key, self.routing_key_file)


class TopicSettings(_Common):
    """A topic of the Kafka that the `kafka` section names, keyed by alert."""

    type: Literal["kafka"] = Field(description="`kafka`")
    topic: str = Field("agent.alerts", pattern=r"^[A-Za-z0-9._-]{1,249}$", description="made if it is missing")


ReceiverSettings = Annotated[
    AlertmanagerSettings | WebhookSettings | SlackSettings | PagerDutySettings | TopicSettings,
    Field(discriminator="type"),
]


class NotifySettings(Section):
    """Who is told of alerts. Receivers are independent: one that is away delays no other."""

    receivers: list[ReceiverSettings] = Field(default_factory=list, description="by `type`, see below")

    @field_validator("receivers")
    @classmethod
    def _different_names(cls, value: list[ReceiverSettings]) -> list[ReceiverSettings]:
        names = [receiver.name for receiver in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two receivers are named {', '.join(twice)}: give each a name of its own")
        return value
