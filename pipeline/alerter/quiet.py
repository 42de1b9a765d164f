"""An objective that has nothing to judge any more: an alert of its own, where the owner asks for it.

That of the objective freezes, because silence says nothing of good and bad, and so tells nobody.
"""

from __future__ import annotations

from pipeline.alerter.advance import Landed, Subject
from pipeline.alerter.health import Finding
from pipeline.report.build import stamp
from pipeline.slo.durations import spell_minutes
from pipeline.slo.objective import Objective
from pipeline.slo.observe import Measured


def quiet(objective: Objective, measured: Measured, now: int, landed: Landed) -> Finding | None:
    """Whether an objective is silent at the minute `now`. None where nothing tells: its alert stays as it is.

    So it is while counts are behind, and if there is no task at all in the time that is looked at.
    """
    asked, last = objective.alerting.no_data, measured.by_task.last_minute
    if asked is None or last is None or landed.lacks(now):
        return None
    text = f"nothing to judge since {stamp(last * 60)}, limit {spell_minutes(asked.minutes)}: do the agents still run?"
    about = Subject(objective.workflow.name, objective.slo, objective.no_data)
    return Finding(objective.no_data, now - last < asked.minutes, text, asked.severity, lasting=0, about=about)
