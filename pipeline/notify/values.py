"""What a template can say of a notification: names and their values, made harmless for where they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.notify.document import timestamp
from pipeline.notify.escape import ESCAPES, cut, plain, web_url
from pipeline.notify.notification import Link, Notification, Status

TEXTS = frozenset(
    {"key", "workflow", "slo", "objective", "owner", "contact", "escalation", "audience", "status", "severity"}
    | {"title", "text", "source", "started_at", "ended_at"}
)
URLS = frozenset({"link", "runbook"})
LISTS = {"links", "failed_tasks"}
ITEM = {"text", "url", "link"}
STATES = ("page", "ticket", "alert", "resolved")
_LONGEST = 2_000


def state_of(notification: Notification) -> str:
    """One of `STATES`; `alert` is one that is neither page nor ticket."""
    if notification.status is Status.RESOLVED:
        return "resolved"
    return str(notification.severity or "alert")


def values_of(notification: Notification, style: str, limits: Mapping[str, int]) -> dict[str, Any]:
    """`TEXTS`, escaped in a style of `ESCAPES` after they were cut; `URLS`; and `LISTS` of maps with `ITEM`."""
    escape = ESCAPES[style]
    own = [Link("details", notification.link), Link("runbook", notification.runbook)]
    tasks = notification.failed_tasks
    shown = {name: escape(cut(text, limits.get(name, _LONGEST))) for name, text in _texts(notification).items()}
    return {
        **shown,
        "link": web_url(notification.link),
        "runbook": web_url(notification.runbook),
        "failed_tasks": [_item(task, style, escape, limits) for task in tasks],
        "links": [_item(link, style, escape, limits) for link in (*own, *tasks) if web_url(link.url)],
    }


def _texts(n: Notification) -> dict[str, str]:
    names = ("key", "workflow", "slo", "objective", "owner", "contact", "escalation", "audience", "status", "title")
    ended = n.ended_at if n.status is Status.RESOLVED else None
    return {
        **{name: plain(str(getattr(n, name))) for name in names},
        "severity": str(n.severity or ""),
        "source": plain(n.workflow) or "trueup",
        "text": "\n".join(plain(line) for line in n.text),
        "started_at": timestamp(n.started_at),
        "ended_at": "" if ended is None else timestamp(ended),
    }


def _item(link: Link, style: str, escape: Callable[[str], str], limits: Mapping[str, int]) -> dict[str, str]:
    text, url = escape(cut(plain(link.text), limits.get("link", _LONGEST))), web_url(link.url)
    linked = f"<{url}|{text}>" if style == "mrkdwn" else f"{text} {url}"
    return {"text": text, "url": url, "link": linked if url else text}
