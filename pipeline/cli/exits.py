"""Exit codes: 0 fine, 1 a target is missed or a difference was found, 2 usage or configuration, 3 undecided."""

from __future__ import annotations

FINE, DIFFERENT, USAGE, UNDECIDED = 0, 1, 2, 3


def code_of(error: Exception) -> int | None:
    """The exit code of an error that we expect; None for a defect of ours."""
    from deploy.local.process import StartError
    from pipeline.config import ConfigError
    from pipeline.kafka import Unreachable
    from pipeline.replay.land import Stalled
    from pipeline.replay.send import BadFile
    from sinks.port import Refused, Transient

    if isinstance(error, ConfigError | BadFile | Refused):
        return USAGE
    if isinstance(error, Unreachable | Transient | Stalled | StartError):
        return UNDECIDED
    return None
