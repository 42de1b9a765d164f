"""What a run found: one line of JSON for programs, Markdown for people."""

from __future__ import annotations

import json

from bench.report import machine
from chaos.plan import Kind
from chaos.recovery import percentile
from chaos.run import Outcome
from sinks.clickhouse.audit import LATE_AFTER

TOLD_CHARACTERS = 400
"""Of a row that differs."""
WHAT = """Workers under load while everything around them, and they themselves, are harmed at random. Events come twice,
out of order, without the name of their task, verdicts and claims much later. At the end everything that was sent must
have landed, be a duplicate or a dead letter; the audit must find no difference; and every row must equal, bit for bit,
that of a run without faults: the same log, folded once from its beginning to its end into tables of its own."""
WORDS = {
    Kind.WORKER_KILLED: "kill -9 of a worker",
    Kind.WORKER_PAUSED: "a worker paused past its session timeout",
    Kind.WORKER_ADDED: "a worker added, and taken away again",
    Kind.WORKER_REMOVED: "a worker told to stop, and started again",
    Kind.BROKER_STOPPED: "a broker stopped, and started again",
    Kind.LEADER_KILLED: "kill -9 of the leader of a partition",
    Kind.CLICKHOUSE_AWAY: "ClickHouse frozen, or kill -9 of it",
    Kind.CONNECTIONS_CUT: "connections cut, again and again",
    Kind.CONNECTIONS_DELAYED: "connections delayed by 50 to 800 ms",
    Kind.POISON: "poison on both topics",
}


def json_line(outcome: Outcome) -> str:
    """The last line of a run."""
    accounts, times, faults = outcome.accounts, outcome.recovery_seconds, outcome.faults
    document = {
        "seed": outcome.options.seed,
        "seconds": outcome.options.seconds,
        "sent": accounts.sent if accounts else 0,
        "landed": accounts.landed if accounts else 0,
        "duplicates": accounts.duplicates if accounts else 0,
        "dead_letters": accounts.dead_letters if accounts else 0,
        "faults": {str(kind): faults[kind] for kind in Kind if kind in faults},
        "planned": len(outcome.plan),
        "differences": outcome.differences,
        "recovery_s": {"p50": percentile(times, 0.5), "p99": percentile(times, 0.99)},
    }
    return json.dumps(document)


def markdown(outcome: Outcome) -> str:
    """The whole story."""
    o = outcome.options
    command = f"python -m chaos --seconds {o.seconds:g} --seed {o.seed} --brokers {o.brokers} --workers {o.workers}"
    parts = [
        "# Chaos run",
        f"`{command} --rate {o.rate} --spans {o.spans}`, with {brokers(o.brokers)} of Apache Kafka; "
        + ", ".join(f"{name} {value}" for name, value in machine().items())
        + ".",
        WHAT,
        _verdict(outcome),
        "## Faults survived",
        _faults(outcome),
        "## Where everything went",
        _accounts(outcome),
        "## The faults in their order",
        _plan(outcome),
        f"```json\n{json_line(outcome)}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def brokers(number: int) -> str:
    """`1 broker`, `3 brokers`."""
    return f"{number} broker{'s' * (number > 1)}"


def _verdict(outcome: Outcome) -> str:
    if not outcome.decided:
        return f"**Undecided: {outcome.too_little}.** Nothing was found wrong."
    if outcome.survived:
        return "**Nothing was lost and nothing differs.**"
    return f"**{outcome.differences} differences.** {outcome.stalled}".strip()


def _faults(outcome: Outcome) -> str:
    lines = ["| fault | survived | recovery p50 | longest |", "|---|---|---|---|"]
    faults = outcome.faults
    for kind in Kind:
        if kind in faults:
            times = [one.seconds for one in outcome.recovered if one.fault.kind == kind]
            lines.append(
                f"| {WORDS[kind]} | {faults[kind]} | {_seconds(percentile(times, 0.5))} "
                f"| {_seconds(max(times, default=None))} |"
            )
    times = outcome.recovery_seconds
    total = faults.total()
    lines.append(
        f"| **all** | **{total}** | {_seconds(percentile(times, 0.5))} | {_seconds(max(times, default=None))} |"
    )
    told = [
        f"Recovery, from a fault's end until all that Kafka had by then was durable: p50 "
        f"{_seconds(percentile(times, 0.5))}, p99 {_seconds(percentile(times, 0.99))}.",
        f"{outcome.stale_writers} of {faults[Kind.WORKER_PAUSED]} paused workers wrote to ClickHouse after "
        "they woke, before they knew that their partitions were another's.",
        _deaths(outcome),
        *(
            [f"Brokers ended by themselves, or did not get ready, and were started again: {outcome.broker_deaths}."]
            * (outcome.broker_deaths > 0)
        ),
        *(
            [f"{outcome.never_recovered} faults had not been recovered from at the end."]
            * (outcome.never_recovered > 0)
        ),
        *(f"Not done: {why}." for why in outcome.failed),
    ]
    return "\n".join(lines) + "\n\n" + "\n".join(f"- {line}" for line in told)


def _deaths(outcome: Outcome) -> str:
    if not outcome.deaths:
        return "No worker ended by itself."
    codes = ", ".join(f"{times} with exit code {code}" for code, times in sorted(outcome.deaths.items()))
    return f"Workers that ended by themselves, and were started again: {codes}."


def _accounts(outcome: Outcome) -> str:
    accounts, found, compared = outcome.accounts, outcome.audit, outcome.compared
    if accounts is None or found is None or compared is None:
        raise RuntimeError("the run did not come to its end")
    again = found.duplicates - accounts.duplicates
    rate = accounts.sent / outcome.load_seconds
    lines = [
        f"- sent {accounts.sent:,} in {outcome.load_seconds:.0f} s ({rate:,.0f} a second)"
        f" = landed {accounts.landed:,} + duplicates {accounts.duplicates:,} + dead letters {accounts.dead_letters:,}"
        f" + lost {accounts.lost + accounts.lost_poison:,}; {accounts.unsent} that nobody sent, "
        f"{accounts.unpoisoned} dead letters of what was no poison",
        f"- late {found.late:,} of those that landed: their partition was more than {LATE_AFTER} s beyond them",
        f"- {outcome.refused} messages were given up by the producer and sent again",
        f"- audit: {found.total} differences, {found.tasks:,} tasks and {found.windows:,} windows compared, "
        f"{found.skipped} skipped; {again:,} more duplicates in the log than were sent: the faults' own, and what "
        "came by a trace and again by its task",
        f"- the run without faults: {compared.differences} differences in "
        + ", ".join(f"{rows:,} {table}" for table, rows in compared.rows.items())
        + f"; {outcome.not_sent_on} events did not come from their trace to their task",
    ]
    lines += [f"  - {row.strip()[:TOLD_CHARACTERS]}" for row in (*map(str, found.differences[:20]), *compared.told)]
    return "\n".join(lines)


def _plan(outcome: Outcome) -> str:
    took = {one.fault: one.seconds for one in outcome.recovered}
    lines = ["| at | fault | what was harmed | for | recovery |", "|---|---|---|---|---|"]
    for each in outcome.plan:
        harmed, recovery = outcome.done.get(each, "not done"), _seconds(took.get(each))
        lines.append(f"| {each.at:.1f} s | {WORDS[each.kind]} | {harmed} | {each.seconds:.1f} s | {recovery} |")
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"
