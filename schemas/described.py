"""What may be told of a value that cannot be used: it may be content, so its words are not repeated."""

from __future__ import annotations

import re

NAME_LENGTH = 200
HEXADECIMAL = "0123456789abcdef"
_NAME = re.compile(rf"[A-Za-z0-9_.:/#\[\]-]{{1,{NAME_LENGTH}}}")
_QUOTED = re.compile(r"""['"].*['"]""", re.DOTALL)


def described(value: object) -> str:
    """A number or a boolean as it is, of anything else its type and size."""
    if isinstance(value, int | float):
        return f"{value!r:.80}"
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    size = f" of {len(value)}" if isinstance(value, bytes | list | tuple | dict) else ""
    return f"a {type(value).__name__}{size}"


def is_name(text: str) -> bool:
    """Whether this is written as ids and names of attributes are, and not as people write."""
    return _NAME.fullmatch(text) is not None


def is_hexadecimal(text: str) -> bool:
    """Whether this has nothing but lower-case hexadecimal digits, as ids of OpenTelemetry have; it may be empty."""
    return not text.strip(HEXADECIMAL)


def unquoted(message: str) -> str:
    """What msgspec says is wrong, without the value that it quotes."""
    return _QUOTED.sub("...", message)
