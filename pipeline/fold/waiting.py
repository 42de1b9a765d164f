"""Which open tasks a clock must look at: those that have been silent for as long as their workflow may be.

A workflow's patience is the clock's to say, so tasks are in the order of when they were last seen, by workflow:
that is the order of their deadlines under any policy. When a task was last seen may be out of date here; then it is
too early, and the task is looked at once in vain.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable

from pipeline.fold.message import Clock
from schemas.rows import TaskRow
from sinks.port import OpenTasks

LEFT = 1_000
"""Tasks that were watched and are not open any more are forgotten when they are more than this, and than the others."""


class Waiting:
    """The open tasks of a partition: those whose rows are still in the store only, and those that were held since.

    Of the former there is no more than the id and the time, about 100 bytes. Once such a task is held, its place here
    is of no use and stays until its turn.
    """

    def __init__(self, stored: Iterable[OpenTasks] = ()) -> None:
        self._stored = {some.workflow: (array("q", some.last_seen), some.task_ids) for some in stored}
        self._held: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        self._places: dict[str, str] = {}  # of held tasks, the workflow under which each is watched
        self._left = 0  # places in `_held` of no use, at most

    def __len__(self) -> int:
        """How many places there are, also those of no use."""
        return sum(len(seen) for seen, _ in self._stored.values()) + sum(map(len, self._held.values()))

    def take_stored(self, clock: Clock) -> list[str]:
        """Take out the tasks in the store whose time has come; some may be held by now."""
        due: list[str] = []
        for workflow, (seen, task_ids) in self._stored.items():
            end = bisect_right(seen, clock.silent_since(workflow))
            due += task_ids[:end]
            del seen[:end], task_ids[:end]
        return due

    def watch(self, row: TaskRow) -> None:
        """Look at a held task when its time has come. What was noted of its workflow before is not later."""
        task_id, workflow = row.task_id, row.workflow
        if self._places.get(task_id) != workflow:
            self._places[task_id] = workflow
            heapq.heappush(self._held[workflow], (row.last_seen, task_id))

    def leave(self, task_id: str) -> None:
        """A held task is not open any more."""
        if self._places.pop(task_id, None) is not None:
            self._left += 1
            if self._left > LEFT and self._left > len(self._places):
                self._clear_up()

    def _clear_up(self) -> None:
        for workflow, heap in list(self._held.items()):
            kept = {task_id: seen for seen, task_id in heap if self._places.get(task_id) == workflow}
            self._held[workflow] = [(seen, task_id) for task_id, seen in kept.items()]
            heapq.heapify(self._held[workflow])
        self._left = 0

    def take_held(self, clock: Clock) -> list[str]:
        """Take out the watched tasks whose time may have come; some may not be open, or held, any more."""
        due: list[str] = []
        for workflow, heap in self._held.items():
            since = clock.silent_since(workflow)
            while heap and heap[0][0] <= since:
                _, task_id = heapq.heappop(heap)
                if self._places.get(task_id) == workflow:
                    del self._places[task_id]
                    due.append(task_id)
        return due
