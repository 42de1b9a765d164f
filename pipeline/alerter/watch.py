"""The pipeline's own alerts, kept like those of objectives: measured in one thread, stored in the tick."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from pipeline.alerter.health import Finding, judge
from pipeline.alerter.held import held
from sinks.objectives import ObjectiveStore


class Watch:
    """Newest finding of each part. Any thread may give findings; one stores what they mean."""

    def __init__(self, store: ObjectiveStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._found: dict[str, Finding] = {}

    def take(self, findings: Iterable[Finding]) -> None:
        """What was found, part by part; each replaces what was found of its part before."""
        for finding in findings:
            with self._lock:
                self._found[finding.name] = finding

    def tick(self, now: int) -> int:
        """Bring the alerts up to the minute `now`, and store what changed; how many transitions. Raises Transient."""
        with self._lock:
            found, self._found = list(self._found.values()), {}
        try:
            return self._store_changes(found, now)
        except Exception:
            with self._lock:
                self._found = {finding.name: finding for finding in found} | self._found
            raise

    def _store_changes(self, found: list[Finding], now: int) -> int:
        if not found:
            return 0
        states = {key: held(row) for key, row in self._store.states().items()}
        judged = list(judge(found, states, self._store.actions(), now))
        lines = [step.row(finding.subject) for finding, _, steps in judged for step in steps]
        self._store.append(lines)
        self._store.append([after.row() for finding, after, _ in judged if after != states.get(finding.key)])
        return len(lines)
