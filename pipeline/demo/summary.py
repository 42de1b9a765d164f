"""What came of a demo: for people, and for machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from pipeline.demo.figures import INVENTED
from pipeline.demo.noticing import Incident
from pipeline.demo.run import Result
from pipeline.demo.table import LEGEND, table_of
from pipeline.demo.watch import clock
from pipeline.report import audited
from pipeline.report.metrics import usd


def print_summary(result: Result, console: Console) -> None:
    """The table and the reckoning."""
    groups = {(group.by["workflow"], group.by["agent_version"]): group for group in result.counted}
    console.print(table_of(groups, console.width))
    for line in LEGEND:
        console.print(Text(line, style="dim"))
    console.print()
    for sentence in sentences(result):
        console.print(Text(sentence), soft_wrap=not console.is_terminal)


def sentences(result: Result) -> Iterator[str]:
    """The reckoning, a line each."""
    yield audited.sentence(result.audit)
    told = result.told
    if result.differences:
        yield "The report is NOT what the agents told:"
        for d in result.differences:
            yield f"  {d.workflow} {d.version}: {d.name} is {d.reported}, the agents told {d.told}"
    else:
        yield (
            f"The report is what the agents told, by their own account: {told.total('tasks_finished')} tasks finished, "
            f"{told.total('tasks_abandoned')} abandoned, {told.total('verdict_known')} verdicts, "
            f"{told.total('overridden')} overrides, {usd(told.total('cost_nano'))} USD."
        )
    yield from _incident(result)
    sources = [source.name for name, source in result.plan.figures.sources.items() if name != INVENTED]
    yield f"Rates, steps, waiting times, most tokens and costs are of real runs: {'; '.join(sources)}."
    yield "The incident, sampling, human minutes and prices are invented, and time is compressed (docs/demo.md)."
    yield "Next: `trueup try FILE...` measures recorded telemetry of your own; `trueup up` waits for your agents."


def _incident(result: Result) -> Iterator[str]:
    """What the simulator knew, and what was noticed from the data."""
    known = result.plan.figures.incident
    group = (known.workflow, known.version)
    periods = result.plan.trouble.periods(result.seconds)
    if periods:
        when = " and ".join(f"{clock(start)}-{clock(end)}" for start, end in periods)
        yield f"What the simulator knew: {known.tool} ended in {known.error} for {' '.join(group)}, {when}."
        if not result.incidents:
            yield "The board noticed nothing: too few verdicts had come in."
    for incident in result.incidents:
        which = "" if incident.group == group else f" {' '.join(incident.group)}"
        yield f"The board noticed{which} at {clock(incident.noticed)}, from what had landed: {_shares(incident)}."


def _shares(incident: Incident) -> str:
    before, since = incident.shares()
    return f"discrepancy {before} before, {since} since"


def as_json(result: Result) -> dict[str, Any]:
    """`report`, `audit` and `landed` as of `trueup try`; `told`: the agents' own account; `incidents`."""
    return {
        "report": result.report,
        "audit": {"differences": result.audit.total},
        "landed": result.audit.landed,
        "told": {
            "rows": [
                {"by": {"workflow": workflow, "agent_version": version}, "counts": dict(counts)}
                for (workflow, version), counts in sorted(result.told.counts.items())
            ],
            "differences": [d._asdict() for d in result.differences],
        },
        "incidents": [
            {
                "workflow": incident.group[0],
                "agent_version": incident.group[1],
                "start": incident.start,
                "noticed": incident.noticed,
                "end": incident.end,
            }
            for incident in result.incidents
        ],
    }
