"""Looks at ClickHouse once a second, and says in words what there is to see: to somebody who sees it first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from clickhouse_connect.driver.client import Client

from pipeline.demo.measured import FailingTool, Group, Snapshot, failing_tool, snapshot, untrue_claim
from pipeline.demo.noticing import RECENT, Incident, Lookout
from sinks.port import Transient

FLOW_SECONDS = 6.0


@dataclass(frozen=True)
class Note:
    """Something worth telling. `at`: seconds after the demo's start."""

    at: float
    text: str
    alarm: bool = False


@dataclass
class View:
    """What a display shows."""

    now: Snapshot = field(default_factory=lambda: Snapshot(0, {}))
    tasks_per_second: float = 0
    events_per_second: float = 0
    notes: list[Note] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    failing: FailingTool | None = None
    """What fails in the newest incident."""
    example: str | None = None
    """A task whose claim was not true."""
    away: str = ""
    """Why ClickHouse could not be read just now."""


class Watch:
    """`look` reads what has landed, and brings `view` up to date."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lookout = Lookout()
        self._flow: deque[Snapshot] = deque([Snapshot(0, {})])
        self._told: set[str] = set()
        self.view = View(incidents=self._lookout.incidents)
        self.view.notes.append(
            Note(0, "Agents of three workflows start. Each step is an OpenTelemetry span: agent, Kafka, ClickHouse.")
        )

    def look(self, at: float) -> View:
        """What there is `at` seconds after the start. A ClickHouse that is away leaves the last view."""
        view = self.view
        try:
            now = snapshot(self._client, at)
            view.notes += self._firsts(now)
            for incident in self._lookout.look(now):
                view.notes += self._news(incident)
            if view.example is None and now.total("discrepancies"):
                view.example = untrue_claim(self._client, None)
        except Transient as error:
            view.away = str(error)
            return view
        view.now, view.away = now, ""
        self._measure_flow(now)
        return view

    def _measure_flow(self, now: Snapshot) -> None:
        self._flow.append(now)
        while self._flow[0].at < now.at - FLOW_SECONDS:
            self._flow.popleft()
        first = self._flow[0]
        seconds = max(now.at - first.at, 1e-9)
        ended = ("tasks_finished", "tasks_abandoned")
        self.view.tasks_per_second = sum(now.total(name) - first.total(name) for name in ended) / seconds
        self.view.events_per_second = (now.events - first.events) / seconds

    def _firsts(self, now: Snapshot) -> Iterator[Note]:
        for name, text in _FIRSTS.items():
            n = now.dead_letters if name == "dead_letters" else now.total(name)
            if n and name not in self._told:
                self._told.add(name)
                yield Note(now.at, text)

    def _news(self, incident: Incident) -> Iterator[Note]:
        name, view = " ".join(incident.group), self.view
        if not incident.is_open:
            yield Note(incident.end or 0, f"{name}: the verdicts of the last {RECENT:.0f} s are as good as before.")
            return
        before, since = incident.shares()
        yield Note(
            incident.noticed,
            f"{name} claims success that is not there: checks contradict {since} of its claims, before {before}.",
            alarm=True,
        )
        view.failing = failing_tool(self._client, incident.group, RECENT)
        view.example = untrue_claim(self._client, incident.group) or view.example
        if view.failing is not None:
            yield Note(incident.noticed, f"{name}: {describe(view.failing)}.", alarm=True)


_FIRSTS = {
    "tasks_finished": "The first tasks have landed. Each claims how it ended: that is what the agent says.",
    "verdict_known": "The first verdicts: somebody independent checked. They come late, and for some tasks only.",
    "discrepancies": "A task that its agent called done is not: a discrepancy. The minute of its claim changes.",
    "overridden": "A human has overridden an agent. That time costs money: it is in the cost of the task.",
    "tasks_abandoned": "A task fell silent without a claim: it is abandoned, which counts against completion.",
    "dead_letters": "Something could not be used. It is kept, with the reason: `trueup deadletter list`.",
}
"""What is told when a count is no longer 0."""


def describe(tool: FailingTool) -> str:
    """Which tool fails, and how."""
    return f"{tool.failed / tool.calls:.0%} of the calls of {tool.name} end in {tool.error}"


def other_version(group: Group, now: Snapshot) -> Group | None:
    """The same workflow's other version, to compare with."""
    return next((other for other in sorted(now.groups) if other[0] == group[0] and other != group), None)


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
