"""A receiver whose message is a template: Slack, PagerDuty, and what takes the same messages."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.notify.document import encoded
from pipeline.notify.http import Endpoint, Secret, current
from pipeline.notify.notification import Notification
from pipeline.notify.template import Template


class Templated:
    """A receiver. `secrets` are values of the template that only the receiver knows, as a routing key."""

    def __init__(self, endpoint: Endpoint, template: Template, secrets: Mapping[str, Secret] | None = None) -> None:
        self._endpoint = endpoint
        self._template = template
        self._secrets = dict(secrets or {})

    def send(self, notification: Notification) -> None:
        """Post the message. Raises Retryable or Rejected."""
        secrets = {name: current(secret) for name, secret in self._secrets.items()}
        self._endpoint.post(encoded(self._template.render(notification, secrets)))

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()
