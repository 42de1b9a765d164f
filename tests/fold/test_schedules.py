"""The fold under crashes, replays, stale owners and duplicates: its rows are always those of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from pipeline.fold.partition import PartitionFold
from sinks.port import WRITE_ORDER
from tests.fold.samples import BASE, MINUTE, Again, Spec, again, moving, specs, without_task
from tests.fold.world import Meanwhile, World


class Told(NamedTuple):
    """A message of events to append."""

    events: Sequence[Spec | Again]
    received: int


class Passed(NamedTuple):
    """A clock message to append."""

    at: int
    abandon_after: int
    by_workflow: Mapping[str, int]


POLICIES = (
    (MINUTE // 2, {}),
    (0, {}),
    (10 * MINUTE, {"w": MINUTE // 2}),
    (MINUTE // 2, {"w": 10 * MINUTE, "v": MINUTE}),
)

moments = st.integers(0, 8).map(lambda n: BASE + n * MINUTE // 2)
"""Of messages and clocks. They may go backwards: producers' clocks differ."""
told = st.builds(Told, st.lists(moving | specs | again | without_task, min_size=1, max_size=4), moments)
passed = st.builds(lambda at, policy: Passed(at, *policy), moments, st.sampled_from(POLICIES))
messages = told | passed
few = st.integers(1, 4)
lines = st.sampled_from((1, 2, 3, 5, 8, 100))
back = st.integers(0, 6)
meanwhile = st.lists(
    st.just(Meanwhile()) | st.builds(Meanwhile, fold=st.integers(0, 3), write=st.just(0) | lines, which=st.integers(0, 1)),
    max_size=5,
)


class Schedules(RuleBasedStateMachine):
    """Random schedules of one partition. Mutants replace the class attributes."""

    fold_class: type[PartitionFold] = PartitionFold
    order: Sequence[str] = WRITE_ORDER

    @initialize(keep=st.sampled_from((1, 2, 100)), messages=st.lists(messages, max_size=8))
    def begin(self, keep, messages):
        self.world = World(keep, self.fold_class, self.order)
        for message in messages:
            self.append(message)

    def append(self, message):
        if isinstance(message, Told):
            self.world.append(*message.events, received=message.received)
        else:
            self.world.tick(*message)

    @rule(messages=st.lists(messages, min_size=1, max_size=3))
    def log_grows(self, messages):
        for message in messages:
            self.append(message)

    @rule(messages=few, meanwhile=meanwhile)
    def fold(self, messages, meanwhile):
        self.world.fold(messages, meanwhile)

    @rule(lines=lines)
    def write(self, lines):
        self.world.write(lines)

    @rule(back=back)
    def crash(self, back):
        self.world.crash(back)

    @rule(back=back, messages=few, meanwhile=meanwhile)
    def rebalance(self, back, messages, meanwhile):
        self.world.rebalance(back)
        self.world.fold(messages, meanwhile)

    @rule(messages=few, which=st.integers(0, 1), meanwhile=meanwhile)
    def zombie_fold(self, messages, which, meanwhile):
        self.world.zombie_fold(messages, which, meanwhile)

    @rule(lines=lines, which=st.integers(0, 1))
    def zombie_write(self, lines, which):
        self.world.zombie_write(lines, which)

    @rule(loads=st.integers(0, 4))
    def load_fails(self, loads):
        self.world.fold(2, [Meanwhile()] * loads + [Meanwhile(fails=True)])

    def teardown(self):
        if hasattr(self, "world"):
            self.world.finish()
