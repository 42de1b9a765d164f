"""What a partition's log adds up to, computed from the whole log in the plainest way.

The other side of every comparison with the fold, so it shares none of its code: no increments, no
evidence, no order of loading. Each fact is read off the list of a task's distinct events.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from schemas.event import FORWARDED, Event, forwarded
from schemas.message import encode_line
from schemas.rows import WindowKey
from schemas.units import bucket
from tests.fold import reference_tree as tree
from tests.fold.reference_windows import DIMENSIONS, TOKENS, Row

ACTION_KINDS = {"model_call", "tool_call", "retrieval", "embedding", "guardrail"}
ROLLUP_KINDS = {"agent_run", "workflow_run"}
SPAN_KINDS = ACTION_KINDS | ROLLUP_KINDS | {"step", "setup", "other"}


@dataclass(frozen=True)
class Tick:
    """A clock event with the policy of its moment, microseconds."""

    at: int
    abandon_after: int
    by_workflow: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """A message of the log; `received` is its Kafka timestamp in microseconds."""

    offset: int
    received: int
    events: Sequence[Event] = ()
    tick: Tick | None = None
    repair: tuple[Sequence[str], Sequence[WindowKey]] = ((), ())
    """The tasks and windows that are to be recomputed."""


def position(entry: Entry, index: int) -> int:
    """The seq of an event of a message; its clock comes after its events."""
    return entry.offset * 4096 + index


class Tasks:
    """The tasks of a log, up to a seq where one is given."""

    def __init__(self, log: Iterable[Entry], upto: int | None = None, most: int = 10**9) -> None:
        self._histories: dict[str, _History] = {}
        self._about_nobody: dict[tuple[str, int], tuple[int, Event]] = {}
        for entry in log:
            for index, event in enumerate(entry.events):
                seq = position(entry, index)
                if not event.task_id:
                    self._about_nobody.setdefault(("", event.hash), (seq, event))
                elif upto is None or seq <= upto:
                    self._histories.setdefault(event.task_id, _History(most)).take(seq, entry.received, event)
            seq = position(entry, len(entry.events))
            if entry.tick is not None and (upto is None or seq <= upto):
                for history in self._histories.values():
                    history.tick(seq, entry.tick, entry.received)
            for task_id in set(entry.repair[0]) & self._histories.keys():
                if upto is None or seq <= upto:
                    self._histories[task_id].seq = seq

    def rows(self) -> dict[str, Row]:
        """Task id -> its row."""
        return {task_id: history.row(task_id) for task_id, history in self._histories.items()}

    def events(self) -> dict[tuple[str, int], tuple[int, Event]]:
        """Task id and hash -> the first occurrence of an event and its seq; not of those that were passed on."""
        return self._about_nobody | {
            (task_id, event.hash): (seq, event)
            for task_id, history in self._histories.items()
            for seq, event in zip(history.seqs, history.events, strict=True)
        }

    def surplus(self) -> dict[tuple[int, int], int]:
        """Offset and index -> how many events, from there on in the message, their task had no room for.

        Those before and after an event that it had room for are told apart.
        """
        found: dict[tuple[int, int], int] = {}
        for history in self._histories.values():
            for (_, offset), seqs in groupby(history.surplus, lambda one: (one[0], one[1] // 4096)):
                told = [seq for _, seq in seqs]
                found[offset, told[0] % 4096] = len(told)
        return found

    def forwards(self) -> set[bytes]:
        """The events, encoded, that went on to another task."""
        return {
            encode_line(forwarded(event, history.linked_to))
            for history in self._histories.values()
            for event in history.sent_on
        }


class _History:
    """One task's distinct events, in the order of the log."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.surplus: list[tuple[int, int]] = []
        self.seq = -1
        self.seqs: list[int] = []
        self.events: list[Event] = []
        self.seen: list[int] = []
        self.received: dict[int, int] = {}
        self.given_up = False
        self.given_up_seen = 0
        self.linked_to = ""
        self.sent_on: list[Event] = []
        self.passed_on = 0

    def take(self, seq: int, received: int, event: Event) -> None:
        if self.linked_to and _may_go_on(event):
            self.seq = seq
            self.passed_on += 1
            self.sent_on.append(event)
            return
        if any(known.hash == event.hash for known in self.events):
            return
        if len(self.events) >= self.most * (1 if event.kind in SPAN_KINDS and not event.root else 2):
            self.surplus.append((len(self.events), seq))
            return
        self.seq = seq
        if event.kind == "link" and not self.linked_to:
            self.linked_to = event.value
            self.sent_on += [e for e in self.events if _is_of_a_trace(e) and _may_go_on(e)]
        self.seqs.append(seq)
        self.events.append(event)
        self.received[event.hash] = received
        if _is_work(event):
            self.seen.append(received)
            self.given_up = False

    def tick(self, seq: int, tick: Tick, received: int) -> None:
        if self.status() != "open":
            return
        patience = tick.by_workflow.get(self.dimension("workflow"), tick.abandon_after)
        if max(self.seen) + patience <= tick.at:
            self.given_up, self.seq, self.given_up_seen = True, seq, received

    # --- lists of events -------------------------------------------------------------------------

    def of(self, *kinds: str) -> list[Event]:
        return [e for e in self.events if e.kind in kinds]

    def work(self) -> list[Event]:
        return [e for e in self.events if _is_work(e)]

    def claims(self) -> list[Event]:
        return [e for e in self.events if e.root or e.kind == "claim"]

    def calls(self, *kinds: str) -> list[Event]:
        """Actions, without those that another span tells already."""
        repeated = tree.repeated(self.of(*SPAN_KINDS))
        return [e for e in self.of(*kinds) if e.hash not in repeated]

    # --- what they add up to ---------------------------------------------------------------------

    def status(self) -> str:
        if self.linked_to:
            return "linked"
        if not any(e.kind != "other" or e.task_source != "trace" or e.explicit for e in self.work()):
            return "announced"
        if self.claims():
            return "finished"
        return "abandoned" if self.given_up else "open"

    def dimension(self, name: str) -> str:
        def telling(e: Event) -> tuple[int, int, int]:
            level = 3 if e.root else 2 if e.kind in ROLLUP_KINDS else 1 if e.kind in SPAN_KINDS else 0
            return level, -e.at, e.hash

        told = [e for e in self.work() if getattr(e, name)]
        return str(getattr(max(told, key=telling), name)) if told else ""

    def row(self, task_id: str) -> Row:
        work, spans, actions = self.work(), self.of(*SPAN_KINDS), self.calls(*ACTION_KINDS)
        sources = {e.task_source for e in self.events}
        row: Row = {
            "partition": 0,
            "epoch": 0,
            "task_id": task_id,
            "seq": self.seq,
            "status": self.status(),
            "task_source": min(sources - {"trace", ""}, default="trace" if "trace" in sources else ""),
            **{name: self.dimension(name) for name in DIMENSIONS},
            "start_at": min((e.start for e in spans), default=0),
            "last_at": max((e.at for e in work), default=0),
            "last_seen": max(self.seen, default=0),
            "events": len(self.events),
            "actions": len(actions),
            "action_errors": len([e for e in actions if e.error_type]),
            "latency_us": dict(Counter(bucket(e.at - e.start) for e in actions)),
            "trace_ids": sorted({e.trace_id for e in work if e.trace_id}),
            "given_up_seen": self.given_up_seen,
            "linked_to": self.linked_to,
            "passed_on": self.passed_on,
        }
        return row | self._calls() | self._costs() | self._outcome() | self._people()

    def _calls(self) -> Row:
        tools, calls, users = self.calls("tool_call"), self.calls("model_call"), self.calls("model_call", "embedding")
        silent = [e for e in users if e.input_tokens is None and e.output_tokens is None]
        used_nothing = [e for e in silent if e.error_type]
        runs = [e for e in self.of("agent_run") if e.scope == "autogen-core"]
        return {
            "model_calls": len(calls),
            "tool_calls": len(tools),
            "tool_errors": len([e for e in tools if e.error_type]),
            "usage_known": len([e for e in calls if e not in silent or e in used_nothing]),
            "unpriced": len([e for e in users if e.cost is None and e not in used_nothing]),
            **{name: sum(getattr(e, name) or 0 for e in users) for name in TOKENS},
            "untold_runs": len(runs),
            "untold_successes": len([e for e in runs if not e.error_type]),
        }

    def _costs(self) -> Row:
        roots = [e for e in self.of(*SPAN_KINDS) if e.root and e.cost is not None]
        once = {e.hash for e in self.calls(*ACTION_KINDS)}
        spent: dict[str, list[int]] = {}
        for e in self.of("tool_call", "step", "other"):
            if e.cost is not None and not e.root:
                spent.setdefault("tool", []).append(e.cost if e.kind != "tool_call" or e.hash in once else 0)
        for e in self.of("intervention"):
            if e.cost is not None:
                spent.setdefault("human", []).append(e.cost)
            elif e.number is not None and e.number > 0:
                spent["unpriced"] = [0]
        for e in self.of("cost"):
            spent.setdefault(e.name, []).append(e.cost or 0)
        steps = self.calls("model_call", "embedding", "retrieval", "guardrail")
        return {
            "root_cost": max(roots, key=_stated_last).cost if roots else None,
            "step_cost": sum(e.cost or 0 for e in steps if not e.root),
            "costs": {category: sum(each) for category, each in spent.items()},
        }

    def _outcome(self) -> Row:
        claim = max(self.claims(), key=_stated_last, default=None)
        verdict = max(self.of("verdict"), key=_last, default=None)
        stated = claim is not None and claim.explicit
        failed = not stated and tree.failed(self.of(*SPAN_KINDS))
        said = "" if claim is None else claim.value if stated else "failure" if failed else "success"
        return {
            "claim": said,
            "claim_at": claim.at if claim else 0,
            "claim_explicit": claim.explicit if claim else 0,
            "claim_seen": self.received[claim.hash] if claim else 0,
            "run_failed": int(failed),
            "verdict": verdict.value if verdict else "",
            "verdict_at": verdict.at if verdict else 0,
            "verifier": verdict.name if verdict else "",
            "weight": verdict.weight if verdict else 0,
            "verdict_seen": self.received[verdict.hash] if verdict else 0,
        }

    def _people(self) -> Row:
        answers, interventions = self.of("feedback"), self.of("intervention")
        satisfied = [e for e in answers if e.number is not None]
        scored = sorted((e for e in self.of("score") if e.number is not None), key=_last)
        return {
            "interventions": dict(Counter(e.name for e in interventions)),
            "intervened_seen": self.received[interventions[-1].hash] if interventions else 0,
            "answered_seen": self.received[answers[-1].hash] if answers else 0,
            "human_us": sum(e.number or 0 for e in interventions),
            "answered": int(bool(answers)),
            "complaint": int(any(e.flag for e in answers)),
            "satisfaction": max(satisfied, key=_last).number if satisfied else None,
            "scores": {e.name: e.number for e in scored},
        }


def _may_go_on(e: Event) -> bool:
    """Whether an event goes on to the task that its trace is linked to: links do not, nor what came that way."""
    return e.kind != "link" and FORWARDED not in e.attributes


def _is_of_a_trace(e: Event) -> bool:
    """Whether an event names its trace alone, or as its task what can be one: 32 hexadecimal digits."""
    return e.task_source == "trace" or re.fullmatch("[0-9a-f]{32}", e.task_id) is not None


def _is_work(e: Event) -> bool:
    return bool(e.root) or e.kind in SPAN_KINDS - {"setup"} | {"claim", "intervention"}


def _last(e: Event) -> tuple[int, int]:
    return e.at, e.hash


def _stated_last(e: Event) -> tuple[int, int, int]:
    """A stated claim beats one that was read off a status."""
    return e.explicit, e.at, e.hash
