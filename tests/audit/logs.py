"""Random logs of a partition: every kind of event, resent, corrected, late, about nobody, given up."""

from __future__ import annotations

import random
from typing import Any

from pipeline.fold.partition import Clock, Message
from schemas.event import Event, encode_line, event_hash
from schemas.units import MICRO, MINUTE_US
from schemas.words import ACTIONS, CostCategory, Intervention, Kind, Outcome, Verdict

BEGIN = 1_700_000_040 * MICRO
"""The start of a minute."""
LENGTH = 6 * MINUTE_US
"""In which the work of a log lies."""

_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_NUMBERS = (*_TOKENS, "cost", "number", "flag")
_SPANS = (*sorted(ACTIONS), Kind.AGENT_RUN, Kind.WORKFLOW_RUN, Kind.STEP, Kind.OTHER)
_LEARNT = (Kind.CLAIM, Kind.VERDICT, Kind.INTERVENTION, Kind.FEEDBACK, Kind.COST, Kind.OUTCOME, Kind.SCORE)


def event(event_id: str, kind: str, at: int = BEGIN, **told: Any) -> Event:
    """An event of which only this is told."""
    values: dict[str, Any] = dict.fromkeys(Event.__struct_fields__, "") | dict.fromkeys(_NUMBERS)
    values |= {"root": 0, "explicit": 0, "weight": 0, "attributes": {}, "task_source": "trace"}
    values |= {"hash": event_hash(event_id), "event_id": event_id, "kind": str(kind), "at": at, "start": at}
    return Event(**values | {"task_id": "task", "workflow": "w", "stage": "production"} | told)


class Log:
    """A log that grows by random messages. The same seed makes the same log."""

    def __init__(self, seed: int, tasks: int = 12) -> None:
        self._random = random.Random(seed)  # noqa: S311  (not for secrets)
        self._prefix = f"{seed}-"
        self._tasks = [f"task-{n}" for n in range(tasks)]
        self._events: list[Event] = []
        self.messages: list[Message] = []

    def grow(self, messages: int, events: int = 6) -> list[Message]:
        """So many more messages, of at most so many events."""
        new = [self._message(events) for _ in range(messages)]
        return new

    def end(self) -> list[Message]:
        """A clock that gives up whatever is open."""
        return [self._add((), clock=Clock(BEGIN + 100 * LENGTH, 0))]

    def _message(self, events: int) -> Message:
        chance = self._random.random()
        if chance < 0.1:
            policy = {"v": self._random.randrange(LENGTH)} if chance < 0.05 else {}
            return self._add((), clock=Clock(self._time(), LENGTH // 3, policy))
        if chance < 0.13:
            return self._add((), dead=1)
        return self._add([self._event() for _ in range(self._random.randint(1, events))])

    def _add(self, events: Any, clock: Clock | None = None, dead: int = 0) -> Message:
        lines = [(one, encode_line(one)) for one in events]
        self.messages.append(Message(len(self.messages), self._time(), lines, clock, dead))
        return self.messages[-1]

    def _event(self) -> Event:
        if self._events and self._random.random() < 0.15:
            return self._random.choice(self._events)
        event_id = f"{self._prefix}{len(self._events)}"
        if self._events and self._random.random() < 0.03:
            event_id = self._random.choice(self._events).event_id
        made = self._span(event_id) if self._random.random() < 0.6 else self._learnt(event_id)
        self._events.append(made)
        return made

    def _span(self, event_id: str) -> Event:
        pick, at, kind = self._random.choice, self._time(), pick_kind(self._random, _SPANS)
        told = self._dimensions() | {"trace_id": pick(("", "trace-1", "trace-2"))}
        told["start"] = at - pick((0, 1, 127, 128, 129, 1 << 20, self._random.randrange(1 << 42)))
        told |= {name: pick((None, 0, 7, 1_000_003)) for name in _TOKENS}
        told |= {"cost": pick((None, 0, 11, 2_000_000_007)), "error_type": pick(("", "", "timeout"))}
        if self._random.random() < 0.2:
            told |= {"root": 1, "value": pick(list(Outcome)), "explicit": pick((0, 0, 1))}
        return event(event_id, kind, at, **told)

    def _learnt(self, event_id: str) -> Event:
        pick, kind = self._random.choice, pick_kind(self._random, _LEARNT)
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

    def _dimensions(self) -> dict[str, str]:
        pick = self._random.choice
        return {
            "task_id": pick(self._tasks),
            "task_source": pick(("trace", "trace", "attribute", "metadata.task_id")),
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


def pick_kind(chance: random.Random, kinds: tuple[str, ...]) -> str:
    """One of these kinds, as plain text."""
    return str(chance.choice(kinds))
