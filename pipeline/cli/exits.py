"""Exit codes: 0 fine, 1 a target is missed or a difference was found, 2 usage or configuration, 3 undecided.

70 is a defect of ours, as sysexits.h calls it: what met one has decided nothing.
"""

from __future__ import annotations

FINE, DIFFERENT, USAGE, UNDECIDED, DEFECT = 0, 1, 2, 3, 70


def code_of(error: Exception) -> int | None:
    """The exit code of an error that we expect; None for a defect of ours."""
    from kafka.errors import KafkaError

    from deploy.local.process import PortTaken, StartError
    from pipeline.config import ConfigError
    from pipeline.kafka import Unreachable
    from pipeline.replay.land import Stalled
    from pipeline.replay.send import BadFile
    from sinks.port import Refused, Transient

    if isinstance(error, ConfigError | BadFile | Refused | PortTaken):
        return USAGE
    if isinstance(error, Unreachable | Transient | Stalled | StartError | KafkaError):
        return UNDECIDED
    return None


def told(error: Exception) -> str:
    """An expected error as its user reads it: what, why and the fix."""
    from kafka.errors import KafkaError

    from sinks.port import Barred, Transient, Unable

    if isinstance(error, Unable):
        return f"ClickHouse could not do it ({error}); {error.fix}"
    if isinstance(error, Transient) and not isinstance(error, Barred):
        return f"ClickHouse does not answer ({_root(error)}); start it (`trueup up`), or set clickhouse.url"
    if isinstance(error, KafkaError):
        return f"Kafka did not do it ({error}); see `trueup doctor`, and try again"
    return str(error)


def _root(error: BaseException) -> str:
    """The operating system's word for it if there is one, else the error's own."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error)
