"""That the store of everything is away cannot be stored: the owner of the platform is told of it directly."""

from __future__ import annotations

from pipeline.alerter.health import GROUP, LASTING
from pipeline.alerter.settings import AlerterSettings
from pipeline.notify.notification import Audience, Notification, Status
from pipeline.report.build import stamp
from pipeline.slo.alert_state import alert_key
from pipeline.slo.windows import Severity
from schemas.units import MINUTE_US

NAME = "ClickHouse"


class Outage:
    """Since when evaluations fail. Minutes are since the Unix epoch.

    An earlier life of the alerter may have told of an outage, and nothing could be stored of that. So the first
    evaluation tells of an end, too, if none had been stored for long enough before.
    """

    def __init__(self, settings: AlerterSettings) -> None:
        self._settings = settings
        self._since: int | None = None
        self._told = False
        self._begun = False

    def failed(self, error: Exception, now: int) -> Notification | None:
        """An evaluation has failed; what to tell, once that has lasted."""
        self._since = now if self._since is None else self._since
        if self._told or now - self._since < LASTING:
            return None
        self._told = True
        return self._notification(Status.FIRING, self._since, None, f"no objective is evaluated: {error}")

    def ended(self, now: int, stored: int | None = None) -> Notification | None:
        """An evaluation has succeeded; what to tell, if a failure was told. `stored`: the last minute before it."""
        since, told = self._since, self._told
        if not (self._begun or told) and stored is not None and now - stored > LASTING:
            since, told = stored + 1, True
        self._since, self._told, self._begun = None, False, True
        if since is None or not told:
            return None
        return self._notification(Status.RESOLVED, since, now, "missed minutes are evaluated now")

    def _notification(self, status: Status, since: int, ended: int | None, text: str) -> Notification:
        key = alert_key("", GROUP, NAME)
        return Notification(
            key=key,
            transition_id=f"{key}-{since}-{status}",
            status=status,
            severity=Severity.PAGE,
            audience=Audience.PLATFORM,
            title=f"{'Resolved' if ended else 'Page'}: Trueup itself: {NAME}",
            text=(f"since {stamp(since * 60)}", text),
            started_at=since * MINUTE_US,
            ended_at=None if ended is None else ended * MINUTE_US,
            slo=GROUP,
            objective=NAME,
            owner=self._settings.owner,
            contact=self._settings.contact,
            runbook=self._settings.runbook,
        )
