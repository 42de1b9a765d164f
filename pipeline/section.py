"""What every part of the configuration is made of: sections, durations, secrets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, SecretStr

LONGEST_DAYS = 7_300
"""20 years. Times are counted in 32 bits of seconds, and of minutes: what is added to them must not wrap."""
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class ConfigError(Exception):
    """The configuration cannot be used; the text says what, why and the fix."""


class Section(BaseModel):
    """A part of the configuration. A name it does not know is an error, not a silent nothing."""

    model_config = ConfigDict(extra="forbid", validate_default=True)


def parse_duration(value: Any) -> int:
    """Seconds of `90`, `30s`, `15m`, `2h` or `1d`, at most LONGEST_DAYS. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        seconds = value
    elif isinstance(value, str) and (found := re.fullmatch(r"([0-9]{1,18})([smhd]?)", value.strip())):
        seconds = int(found[1]) * _UNITS.get(found[2], 1)
    else:
        raise ValueError(f"{value!r:.80} is not a duration; write 30s, 15m, 2h or 1d")
    if seconds > LONGEST_DAYS * _UNITS["d"]:
        raise ValueError(f"{value} is longer than {LONGEST_DAYS}d, the longest duration; write less")
    return seconds


def show_duration(seconds: int) -> str:
    """The shortest exact spelling of a duration."""
    for unit in "dhm":
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds}s"


Duration = Annotated[int, BeforeValidator(parse_duration), PlainSerializer(show_duration, return_type=str)]


def secret_of(value: SecretStr | None, file: Path | None) -> str:
    """A secret, from its file if one is named; empty: none. Raises ConfigError when the file cannot be read."""
    if file is not None:
        try:
            return file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigError(f"cannot read the secret in {file}: {why}; check the path and its rights") from None
    return value.get_secret_value() if value is not None else ""
