"""`python -m chaos`: Trueup on real Apache Kafka under load, while at random

- a worker is killed (-9), paused past its session timeout so that a stale owner wakes and writes, added, removed;
- a broker is stopped and started, the leader of a partition killed;
- ClickHouse is frozen or killed; the workers' connections to it and to the brokers are cut and delayed;
- poison comes on both topics; and the load itself has duplicates, disorder, late verdicts and late claims.

At the end the audit must find no difference; everything sent must be landed, a duplicate or a dead letter; and every
row must equal, bit for bit, that of a run without faults: the same log folded once into tables of its own.

The seed is printed first; the same seed, seconds and brokers make the same plan. The last line is JSON.
Exit code 0: survived, and at least three quarters of the planned faults were done; 1: something was lost or differs,
also what had not landed three minutes after the last that did, with every broker there; 2: usage; 3: it says nothing,
because it could not be done here, too few faults could, or no paused worker woke as a stale owner that wrote.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
import traceback
from pathlib import Path

from chaos.lab import NotReady
from chaos.load import Unacknowledged
from chaos.log import Silent
from chaos.plan import LEAST_SECONDS, plan
from chaos.report import WORDS, json_line, markdown
from chaos.run import Options, run
from deploy.kafka.distribution import KafkaUnavailableError
from deploy.local.process import StartError
from pipeline.kafka import Unreachable
from sinks.port import Transient

SURVIVED, DIFFERENT, UNDECIDED = 0, 1, 3
MOST_SEED = 2**31


def main(arguments: list[str] | None = None) -> int:
    """Run it and tell; the exit code."""
    given = _parser().parse_args(arguments)
    seed = random.SystemRandom().randrange(MOST_SEED) if given.seed is None else given.seed
    options = Options(seed, given.seconds, given.brokers, given.workers, given.rate, given.spans, given.logs)
    sys.stdout.write(f"seed {seed}\n")
    sys.stdout.flush()
    if given.plan:
        _print_plan(options)
        return SURVIVED
    try:
        outcome = run(options, _Teller())
    except (KafkaUnavailableError, StartError, NotReady, Unacknowledged, Silent, Unreachable, Transient) as error:
        sys.stderr.write(f"chaos: {error}\n")
        return UNDECIDED
    except Exception:  # noqa: BLE001 - exit code 1, Python's own for this, says that something was lost
        traceback.print_exc()
        return UNDECIDED
    text = markdown(outcome)
    sys.stderr.write(text)
    if given.report is not None:
        given.report.write_text(text)
    sys.stdout.write(json_line(outcome) + "\n")
    if not outcome.decided:
        sys.stderr.write(f"chaos: this run says nothing: {outcome.too_little}\n")
        return UNDECIDED
    return SURVIVED if outcome.survived else DIFFERENT


class _Teller:
    """Writes what happens to stderr, with the seconds since the start. Thread-safe."""

    def __init__(self) -> None:
        self._begun, self._lock = time.monotonic(), threading.Lock()

    def __call__(self, text: str) -> None:
        with self._lock:
            sys.stderr.write(f"[{time.monotonic() - self._begun:6.1f}] {text}\n")


def _print_plan(options: Options) -> None:
    for each in plan(options.seed, options.seconds, options.brokers):
        sys.stdout.write(f"{each.at:7.1f} s  for {each.seconds:4.1f} s  {WORDS[each.kind]}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    option = parser.add_argument
    option("--seconds", type=_seconds, default=180, help="of load (default: %(default)s); faults end 25 s before")
    option("--seed", type=int, help="of an earlier run, to have its plan again (default: a new one)")
    option("--brokers", type=int, choices=(1, 3), default=3, help="only with 3 a leader can be lost")
    option("--workers", type=int, default=2, help="that run while none is added or removed (default: %(default)s)")
    option("--rate", type=int, default=Options.rate, help="canonical events a second (default: %(default)s)")
    option("--spans", type=int, default=Options.spans, help="OTLP spans a second beside them (default: %(default)s)")
    option("--report", type=Path, metavar="FILE", help="write what was found, as Markdown")
    option("--logs", type=Path, metavar="FOLDER", help="keep the workers' logs here")
    option("--plan", action="store_true", help="only print what would be done, and when")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if seconds < LEAST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text} s are too short to harm and recover; take {LEAST_SECONDS} or more")
    return int(seconds) if seconds.is_integer() else seconds


if __name__ == "__main__":
    sys.exit(main())
