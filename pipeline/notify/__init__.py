"""Notifications of alerts, from the alerter to each receiver.

    notification, receipt    what people are told; what became of it
    notifier                 gives every notification to each delivery, which works in a thread of its own
    delivery                 to one receiver: audience -> outbox (once, in order) -> attempt -> backoff or receipt
    audience, outbox,        its stages: pure, time is an argument
    backoff, repeats
    receiver                 the contract of a receiver: `send`, which raises Retryable, Deferred or Rejected
    turns                    of several alerters one sends what the receiver cannot recognise
    alertmanager, webhook,   the receivers; `templated` makes Slack's and PagerDuty's messages from `templates/`
    templated, topic
    document, template, http what they share
    settings, build          from the configuration to a notifier

A notification reaches each receiver at least once. What is sent again carries the same key and the same id.
"""
