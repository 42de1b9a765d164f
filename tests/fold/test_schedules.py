"""The fold under crashes, replays, stale owners and duplicates: its rows are always those of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from pipeline.fold.partition import TASK_EVENTS, PartitionFold
from tests.fold.samples import BASE, MINUTE, TASKS, Again, Spec, again, moving, pick, specs
from tests.fold.world import ORDER, Meanwhile, World


class Told(NamedTuple):
    """A message of events to append."""

    events: Sequence[Spec | Again]
    received: int


class Passed(NamedTuple):
    """A clock message to append: its policy, and the time."""

    policy: tuple[int, Mapping[str, int]]
    at: int


POLICIES = (
    (MINUTE // 2, {}),
    (0, {}),
    (10 * MINUTE, {"w": MINUTE // 2}),
    (MINUTE // 2, {"w": 10 * MINUTE, "v": MINUTE}),
)

MOMENTS = tuple(BASE + n * MINUTE // 2 for n in range(9))
"""Of messages and clocks. They may go backwards: producers' clocks differ."""
LINES = (100, 0, 1, 2, 3, 4, 5, 6, 8, 10)

told = st.builds(Told, st.lists(moving | moving | specs | again, min_size=1, max_size=4), st.sampled_from(MOMENTS))
passed = pick(POLICIES, MOMENTS).map(lambda one: Passed(*one))
growth = st.lists(told | passed, min_size=1, max_size=5)
batches = st.integers(1, 4)
lines = st.sampled_from(LINES)
back = st.sampled_from((0, 0, 1, 2, 5))
others = st.integers(0, 1)
meanwhile = st.lists(
    st.just(Meanwhile()) | pick(range(4), LINES, range(2)).map(lambda one: Meanwhile(*one)), max_size=7
)
"""What others do before the first, the second, ... load of a fold."""


class Schedules(RuleBasedStateMachine):
    """Random schedules of one partition. Mutants replace the class attributes."""

    fold_class: type[PartitionFold] = PartitionFold
    order: Sequence[str] = ORDER
    most: int = TASK_EVENTS

    @initialize(keep=st.sampled_from((1, 2, 100)), grown=growth)
    def begin(self, keep, grown):
        self.world = World(keep, self.fold_class, self.order, self.most)
        self.log_grows(grown)

    @rule(grown=growth)
    def log_grows(self, grown):
        for message in grown:
            if isinstance(message, Told):
                self.world.append(*message.events, received=message.received)
            else:
                self.world.tick(message.at, *message.policy)

    @rule(tasks=st.sets(st.sampled_from((*TASKS, "nobody"))), windows=st.integers(0, 3))
    def repair_is_asked_for(self, tasks, windows):
        self.world.repair(sorted(tasks), lambda n: bool(windows & (1 + n % 2)))

    @rule(messages=batches, meanwhile=meanwhile, lines=lines)
    def owner_works(self, messages, meanwhile, lines):
        self.world.fold(messages, meanwhile)
        self.world.write(lines)

    @rule(messages=batches, meanwhile=meanwhile, lines=lines, which=others)
    def former_owner_works(self, messages, meanwhile, lines, which):
        self.world.zombie_fold(messages, which, meanwhile)
        self.world.zombie_write(lines, which)

    @rule(grown=growth, unwritten=batches, lines=lines, back=back, messages=batches, meanwhile=meanwhile)
    def another_takes_over(self, grown, unwritten, lines, back, messages, meanwhile):
        self.log_grows(grown)
        self.world.fold(unwritten)
        self.world.write(lines)
        self.world.rebalance(back)
        self.world.fold(messages, meanwhile)

    @rule(back=back)
    def owner_crashes(self, back):
        self.world.crash(back)

    @rule(loads=st.integers(0, 4))
    def load_fails(self, loads):
        self.world.fold(2, [Meanwhile()] * loads + [Meanwhile(fails=True)])

    def teardown(self):
        if hasattr(self, "world"):
            self.world.finish()


class Crowded(Schedules):
    """The same, where a task has room for few events."""

    most = 3


SPOILT = ({"actions": 99, "events": 99}, {"case_type": "spoilt"}, {"claim_at": BASE + 9 * MINUTE}, {"verdict_seen": 1})
"""What of a task's row its raw events and their envelopes tell."""


class Damage(Schedules):
    """The same, while rows become wrong behind the owner's back: a repair of everything makes them right."""

    @rule(task=st.sampled_from(TASKS), how=st.sampled_from(SPOILT))
    def task_is_spoilt(self, task, how):
        self.world.spoil_task(task, how)

    @rule(which=st.integers(0, 5), model=st.sampled_from((None, None, "imagined")))
    def window_is_spoilt(self, which, model):
        self.world.spoil_window(which, model)

    @rule(which=st.integers(0, 9))
    def event_is_counted_twice(self, which):
        self.world.count_twice(which)
