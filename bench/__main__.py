"""`python -m bench`: throughput, CPU, memory and latency of one worker, beside a plain Faust application.

Every benchmark has a local stack of its own and runs alone. Exit code 1: one failed, or an audit found a difference.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench import fold, hops, latency, load, plain
from bench.report import Measured, Report, machine


class Size(NamedTuple):
    """How much is measured."""

    events: int
    spans: int
    plain: int
    seconds: float
    assigned: int
    """Open tasks of all partitions."""
    rounds: int
    """How often the fold and the plain application take turns."""


FULL = Size(events=1_000_000, spans=200_000, plain=15_000, seconds=30.0, assigned=1_000_000, rounds=5)
QUICK = Size(events=50_000, spans=10_000, plain=2_000, seconds=6.0, assigned=24_000, rounds=1)
SPANS_PER_SECOND = 1_000
NAMES = ("fold", "hops", "plain", "latency", "assign")


def main() -> int:
    """Run what was asked for and print it."""
    given = _options()
    size = QUICK if given.quick else FULL
    report = Report(given.seed, given.open_tasks, machine(), [_load()])
    measure: dict[str, Callable[[], Measured]] = {
        "fold": lambda: fold.run(given.events or size.events, given.open_tasks, given.seed, given.per_message),
        "hops": lambda: hops.run(size.spans, given.open_tasks, given.seed),
        "plain": lambda: plain.run(size.plain, given.open_tasks, given.seed),
        "latency": lambda: latency.run(SPANS_PER_SECOND, size.seconds, given.seed),
        "assign": lambda: load.run(given.assigned_tasks or size.assigned, given.seed),
    }
    failed = False
    for name in _order(given.only or NAMES, given.rounds or size.rounds):
        try:
            report.add(name, result := measure[name]())
        except RuntimeError as error:
            failed = True
            print(f"{name}: {error}", file=sys.stderr, flush=True)
        else:
            print(f"{name}: {result}", file=sys.stderr, flush=True)
        report.load_average.append(_load())
    print(json.dumps(report.document(), indent=2) if given.output == "json" else "\n".join(report.lines()))
    return int(failed or any(result.audit_differences for result in report.audited))


def _order(names: Sequence[str], rounds: int) -> list[str]:
    """Where both are asked for, the fold and the plain application take turns: a machine has slow minutes."""
    turns = [name for name in names if name in ("fold", "plain")]
    rest = [name for name in names if name not in turns]
    return (turns * rounds if len(turns) == 2 else turns) + rest


def _load() -> float:
    return round(os.getloadavg()[0], 2)


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(prog="python -m bench", description="What one worker does on this machine.")
    options.add_argument("--quick", action="store_true", help="small: shows that it runs, not how fast")
    options.add_argument("--output", choices=("table", "json"), default="table")
    options.add_argument("--only", action="append", choices=NAMES, help="one benchmark; may be given again")
    options.add_argument("--events", type=int, help="events of the fold")
    options.add_argument(
        "--per-message", type=int, default=fold.EVENTS_PER_MESSAGE, help="events of the fold in a message"
    )
    options.add_argument("--open-tasks", type=int, default=5_000, help="tasks under way at a time, on average")
    options.add_argument("--assigned-tasks", type=int, help="open tasks that a worker loads when it is assigned all")
    options.add_argument("--rounds", type=int, help="how often the fold and the plain application take turns")
    options.add_argument("--seed", type=int, default=7)
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(main())
