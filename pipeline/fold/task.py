"""A task: what its events add up to, whatever order they come in.

Every fact is a sum over the task's distinct events, or the value of the one with the greatest rank,
so a task is a function of the set of its events. Only abandonment depends on the order of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import islice
from operator import attrgetter

from pipeline.fold.facts import Facts
from pipeline.fold.message import Arrived
from pipeline.fold.spans import Spans
from schemas.event import BY_TRACE, FORWARDED, Event, may_be_a_trace
from schemas.rows import LOG_ONLY, UNPRICED, TaskRow
from schemas.units import UINT64_MAX
from schemas.words import ACTIONS, DIMENSIONS, SPANS, Kind, Outcome, TaskStatus

Rank = tuple[int, ...]
Place = tuple[int, int]
"""A place in what arrived: which of them, and which of its events."""
LOWEST: Rank = ()

_WORK = SPANS - {Kind.SETUP} | {Kind.CLAIM, Kind.INTERVENTION}
_ROLLUPS = frozenset({Kind.AGENT_RUN, Kind.WORKFLOW_RUN})
_LINK, _OTHER = Kind.LINK, Kind.OTHER
_OPEN, _FINISHED, _LINKED = TaskStatus.OPEN.value, TaskStatus.FINISHED.value, TaskStatus.LINKED.value


class Task:
    """A task's row, and the evidence that the row alone does not hold."""

    __slots__ = (
        "_agentic",
        "_claim",
        "_cost",
        "_dimensioned",
        "_dimensioned_by",
        "_satisfaction",
        "_scores",
        "_seen",
        "_spans",
        "_traceable",
        "_unnamed",
        "_verdict",
        "evidence",
        "ids",
        "kept",
        "placed",
        "row",
    )

    def __init__(self, row: TaskRow, *, evidence: bool = True) -> None:
        self.row = row
        self.evidence = evidence
        """False: only the row is here; before an event is applied, `rebuild` must bring the rest."""
        self._traceable = may_be_a_trace(row.task_id)
        self.ids: set[int] = set()
        """Hashes of the events that are in the row."""
        self.kept: list[Event] = []
        """Events of what is, or may be, only a trace: when its task becomes known, they are sent on to it."""
        self.placed: Facts | None = None
        """What its window counts of it now."""
        self._claim = self._verdict = self._cost = self._satisfaction = LOWEST
        self._seen = 0
        self._scores: dict[str, Rank] = {}
        self._dimensioned: dict[str, Rank] = {}
        self._dimensioned_by = LOWEST
        self._unnamed = _reader(DIMENSIONS)
        self._spans: Spans | None = None
        self._agentic = False

    def has_room(self, event: Event, most: int) -> bool:
        """Whether an event may come in: of those that are known all, of spans `most`, of what judges them as many more.

        A root is not counted among spans: it says how the task ended.
        """
        return event.hash in self.ids or len(self.ids) < (most if event.kind in SPANS and not event.root else 2 * most)

    def apply(self, event: Event, seq: int, seen: int) -> bool:
        """Take in an event that came at `seq` in a message of Kafka timestamp `seen` (µs). False: it is known."""
        ids = self.ids
        if event.hash in ids:
            return False
        ids.add(event.hash)
        self._seen = seen
        row = self.row
        row.seq = seq
        row.events += 1
        if event.task_source != row.task_source:
            row.task_source = _surer(event.task_source, row.task_source)
        kind = event.kind
        if (self._traceable or event.task_source == BY_TRACE) and kind != _LINK and FORWARDED not in event.attributes:
            self.kept.append(event)
        if kind in SPANS:
            self._span(event)
        else:
            _LEARNT[kind](self, event)
        if kind in _WORK or event.root:
            self._work(event, seen)
        return True

    def apply_actions(self, arrived: Sequence[Arrived], place: Place, refused: list[int], most: int) -> Place:
        """Take in what comes from a place on, while it is actions that are no roots: `apply`, for many.

        Only for a task that is open, and stays so. Returns where it stopped, which is also before what it might have
        no room for; adds to `refused` the seq of what is in the row already.
        """
        row, ids, new = self.row, self.ids, list[Event]()
        which, index = place
        while which < len(arrived):
            first, received, events = arrived[which]
            if len(ids) + len(events) - index > most:
                break
            fence, seq, before = row.seq, first + index, len(new)
            for event in islice(events, index, None):
                if event.kind not in ACTIONS or event.root:
                    break
                code = event.hash
                if seq <= fence or code in ids:
                    refused.append(seq)
                else:
                    ids.add(code)
                    new.append(event)
                    row.seq = seq
                seq += 1
            if len(new) > before:
                self._headed(new[before:], received)
            index = seq - first
            if index < len(events):
                break
            which, index = which + 1, 0
        if new:
            self._work_of_actions(new)
        return which, index

    def _headed(self, events: Sequence[Event], received: int) -> None:
        """What actions that came together have in common."""
        row, head = self.row, events[0]
        row.last_seen = max(row.last_seen, received)
        self._traced(head.trace_id)
        if head.task_source != row.task_source:
            row.task_source = _surer(head.task_source, row.task_source)
        if self._traceable or head.task_source == BY_TRACE:
            self.kept += [event for event in events if FORWARDED not in event.attributes]

    def _work_of_actions(self, events: Sequence[Event]) -> None:
        row = self.row
        row.events += len(events)
        first, last = self._spans_of().actions(events)
        row.last_at = max(row.last_at, last)
        # No event outranks one that ended first and has the greatest hash; most batches name nothing new.
        if (1, -first, UINT64_MAX) > self._dimensioned_by or any(map(any, map(self._unnamed, events))):
            for event in events:
                self._dimensions(event)

    def conclude(self) -> None:
        """Bring up to date what only the spans together tell. Call it before the row is read."""
        if not self.evidence:
            return
        if self._spans is not None:
            self._spans.conclude()
        row = self.row
        if row.claim_explicit:
            row.run_failed = 0
            return
        row.run_failed = int(self._spans is not None and self._spans.run_failed())
        if self._claim:
            row.claim = (Outcome.FAILURE if row.run_failed else Outcome.SUCCESS).value

    def _work(self, event: Event, seen: int) -> None:
        row = self.row
        row.last_at = max(row.last_at, event.at)
        row.last_seen = max(row.last_seen, seen)
        self._traced(event.trace_id)
        self._dimensions(event)
        if not self._agentic and not (event.kind == _OTHER and event.task_source == BY_TRACE and not event.explicit):
            self._agentic = True
        if self._agentic and row.status != _LINKED:
            row.status = _FINISHED if self._claim else _OPEN

    def _traced(self, trace_id: str) -> None:
        if trace_id and trace_id not in self.row.trace_ids:
            self.row.trace_ids = sorted([*self.row.trace_ids, trace_id])

    # --- spans -----------------------------------------------------------------------------------

    def _spans_of(self) -> Spans:
        if self._spans is None:
            self._spans = Spans(self.row)
        return self._spans

    def _span(self, event: Event) -> None:
        spans = self._spans_of()
        if event.kind in ACTIONS:
            spans.actions((event,))
        else:
            spans.frame(event)
        if event.root:
            self._claimed(event)
            if event.cost is not None:
                self._accounted(event)

    def _accounted(self, event: Event) -> None:
        """A root's cost is the account of the whole task: it replaces the sum of the steps."""
        rank = (event.explicit, event.at, event.hash)
        if rank > self._cost:
            self._cost, self.row.root_cost = rank, event.cost

    def _dimensions(self, event: Event) -> None:
        """Each dimension has the value of the most telling work that names it: roots, then runs, then steps."""
        telling = 3 if event.root else 2 if event.kind in _ROLLUPS else 1 if event.kind in SPANS else 0
        rank = (telling, -event.at, event.hash)
        if rank < self._dimensioned_by and not any(self._unnamed(event)):
            return
        row, held = self.row, self._dimensioned
        for name in DIMENSIONS:
            value = getattr(event, name)
            if value and rank > held.get(name, LOWEST):
                held[name] = rank
                setattr(row, name, value)
        self._dimensioned_by = min(held.values(), default=LOWEST)
        self._unnamed = _reader(tuple([name for name in DIMENSIONS if name not in held]))

    # --- what is learnt --------------------------------------------------------------------------

    def _claimed(self, event: Event) -> None:
        rank = (event.explicit, event.at, event.hash)
        if rank > self._claim:
            self._claim = rank
            row = self.row
            row.claim, row.claim_at, row.claim_explicit = event.value, event.at, event.explicit
            row.claim_seen = self._seen

    def _verified(self, event: Event) -> None:
        rank = (event.at, event.hash)
        if rank > self._verdict:
            self._verdict = rank
            row = self.row
            row.verdict, row.verdict_at, row.verifier = event.value, event.at, event.name
            row.weight, row.verdict_seen = event.weight, self._seen

    def _intervened(self, event: Event) -> None:
        row = self.row
        row.intervened_seen = self._seen
        row.interventions[event.name] = row.interventions.get(event.name, 0) + 1
        row.human_us += event.number or 0
        if event.cost is not None:
            row.costs["human"] = row.costs.get("human", 0) + event.cost
        elif event.number:
            row.costs[UNPRICED] = 0

    def _answered(self, event: Event) -> None:
        row = self.row
        row.answered, row.answered_seen = 1, self._seen
        row.complaint |= event.flag or 0
        rank = (event.at, event.hash)
        if event.number is not None and rank > self._satisfaction:
            self._satisfaction, row.satisfaction = rank, event.number

    def _charged(self, event: Event) -> None:
        self.row.costs[event.name] = self.row.costs.get(event.name, 0) + (event.cost or 0)

    def _scored(self, event: Event) -> None:
        rank = (event.at, event.hash)
        if event.number is not None and rank > self._scores.get(event.name, LOWEST):
            self._scores[event.name] = rank
            self.row.scores[event.name] = event.number

    def _linked(self, event: Event) -> None:
        """The first link in the log decides: what came before it is sent on once, to that task."""
        if not self.row.linked_to:
            self.row.linked_to, self.row.status = event.value, TaskStatus.LINKED.value

    def _noted(self, event: Event) -> None:
        """A business outcome is read from the raw events; the row only counts it."""


_LEARNT: dict[str, Callable[[Task, Event], None]] = {
    Kind.CLAIM: Task._claimed,
    Kind.VERDICT: Task._verified,
    Kind.INTERVENTION: Task._intervened,
    Kind.FEEDBACK: Task._answered,
    Kind.COST: Task._charged,
    Kind.SCORE: Task._scored,
    Kind.OUTCOME: Task._noted,
    Kind.LINK: Task._linked,
}


@lru_cache
def _reader(names: tuple[str, ...]) -> Callable[[Event], Iterable[str]]:
    """What reads these fields of an event: their values, of a single one its characters."""
    return attrgetter(*names) if names else lambda _: ()


def _surer(one: str, other: str) -> str:
    """Of two ways in which a task id was found, the one to show: anything beats the trace."""
    told = sorted(source for source in (one, other) if source and source != BY_TRACE)
    return told[0] if told else one or other


def rebuild(row: TaskRow, events: Iterable[tuple[int, Event]]) -> Task:
    """A task as it was at `row.seq`, from its raw events (of `seq` up to the row's own) in any order.

    What only the log knew, when things were seen and whether it was given up, comes from the row.
    """
    task = Task(TaskRow(row.partition, row.epoch, row.task_id))
    for seq, event in sorted(events, key=lambda e: e[0]):
        if seq <= row.seq:
            task.apply(event, seq, 0)
    task.conclude()
    made = task.row
    for name in LOG_ONLY:
        setattr(made, name, getattr(row, name))
    if row.status == TaskStatus.ABANDONED and made.status == TaskStatus.OPEN:
        made.status = TaskStatus.ABANDONED.value
    return task
