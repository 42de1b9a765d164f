"""A partition's log, one store, its owner and former owners that do not know that they are: in small steps.

Every row line is written by itself, so a crash or another owner can come between any two of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from pipeline.fold.held import Keep
from pipeline.fold.message import Batch, Clock, Message, Repair
from pipeline.fold.partition import TASK_EVENTS, PartitionFold
from pipeline.fold.task import rebuild
from pipeline.worker.letters import surplus
from schemas.event import Event
from schemas.message import encode_line, encode_message
from schemas.rows import COUNTS, TaskRow, WindowKey, WindowRow
from sinks.memory import MemoryStore
from sinks.port import WRITE_ORDER, Transient
from sinks.raw import decode_row, raw_line
from tests.events import message, told_in
from tests.fold import reference, reference_windows
from tests.fold.reference import Entry, Tick
from tests.fold.samples import BASE, MINUTE, TASKS, Again, Spec, event

PARTITION = 0
ORDER = ("forwards", *WRITE_ORDER)
"""Kafka has what goes to other tasks before anything is written."""
ALL = 1_000_000
LEARNT = {"verdict", "feedback", "cost", "score"}
"""What changes neither whether a task is open nor when it is given up: that only the log knew."""
ENDLESS = 100
"""Loads in one call of `fold` after which it is taken to never end."""


class Meanwhile(NamedTuple):
    """What another owner does just before a load: fold messages, then write row lines. `fails`: the load does."""

    fold: int = 0
    write: int = 0
    which: int = 0
    fails: bool = False


class _Line(NamedTuple):
    table: str
    line: Any


class _Written(NamedTuple):
    position: int
    next_offset: int


_Step = _Line | _Written


class World:
    """The state of a schedule. Its methods are the steps; offsets count from 0 without gaps."""

    def __init__(
        self,
        keep: int = 1,
        fold: type[PartitionFold] = PartitionFold,
        order: Sequence[str] = ORDER,
        most: int = TASK_EVENTS,
    ) -> None:
        """`most`: a task has room for so many events."""
        self.keep, self.fold_class, self.order, self.most = keep, fold, order, most
        self.store = MemoryStore()
        self.log: list[Entry] = []
        self.forwarded: set[bytes] = set()
        self.committed = 0
        self.plan: deque[Meanwhile] = deque()
        self.zombies: list[Owner] = []
        self.damaged = False
        self.owner = Owner(self, 0)

    # --- the log ---------------------------------------------------------------------------------

    def append(self, *told: Spec | Again, received: int = BASE) -> None:
        """A message with these events."""
        held = [e for entry in self.log for e in entry.events]
        for one in told:
            if isinstance(one, Spec):
                held.append(event(one, len(held)))
            elif held:
                held.append(_told_again(held[-1 - one.which % len(held)], one, len(held)))
        new = held[sum(len(entry.events) for entry in self.log) :]
        self.log.append(Entry(len(self.log), received, new))

    def tick(self, at: int, abandon_after: int = 0, by_workflow: Mapping[str, int] | None = None) -> None:
        """A message that lets time pass."""
        self.log.append(Entry(len(self.log), at, (), Tick(at, abandon_after, by_workflow or {})))

    def repair(self, tasks: Iterable[str] = TASKS, windows: Callable[[int], bool] = lambda _: True) -> None:
        """A message that has these tasks recomputed, and those of all windows that there ever were by their number."""
        told = reference_windows.windows(self.expected().rows().values()).keys() | {
            key for _, key in self.store.window_rows
        }
        keys = [key for n, key in enumerate(sorted(told)) if windows(n)]
        self.log.append(Entry(len(self.log), BASE, repair=(list(tasks), keys)))

    # --- damage ----------------------------------------------------------------------------------

    def spoil_task(self, task: str, how: Mapping[str, Any]) -> None:
        """A stored row becomes wrong, by one that is newer."""
        row = self.store.task_rows.get((PARTITION, task))
        if row is not None:
            self.damaged = True
            self.store.write("tasks", [msgspec.structs.replace(row, seq=row.seq + 1, **how).line()])

    def spoil_window(self, which: int, model: str | None = None) -> None:
        """A stored window becomes wrong, by a newer row of it; or by one of another `model`, that nothing counts in."""
        rows = sorted(self.store.window_rows.values(), key=lambda row: row.key)
        if rows:
            self.damaged = True
            row = rows[which % len(rows)]
            key = row.key if model is None else row.key._replace(model=model)
            spoilt = WindowRow(key, row.seq + 1, [n + 7 for n in row.counts], {}, {**row.latency_us, 9: 1}, row.scores)
            self.store.write("windows", [spoilt.line(PARTITION, 0)])

    def count_twice(self, which: int) -> None:
        """An event of what was learnt comes again when the owner knows it no more."""
        self.owner.fold(len(self.log))
        learnt = [e for entry in self.log for e in entry.events if e.kind in LEARNT and e.task_id]
        if learnt:
            again = learnt[which % len(learnt)]
            self.log.append(Entry(len(self.log), BASE, [again]))
            self.damaged |= self.owner.fold_without_ids(again.task_id)

    # --- owners ----------------------------------------------------------------------------------

    def fold(self, messages: int = 1, meanwhile: Iterable[Meanwhile] = ()) -> None:
        """The owner folds its next messages in one batch."""
        self._fold(self.owner, messages, meanwhile)

    def write(self, lines: int = ALL) -> None:
        """The owner writes its next row lines and commits what is thereby written whole."""
        self.owner.write(lines)
        self.committed = max(self.committed, self.owner.durable_offset)

    def crash(self, back: int = 0) -> None:
        """The owner is gone with what it has not written; another starts at most `back` before the commit."""
        self.owner = Owner(self, max(0, self.committed - back))

    def rebalance(self, back: int = 0) -> None:
        """Another owner starts, but the one before it goes on."""
        self.zombies = [*self.zombies[-1:], self.owner]
        self.crash(back)

    def zombie_fold(self, messages: int = 1, which: int = 0, meanwhile: Iterable[Meanwhile] = ()) -> None:
        """A former owner folds on."""
        if self.zombies:
            self._fold(self.zombies[which % len(self.zombies)], messages, meanwhile)

    def zombie_write(self, lines: int = ALL, which: int = 0) -> None:
        """A former owner writes row lines."""
        if self.zombies:
            self.zombies[which % len(self.zombies)].write(lines)

    def _fold(self, owner: Owner, messages: int, meanwhile: Iterable[Meanwhile]) -> None:
        self.plan = deque(meanwhile)
        owner.fold(messages)
        self.plan.clear()

    def interfere(self, loading: Owner) -> None:
        """Let the next item of the plan happen. Raises Transient when it says so."""
        if not self.plan:
            return
        item = self.plan.popleft()
        rest, self.plan = self.plan, deque()
        others = [one for one in (self.owner, *reversed(self.zombies)) if one is not loading]
        if others:
            other = others[item.which % len(others)]
            other.fold(item.fold)
            other.write(item.write)
        self.plan = rest
        if item.fails:
            raise Transient("the store is away")

    # --- what must hold --------------------------------------------------------------------------

    def finish(self) -> None:
        """Rows are right as they are, or after a repair; then the owner, and after it all former ones, come to the end.

        The last messages touch every task, so that whatever an owner holds in memory is written once more.
        """
        if self.damaged:
            self.repair()
        else:
            self.check_rows()
        self._to_the_end(self.owner)
        self.tick(BASE + 1_000 * MINUTE)
        tasks = {e.task_id for entry in self.log for e in entry.events if e.task_id}
        self.append(*(Spec("complains", task) for task in sorted(tasks)))
        for owner in (self.owner, *self.zombies):
            self._to_the_end(owner)

    def _to_the_end(self, owner: Owner) -> None:
        while owner.next_offset < len(self.log):
            owner.fold(len(self.log))
        owner.write(ALL)
        self.check_end()

    def expected(self, upto: int | None = None) -> reference.Tasks:
        """What the log adds up to, up to a seq where one is given."""
        return reference.Tasks(self.log, upto, self.most)

    def check_rows(self) -> None:
        """Every stored row is what the log up to the row's seq adds up to."""
        stored = [*self.store.task_rows.values(), *self.store.window_rows.values()]
        history = {seq: self.expected(seq).rows() for seq in {row.seq for row in stored}}
        for row in stored:
            if isinstance(row, TaskRow):
                check_task(row, history[row.seq][row.task_id])
                check_rebuilt(row, self.store)
            else:
                check_windows([row], reference_windows.windows(history[row.seq].values()), only=row.key)

    def check_end(self) -> None:
        """The stored rows are those of the whole log, neither more nor fewer."""
        expected = self.expected()
        rows = expected.rows()
        stored = {row.task_id: row for row in self.store.task_rows.values()}
        assert stored.keys() == rows.keys()
        for task_id, row in stored.items():
            check_task(row, rows[task_id])
            check_rebuilt(row, self.store)
        check_windows(self.store.window_rows.values(), reference_windows.windows(rows.values()))
        assert {key[1:]: value for key, value in self.store.raw.items()} == expected.events()
        if self.damaged:  # an event that was counted twice went on as each of its tellings, under one id
            assert _ids(self.forwarded) == _ids(expected.forwards())
        else:
            assert self.forwarded == expected.forwards()
        dead = {(letter.offset, letter.index): letter.records for letter in self.store.dead_letters.values()}
        assert dead == expected.surplus()


def _ids(lines: Iterable[bytes]) -> set[tuple[str, int]]:
    return {(sent.task_id, sent.hash) for line in lines for sent in told_in(encode_message([line]))}


def _told_again(first: Event, again: Again, number: int) -> Event:
    if again.told_as is None:
        return first
    return msgspec.structs.replace(event(again.told_as, number), event_id=first.event_id, hash=first.hash)


class Owner:
    """One process that believes it owns the partition, and the row lines that it has still to write."""

    def __init__(self, world: World, next_offset: int) -> None:
        self._world = world
        self._pending: deque[_Step] = deque()
        self._loads = 0
        self.next_offset = self.durable_offset = next_offset
        self._fold = world.fold_class(
            PARTITION,
            self,
            next_offset=next_offset,
            keep=Keep(*[world.keep] * 3),
            task_events=world.most,
            settled=lambda: self.write(ALL),
        )

    def fold(self, messages: int) -> None:
        entries = self._world.log[self.next_offset : self.next_offset + messages]
        if not entries:
            return
        batch = Batch(_message(entry) for entry in entries)
        self._loads = 0
        try:
            unheld = self._fold.unheld(batch)
            snapshot = self._fold.fold(batch, unheld, self.stored({PARTITION: unheld}))
        except Transient:
            return
        self.next_offset = entries[-1].offset + 1
        dead = surplus("agent.actions", snapshot.surplus, self._world.most)
        snapshot.dead_letters = [letter.line() for letter in dead]
        for table in self._world.order:
            lines = getattr(snapshot, table)
            self._pending.extend(_Line(table, line) for line in (_one_by_one(lines) if table == "events" else lines))
        self._pending.append(_Written(self._fold.position, self.next_offset))

    def fold_without_ids(self, task: str) -> bool:
        """Fold the next message as if the events of a task were unknown. False: the task is not in memory."""
        held = self._fold._tasks.get(task)
        if held is None:
            self.fold(1)
            return False
        known, held.ids = held.ids, set()
        self.fold(1)
        held.ids |= known
        return True

    def write(self, lines: int) -> None:
        for _ in range(min(lines, len(self._pending))):
            match self._pending.popleft():
                case _Line("forwards", sent):
                    self._world.forwarded.add(encode_line(sent))
                case _Line(table, line):
                    self._world.store.write(table, [line])
                case _Written(position, next_offset):
                    self._fold.written(position)
                    self.durable_offset = next_offset

    @property
    def held(self) -> Mapping[str, Any]:
        """The tasks in memory."""
        return self._fold._tasks

    def keys(self) -> list[WindowKey]:
        """The windows in the store, for a fold that wants them too early."""
        return [key for _, key in self._world.store.window_rows]

    def __getattr__(self, load: str) -> Callable[..., Any]:
        """The owner is the port that its fold loads through, with whatever happens just before."""
        stored = getattr(self._world.store, load)

        def interrupted(*args: Any) -> Any:
            self._loads += 1
            assert self._loads < ENDLESS, "the fold loads again and again"
            self._world.interfere(self)
            return stored(*args)

        return interrupted


def _one_by_one(rows: Iterable[bytes]) -> Iterator[bytes]:
    """A row for each event: a store may have come to any of them when the owner dies."""
    for row in map(decode_row, rows):
        for seq, told in row.events():
            yield raw_line(row.partition, row.epoch, seq, encode_line(told))


def _message(entry: Entry) -> Message:
    clock = None
    if entry.tick is not None:
        clock = Clock(entry.tick.at, entry.tick.abandon_after, dict(entry.tick.by_workflow))
    repair = Repair(list(entry.repair[0]), list(entry.repair[1])) if any(entry.repair) else None
    return message(entry.offset, entry.received, entry.events, clock=clock, repair=repair)


def check_task(row: TaskRow, expected: reference_windows.Row) -> None:
    """A task's row has every field as the reference says."""
    assert {name: getattr(row, name) for name in TaskRow.__struct_fields__} == expected


def check_rebuilt(row: TaskRow, store: MemoryStore) -> None:
    """A task's row can be made again from its raw events."""
    events = store.events(row.partition, {row.task_id: row.seq})[row.task_id]
    assert rebuild(row, events).row == row


def check_windows(
    stored: Iterable[WindowRow],
    expected: Mapping[WindowKey, reference_windows.Window],
    only: WindowKey | None = None,
) -> None:
    """Windows hold what the reference says; one that counts nothing may as well not be there."""
    made = {w.key: _contents(dict(zip(COUNTS, w.counts, strict=True)), w) for w in stored}
    wanted = {k: _contents(w.counts, w) for k, w in expected.items() if only in (None, k)}
    assert {k: v for k, v in made.items() if v} == {k: v for k, v in wanted.items() if v}


def _contents(counts: Mapping[str, int], window: WindowRow | reference_windows.Window) -> dict[str, object]:
    found: dict[str, object] = {name: n for name, n in counts.items() if n}
    held = {"cycle_us": window.cycle_us, "latency_us": window.latency_us, "scores": window.scores}
    return found | {name: dict(parts) for name, parts in held.items() if parts}
