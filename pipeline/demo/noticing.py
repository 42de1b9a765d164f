"""Notices when the claims of an agent version stop being true, and when they are true again.

It compares the verdicts that came in within the last seconds with all before them. A change is noticed when
their 99.5% intervals no longer touch: it looks every second at every version, so chance must be kept rare.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from pipeline.demo.measured import Z95, Group, Share, Snapshot, between, cycle_p95, discrepancy, tool_errors
from sinks.clickhouse.reads import Counted

RECENT = 10.0
"""Seconds that count as now."""
LEAST = 12
"""Verdicts, at least, on either side of a comparison."""
STRICT = 2.807
"""The quantile of a 99.5% interval."""


@dataclass
class Incident:
    """A version whose claims stopped being true: how it was before, and since `start`."""

    group: Group
    start: float
    noticed: float
    before: Counted
    since: Counted
    end: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.end is None

    def shares(self) -> tuple[Share | None, Share | None]:
        """The discrepancy rate before and since."""
        return discrepancy(self.before, Z95), discrepancy(self.since, Z95)

    def tool_errors(self) -> tuple[float | None, float | None]:
        """Failing tool calls before and since."""
        return tool_errors(self.before), tool_errors(self.since)

    def cycles(self) -> tuple[float | None, float | None]:
        """The 95th percentile of the cycle time before and since, in seconds."""
        return cycle_p95(self.before), cycle_p95(self.since)


class Lookout:
    """Takes in one snapshot after the other."""

    def __init__(self) -> None:
        self.incidents: list[Incident] = []
        """The newest last."""
        self._recent: deque[Snapshot] = deque()
        self._calm_since: dict[Group, Counted] = {}
        self._at_start: dict[Group, Counted] = {}

    def open_incident(self, group: Group) -> Incident | None:
        """The one that goes on."""
        return next((found for found in self.incidents if found.group == group and found.is_open), None)

    def look(self, now: Snapshot) -> list[Incident]:
        """The incidents that began, or ended, with this snapshot."""
        while len(self._recent) > 1 and self._recent[1].at <= now.at - RECENT:
            self._recent.popleft()
        changed = [found for group in sorted(now.groups) if (found := self._compare(group, now)) is not None]
        self._recent.append(now)
        return changed

    def _compare(self, group: Group, now: Snapshot) -> Incident | None:
        if not self._recent:
            return None
        then, current = self._recent[0], now.groups[group]
        old = then.groups.get(group)
        found = self.open_incident(group)
        if found is not None:
            found.since = between(self._at_start[group], current)
            if not _has_ended(found, between(old, current)):
                return None
            found.end = now.at
            if old is not None:
                self._calm_since[group] = old
            return found
        if old is None:
            return None
        before = between(self._calm_since.get(group), old)
        if not _worse(before, between(old, current)):
            return None
        self._at_start[group] = old
        found = Incident(group, then.at, now.at, before, between(old, current))
        self.incidents.append(found)
        return found


def _has_ended(incident: Incident, recent: Counted) -> bool:
    before, now = discrepancy(incident.before, Z95), discrepancy(recent, Z95)
    return before is not None and now is not None and now.effective >= LEAST and now.value <= before.high


def _worse(before: Counted, recent: Counted) -> bool:
    one, other = discrepancy(before, STRICT), discrepancy(recent, STRICT)
    if one is None or other is None or min(one.effective, other.effective) < LEAST:
        return False
    return other.low > one.high
