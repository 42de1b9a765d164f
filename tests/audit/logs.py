"""Random logs of a partition: every kind of event, resent, corrected, late, told twice, about nobody, given up."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from pipeline.fold.message import Clock, Message
from pipeline.fold.tree import NATIVE_SCOPES, UNTOLD_SCOPES
from schemas.event import BY_TRACE, Event, event_hash
from schemas.units import MICRO, MINUTE_US
from schemas.words import ACTIONS, CostCategory, Intervention, Kind, Outcome, Verdict
from tests.events import message

BEGIN = 1_700_000_040 * MICRO
"""The start of a minute."""
ELSEWHERE = "elsewhere"
"""The task that every linked trace turns out to belong to."""
LENGTH = 6 * MINUTE_US
"""In which the work of a log lies."""

_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_NUMBERS = (*_TOKENS, "cost", "number", "flag")
_CALLS = (Kind.MODEL_CALL, Kind.TOOL_CALL)
_FRAMES = (Kind.AGENT_RUN, Kind.WORKFLOW_RUN, Kind.STEP, Kind.OTHER)
_SPANS = (*sorted(ACTIONS), *_CALLS, *_FRAMES, *_FRAMES, Kind.SETUP)
_LEARNT = (Kind.CLAIM, Kind.VERDICT, Kind.INTERVENTION, Kind.FEEDBACK, Kind.COST, Kind.OUTCOME, Kind.SCORE)
_SCOPES = ("", "one", "other", *sorted(NATIVE_SCOPES), *sorted(UNTOLD_SCOPES))


def event(event_id: str, kind: str, at: int = BEGIN, **told: Any) -> Event:
    """An event of which only this is told."""
    values: dict[str, Any] = dict.fromkeys(Event.__struct_fields__, "") | dict.fromkeys(_NUMBERS)
    values |= {"root": 0, "explicit": 0, "weight": 0, "attributes": {}, "task_source": "attribute"}
    values |= {"hash": event_hash(event_id), "event_id": event_id, "kind": Kind(kind), "at": at, "start": at}
    return Event(**values | {"task_id": "task", "workflow": "w", "stage": "production"} | told)


class Log:
    """A log that grows by random messages. The same seed makes the same log."""

    def __init__(self, seed: int, tasks: int = 12, spans: float = 0.7) -> None:
        """`spans`: their share among the events. Some of the tasks have many events, and some have few.

        The names of half of them could be those of traces.
        """
        self._spans_share = spans
        self._random = random.Random(seed)  # noqa: S311  (not for secrets)
        self._prefix = f"{seed}-"
        self._tasks = [f"task-{n}" if n % 2 else f"{n:032x}" for n in range(tasks)]
        self._events: list[Event] = []
        self._spans: dict[tuple[str, str], list[str]] = {}
        self.messages: list[Message] = []

    def grow(self, messages: int, events: int = 6) -> list[Message]:
        """So many more messages, of at most so many events."""
        return [self._message(events) for _ in range(messages)]

    def end(self) -> list[Message]:
        """A clock that gives up whatever is open."""
        return [self.add((), clock=Clock(BEGIN + 100 * LENGTH, 0))]

    def add(self, events: Iterable[Event], clock: Clock | None = None, dead: int = 0) -> Message:
        """A message with these events."""
        self.messages.append(message(len(self.messages), self._time(), list(events), clock=clock, dead=dead))
        return self.messages[-1]

    def _message(self, events: int) -> Message:
        chance = self._random.random()
        if chance < 0.1:
            policy = {"v": self._random.randrange(LENGTH)} if chance < 0.05 else {}
            return self.add((), clock=Clock(self._time(), LENGTH // 3, policy))
        if chance < 0.13:
            return self.add((), dead=1)
        return self.add([self._event() for _ in range(self._random.randint(1, events))])

    def _event(self) -> Event:
        chance = self._random.random()
        if self._events and chance < 0.15:
            return self._random.choice(self._events)
        if self._events and chance < 0.18:  # the same id says something else
            return self._learnt(self._random.choice(self._events).event_id)
        event_id = f"{self._prefix}{len(self._events)}"
        if chance < 0.19:
            told = {"task_id": self._random.choice(self._tasks), "task_source": BY_TRACE, "value": ELSEWHERE}
            made = event(event_id, Kind.LINK, self._time(), **told)
        else:
            made = self._span(event_id) if self._random.random() < self._spans_share else self._learnt(event_id)
        self._events.append(made)
        return made

    def _span(self, span_id: str) -> Event:
        pick, at, kind = self._random.choice, self._time(), self._random.choice(_SPANS)
        trace_id = pick(("", "trace-1", "trace-2"))
        told = self._dimensions() | {"trace_id": trace_id, "span_id": span_id}
        known = self._spans.setdefault((told["task_id"], trace_id), [])
        known.append(span_id)
        told["parent_id"] = pick(("", *known[-8:], f"{self._prefix}{len(self._events) + 3}"))
        told["start"] = at - pick((0, 1, 127, 128, 129, 1 << 20, 1 << 27, self._random.randrange(1 << 42)))
        told |= {name: pick((None, None, 0, 7, 1_000_003)) for name in _TOKENS}
        told |= {"cost": pick((None, 0, 11, 2_000_000_007)), "error_type": pick(("", "", "timeout"))}
        told |= {"scope": pick(_SCOPES), "response_id": pick(("", "answer-1", "answer-2"))}
        if kind == Kind.TOOL_CALL:
            told["name"] = pick(("find", "server.find", "a.b.find", "look", ""))
        if self._random.random() < 0.2:
            told |= {"root": 1, "value": pick(list(Outcome)), "explicit": pick((0, 0, 0, 1))}
        return event(f"{trace_id}:{span_id}", kind, at, **told)

    def _learnt(self, event_id: str) -> Event:
        pick, kind = self._random.choice, self._random.choice(_LEARNT)
        told = self._dimensions()
        match kind:
            case Kind.CLAIM:
                told |= {"value": pick(list(Outcome)), "explicit": 1, "root": 1}
            case Kind.VERDICT:
                told |= {"value": pick(list(Verdict)), "name": pick(("qa", "customer"))}
                told["weight"] = pick((1_000_000, 3_333_333, 10_000_000_000))
            case Kind.INTERVENTION:
                told |= {"name": pick(list(Intervention)), "number": pick((None, 0, 90 * MICRO))}
                told["cost"] = pick((None, 0, 41))
            case Kind.FEEDBACK:
                told |= {"number": pick((None, 0, 900_000)), "flag": pick((None, 0, 1))}
            case Kind.COST:
                told |= {"name": pick(list(CostCategory)), "cost": pick((0, 53))}
            case Kind.OUTCOME:
                told |= {"name": "refunded", "number": 3 * MICRO}
            case Kind.SCORE:
                told |= {"name": pick(("judge", "rüles 'x'")), "number": pick((None, 0, -5, 700_000))}
        if kind in (Kind.COST, Kind.OUTCOME) and self._random.random() < 0.2:
            told |= {"task_id": "", "task_source": ""}
        return event(event_id, kind, self._time(), **told)

    def _dimensions(self) -> dict[str, Any]:
        pick = self._random.choice
        return {
            "task_id": self._tasks[int(len(self._tasks) * self._random.random() ** 2)],
            "task_source": pick((BY_TRACE, BY_TRACE, BY_TRACE, "attribute", "work.item")),
            "tenant": pick(("", "acme")),
            "workflow": pick(("w", "v")),
            "stage": pick(("production", "pilot")),
            "environment": pick(("", "live")),
            "agent": pick(("", "bot", 'bot "2"\\n')),
            "agent_version": pick(("", "1.0")),
            "case_type": pick(("", "", "refund")),
            "model": pick(("", "m", "n")),
        }

    def _time(self) -> int:
        """Few times and many, so that events meet in a minute and tie in a rank."""
        return BEGIN + self._random.choice((0, MINUTE_US - 1, MINUTE_US, self._random.randrange(LENGTH)))
