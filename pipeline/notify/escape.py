"""Text that others have written, made harmless where it is shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlsplit

URL_LENGTH = 2_000
_IN_A_URL = "%/:?#[]@!$&'()*+,;=-._~"
_MARKS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "*": "∗", "`": "ˋ", "~": "∼"})
_EDGE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_MENTION = re.compile(r"(?<!\w)@")


def plain(text: str) -> str:
    """One line without control characters and broken surrogates."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def mrkdwn(text: str) -> str:
    """For Slack and its likes: no link, mention or formatting begins in it.

    `&`, `<` and `>` are escaped. There is no escape for the others, so they become look-alikes; `_` and `@` only where
    they could mean something, so that identifiers and addresses stay what they are.
    """
    return _MENTION.sub("＠", _EDGE.sub("＿", text.translate(_MARKS)))


def unescaped(text: str) -> str:
    """For those who show text as it is."""
    return text


ESCAPES: Final[dict[str, Callable[[str], str]]] = {"mrkdwn": mrkdwn, "none": unescaped}


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, the last one an ellipsis where something is missing."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def web_url(text: str) -> str:
    """An HTTP URL without any character that could end it where it is shown; empty if it is none."""
    try:
        parsed = urlsplit(text)
        usable = parsed.scheme in ("http", "https") and bool(parsed.hostname)
        made = quote(text, safe=_IN_A_URL)
    except ValueError:
        return ""
    return made if usable and len(made) <= URL_LENGTH else ""
