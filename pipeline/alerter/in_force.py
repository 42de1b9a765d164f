"""The objectives in force, read again when somebody applied a new version."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.alerter.advance import Subject
from pipeline.objectives.history import Edition, read
from pipeline.slo.objective import Objective
from sinks.objectives import ObjectiveStore, Version


class StoredObjectives:
    """What the newest version of each workflow says. Drafts alert nobody, so they are not among them."""

    def __init__(self, store: ObjectiveStore, retention: int) -> None:
        self._store, self._retention = store, retention
        self._mark: tuple[int, int] | None = None
        self._editions: dict[str, Edition] = {}
        self._objectives: dict[str, Objective] = {}
        self._about: dict[str, Objective] = {}

    def objectives(self) -> Mapping[str, Objective]:
        """By alert key."""
        mark = self._store.mark()
        if mark != self._mark:
            latest = {version.workflow: version for version in self._store.versions()}
            self._editions = {workflow: self._edition(version) for workflow, version in latest.items()}
            every = [each for edition in self._editions.values() for each in edition.objectives.values()]
            self._objectives = {objective.key: objective for objective in every if not objective.draft}
            silent = {each.no_data_key: each for each in self._objectives.values() if each.alerting.no_data}
            self._about = self._objectives | silent
            self._mark = mark
        return self._objectives

    def known(self, key: str) -> Objective | None:
        """What an alert is about, of the objectives as they were last read; any thread may ask."""
        return self._about.get(key)

    def why_ended(self, subject: Subject) -> str:
        """Why an objective is no longer among them: what was done, in which version, by whom."""
        edition = self._editions[subject.workflow]
        version = edition.version
        what = "made a draft" if (subject.slo, subject.objective) in edition.objectives else "removed or renamed"
        where = f"version {version.version} of {subject.workflow}"
        return f"the objective was {what} in {where}, by {version.by}: {version.why}"

    def _edition(self, version: Version) -> Edition:
        held = self._editions.get(version.workflow)
        return held if held is not None and held.version == version else read(version, self._retention)

    @property
    def unreadable(self) -> frozenset[str]:
        """Workflows some of whose objectives cannot be read."""
        return frozenset(workflow for workflow, edition in self._editions.items() if edition.problems)
