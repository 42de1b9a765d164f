"""From the configuration to a notifier."""

from __future__ import annotations

from pipeline.config import Settings
from pipeline.notify.alertmanager import PATH, Alertmanager
from pipeline.notify.audience import Wanted
from pipeline.notify.delivery import Delivery, OnReceipt, Policy
from pipeline.notify.http import Connection, Endpoint
from pipeline.notify.notifier import Notifier
from pipeline.notify.receiver import Receiver
from pipeline.notify.settings import (
    AlertmanagerSettings,
    PagerDutySettings,
    ReceiverSettings,
    SlackSettings,
    TopicSettings,
    WebhookSettings,
)
from pipeline.notify.template import of_file, shipped
from pipeline.notify.templated import Templated
from pipeline.notify.topic import Topic
from pipeline.notify.turns import Once, Turns
from pipeline.notify.webhook import Webhook


def notifier_of(settings: Settings, on_receipt: OnReceipt, turns: Turns | None = None) -> Notifier:
    """A notifier that works, for the receivers of these settings; connects to nothing yet.

    `on_receipt` is called from the receivers' threads. With `turns`, Slack is told by one of several alerters: the
    others recognise by key or id what they were told before. Raises ConfigError for a template that cannot be used.
    """
    receivers = settings.notify.receivers
    deliveries = [
        Delivery(
            receiver.name, _in_turn(receiver_of(settings, receiver), receiver, turns), on_receipt, policy_of(receiver)
        )
        for receiver in receivers
    ]
    return Notifier(deliveries)


def _in_turn(made: Receiver, receiver: ReceiverSettings, turns: Turns | None) -> Receiver:
    return Once(made, turns, receiver.name) if turns is not None and isinstance(receiver, SlackSettings) else made


def policy_of(receiver: ReceiverSettings) -> Policy:
    """How a receiver is served."""
    return Policy(
        wanted=Wanted(
            frozenset(receiver.audiences), frozenset(receiver.severities), dict(receiver.labels), receiver.name
        ),
        give_up_after=receiver.give_up_after,
        queue=receiver.queue,
        repeat_every=receiver.repeat_every if isinstance(receiver, AlertmanagerSettings) else None,
    )


def receiver_of(settings: Settings, receiver: ReceiverSettings) -> Receiver:
    """The receiver of these settings. Raises ConfigError."""
    match receiver:
        case AlertmanagerSettings():
            url = receiver.url.rstrip("/") + PATH
            endpoint = Endpoint(lambda: url, _connection(receiver), authorization=lambda: receiver.credentials)
            return Alertmanager(endpoint, receiver.hold)
        case WebhookSettings():
            endpoint = Endpoint(
                lambda: receiver.address, _connection(receiver), authorization=lambda: receiver.credentials
            )
            return Webhook(endpoint, lambda: receiver.signing_secret)
        case SlackSettings():
            template = of_file(receiver.template) if receiver.template else shipped("slack")
            return Templated(Endpoint(lambda: receiver.address, _connection(receiver)), template)
        case PagerDutySettings():
            keys = ("routing_key",)
            template = of_file(receiver.template, keys) if receiver.template else shipped("pagerduty", keys)
            endpoint = Endpoint(lambda: receiver.url, _connection(receiver))
            return Templated(endpoint, template, {"routing_key": lambda: receiver.integration_key})
        case TopicSettings():
            return Topic(settings, receiver.topic, receiver.timeout)


def _connection(receiver: AlertmanagerSettings | WebhookSettings | SlackSettings | PagerDutySettings) -> Connection:
    return Connection(receiver.timeout, str(receiver.ca_file) if receiver.ca_file else None, receiver.proxy)
