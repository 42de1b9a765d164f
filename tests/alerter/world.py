"""An alerter's surroundings that can break anywhere: a store that stops before any row, counts, receivers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from pipeline.alerter.advance import Subject
from pipeline.alerter.delivery import Delivery
from pipeline.alerter.engine import Engine, Policy
from pipeline.alerter.held import Held
from pipeline.notify.notification import Notification, Status
from pipeline.notify.receipt import Receipt, Tally
from pipeline.slo.alert_state import AlertState, Change
from pipeline.slo.budget import Terms
from pipeline.slo.burn import Rule
from pipeline.slo.counts import Series
from pipeline.slo.durations import Duration
from pipeline.slo.metrics import METRICS
from pipeline.slo.objective import Alerting, Objective, Owner, Workflow
from pipeline.slo.observe import Measured
from pipeline.slo.periods import RollingWindow
from pipeline.slo.windows import GUARD_OFF, Guard, Pair, Severity
from schemas.units import MINUTE_US
from sinks.objectives import MemoryObjectives, RowType, TransitionRow

TARGET = Fraction(9, 10)
PAIRS = (
    Pair(Severity.PAGE, 12, 1, Fraction(5)),
    Pair(Severity.PAGE, 24, 2, Fraction(3), after=3),
    Pair(Severity.TICKET, 36, 3, Fraction(2)),
)
CAP = Decimal(1)


class Crash(Exception):
    """The process ends here."""


def objective(name: str, metric: str = "completion_rate", guard: Guard = GUARD_OFF) -> Objective:
    """An objective with short windows."""
    return Objective(
        workflow=Workflow("claims", "Claims", Owner("Ada", "ada@example.com")),
        slo=name,
        name="1",
        display_name=f"Claims {name}",
        metric=METRICS[metric],
        terms=Terms(TARGET),
        window=RollingWindow(Duration(1, "d")),
        alerting=Alerting(Rule(TARGET, 1_000, PAIRS, guard), chosen=True),
    )


class BrittleStore(MemoryObjectives):
    """Writes row by row, and calls `before_row` before each: there the test may crash, or let others run."""

    def __init__(self) -> None:
        super().__init__()
        self.before_row: Callable[[], None] = lambda: None

    def append(self, rows: Sequence[RowType]) -> None:
        for row in rows:
            self.before_row()
            super().append([row])

    def crash_after(self, rows: int | None) -> None:
        """Crash instead of writing another row after so many; None: never."""
        left = rows

        def count() -> None:
            nonlocal left
            if left is not None:
                if left == 0:
                    raise Crash
                left -= 1

        self.before_row = count


class FixedObjectives:
    """Objectives that are in force."""

    def __init__(self, *objectives: Objective) -> None:
        self.by_key = {each.key: each for each in objectives}
        self.unreadable: frozenset[str] = frozenset()

    def objectives(self) -> Mapping[str, Objective]:
        return self.by_key

    def why_ended(self, subject: Subject) -> str:
        return f"Eve removed {subject.slo}"


class FixedCounts:
    """Counts by SLO; `complete_until` is set by the test."""

    def __init__(self, series: Mapping[str, Series], complete_until: int | None = None) -> None:
        self.series, self.complete_until = series, complete_until

    def refresh(self, objectives: Sequence[Objective], now: int) -> None:
        """They are what they are."""

    def measured(self, objective: Objective) -> Measured:
        return Measured(self.series[objective.slo])

    def remaining(self, objective: Objective, now: int) -> float | None:
        return 0.5


class Inbox:
    """A receiver, over all lives of the alerter: what it was told, in order, once it was delivered."""

    def __init__(self, name: str = "inbox") -> None:
        self.name = name
        self.got: list[Notification] = []
        self.offers: list[tuple[str, frozenset[str]]] = []
        self.dropping = False
        self.dropped = 0
        self._queue: list[Notification] = []

    def offer(self, notification: Notification, delivered_to: Collection[str] = frozenset()) -> frozenset[str]:
        """Takes everything that it has not, except while it drops."""
        self.offers.append((notification.transition_id, frozenset(delivered_to)))
        if self.name in delivered_to:
            return frozenset()
        if self.dropping:
            self.dropped += 1
            return frozenset()
        self._queue.append(notification)
        return frozenset({self.name})

    def tallies(self) -> list[Tally]:
        return [Tally(self.name, 0, 0, 0, self.dropped, 0, 0, "", None)]

    def die(self) -> None:
        """The process dies: what was queued is lost."""
        self._queue = []

    def deliver(self, delivery: Delivery, *, ok: bool = True) -> None:
        """Deliver what is queued, or have it refused, and give the receipts."""
        for notification in self._queue:
            if ok:
                self.got.append(notification)
            delivery.receipt(Receipt(notification.transition_id, self.name, ok, "" if ok else "400", 1))
        self._queue = []


def plain(line: TransitionRow) -> Notification:
    """The least that a notification says."""
    ended = line.change == Change.RESOLVED
    return Notification(
        key=line.key,
        transition_id=line.id,
        status=Status.RESOLVED if ended else Status.FIRING,
        severity=Severity.PAGE,
        title=line.change,
        started_at=line.started * MINUTE_US,
        ended_at=line.at * MINUTE_US if ended else None,
    )


def engine(store: MemoryObjectives, objectives: FixedObjectives, counts: FixedCounts, catch_up: int = 10_000) -> Engine:
    """An engine as it is after a start."""
    return Engine(store, objectives, counts, Policy(catch_up=catch_up))


def first_state(store: MemoryObjectives, objectives: FixedObjectives) -> None:
    """Every alert was evaluated once, in minute 0, so that a run that begins late has something to catch up with."""
    rows = [Held(alert=AlertState(key=key, evaluated=0)).row() for key in objectives.by_key]
    store.append(rows)
