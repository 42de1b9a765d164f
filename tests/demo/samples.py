"""Small jobs and counts that the tests of the demo share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pipeline.demo.figures import Claim
from pipeline.demo.job import Job, Later, ModelCall, ToolCall
from pipeline.demo.measured import Group, Snapshot
from pipeline.demo.plan import Plan, Trouble
from schemas.rows import COUNTS
from schemas.units import bucket
from sinks.clickhouse.reads import OF_TASKS, Counted

MILLION = 1_000_000
CALL = ModelCall("gpt-4o", 0.5, 1_000, 50, 2_500_000, (ToolCall("lookup", 0.25), ToolCall("write", 0.25, "timeout")))


def job(*later: Later, claim: Claim | None = "success", calls: tuple[ModelCall, ...] = (CALL,)) -> Job:
    """A task of flight-changes 3.1 in production."""
    return Job(
        7, 0.0, "flight-7", "flight-changes", "booking-desk", "3.1", "production", "no_write", calls, claim, later
    )


def counted(group: Group = ("refunds", "1"), /, **counts: int) -> Counted:
    """Counts of a group; what is not named is 0."""
    assert counts.keys() <= {*COUNTS, *OF_TASKS}
    by = {"workflow": group[0], "agent_version": group[1]}
    return Counted(None, by, dict.fromkeys((*COUNTS, *OF_TASKS), 0) | counts, {}, {}, {})


def taking(seconds: Mapping[int, int], **counts: int) -> Counted:
    """Counts with so many tasks of each cycle time."""
    return replace(counted(**counts), cycle_us={bucket(length * MILLION): n for length, n in seconds.items()})


def verdicts(n: int, untrue: int, **counts: int) -> dict[str, int]:
    """The counts of `n` tasks that claimed success and were all verified, `untrue` of them as failures."""
    return {
        "tasks_finished": n,
        "claimed_success": n,
        "verdict_known": n,
        "verdict_success": n - untrue,
        "claimed_success_known": n,
        "discrepancies": untrue,
        "weight_known": n * MILLION,
        "weight_success": (n - untrue) * MILLION,
        "weight_claimed_success_known": n * MILLION,
        "weight_discrepancies": untrue * MILLION,
        "weight_squared_known": n * MILLION**2,
        "weight_squared_claimed_success_known": n * MILLION**2,
        **counts,
    }


def snapshots(*discrepancies: tuple[int, int]) -> list[Snapshot]:
    """A snapshot a second of two versions: the old one is always at 25%, the new one as told (n, untrue)."""
    return [
        Snapshot(
            float(second),
            {
                ("refunds", "1"): counted(("refunds", "1"), **verdicts(4 * second, second)),
                ("refunds", "2"): counted(("refunds", "2"), **verdicts(n, untrue)),
            },
        )
        for second, (n, untrue) in enumerate(discrepancies)
    ]


def plan(seconds: float | None = 60, *, seed: int = 1, rate: float = 30, trouble: Trouble | None = None) -> Plan:
    """The demo's plan, with its real figures."""
    from pipeline.demo.figures import figures

    return Plan(figures(), seed, rate, seconds, trouble or Trouble.of(seconds))
