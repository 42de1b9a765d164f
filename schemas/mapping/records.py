"""From decoded OTLP records to canonical events, or to a reason why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import msgspec
import xxhash
from pydantic import ValidationError

from schemas.contract import EVENTS, EvaluationResult, TaskSpan
from schemas.described import described, is_hexadecimal, is_name
from schemas.event import BY_TRACE, TIME_END, Event, event_hash
from schemas.mapping import learnt
from schemas.mapping.failure import ending
from schemas.mapping.judged import annotator_of, carries, judged
from schemas.mapping.profile import profile
from schemas.mapping.reader import Fields, Reader, classify
from schemas.mapping.table import EVALUATOR
from schemas.mapping.values import Ignored, Rejected, is_id, text_of
from schemas.otlp import LogRecord, Malformed, Record, Source, SpanRecord
from schemas.prices import Usage
from schemas.units import MINUTE_US, NANO
from schemas.words import ACTIONS, Kind, Outcome, Reason, Stage

DAY_US = 86_400_000_000
IGNORED = "trueup.ignored"
"""The attribute of an event that names what was told and could not be used."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one record may hold. Each is a named limit of the configuration (`limits.*`)."""

    attributes: int = 20_000
    """Attributes of a record."""
    text_bytes: int = 1_024
    """UTF-8 bytes of an id, a name or a dimension."""
    oldest_days: int = 400
    """How long before its Kafka timestamp an event may have happened."""
    future_minutes: int = 60
    """How long after its Kafka timestamp an event may have happened: clocks differ."""
    cost_usd: int = 1_000_000
    """One cost. A window holds 2^64 nano-dollars: 18,446 costs of a million dollars, in one minute of one group."""
    tokens: int = 1_000_000_000
    """Of one call; more is not told. A window holds 2^64: 18 billion calls of a billion tokens."""


class Price(NamedTuple):
    """What a call cost, by a price list."""

    nano: int
    """Nano-dollars."""
    agreed: bool
    """The user's own price, which beats what an instrumentation reckons."""


class Prices(Protocol):
    """What a model call cost at the prices of its time (`at`, microseconds); None: not known."""

    def price(self, provider: str, model: str, at: int, usage: Usage) -> Price | None: ...


class NoPrices:
    """Knows no price: a cost that an agent does not report is unknown."""

    def price(self, provider: str, model: str, at: int, usage: Usage) -> Price | None:
        return None


class _Resource:
    """What the resource of records says. They come grouped by resource, so it is read once for many."""

    def __init__(self, reader: Reader, attributes: Mapping[str, Any], limit: int) -> None:
        self.attributes, self._limit = attributes, limit
        self._fields, self._names = reader.read(attributes)
        self._texts: dict[str, str] = {}

    def text(self, name: str) -> str:
        """The text of a field; empty where it is not told. Raises Rejected."""
        text = self._texts.get(name)
        if text is None:
            text = text_of(self._fields.get(name), self._names.get(name, name), self._limit)
            self._texts[name] = text
        return text


@dataclass
class Mapper:
    """Maps records by the user's aliases, allow-list, limits and prices. Pure: same record, same event."""

    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    allow: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)
    prices: Prices = field(default_factory=NoPrices)
    human_usd_per_hour: Mapping[str, float] = field(default_factory=dict)
    judging: learnt.Judging = field(default_factory=learnt.Judging)

    def __post_init__(self) -> None:
        self.reader = Reader(self.aliases)
        self._resource = _Resource(self.reader, {}, 0)

    def events(self, record: Record, received: int) -> list[Event]:
        """The events of a record that came in a message of time `received` (microseconds).

        Raises Rejected; never anything else.
        """
        if isinstance(record, Malformed):
            raise Rejected(Reason.NOT_OTLP, record.detail)
        if len(record.attributes) > self.limits.attributes:
            raise Rejected(
                Reason.LIMIT_EXCEEDED,
                f"{len(record.attributes)} attributes in a record; limits.attributes allows {self.limits.attributes}",
            )
        try:
            if isinstance(record, SpanRecord):
                return self._span(record, received)
            return self._log(record, received)
        except ValidationError as error:
            raise Rejected(Reason.INVALID_ATTRIBUTE, explain(error)) from None

    # --- spans -----------------------------------------------------------------------------------

    def _span(self, s: SpanRecord, received: int) -> list[Event]:
        _require_id(s.trace_id, 32, "trace id")
        _require_id(s.span_id, 16, "span id")
        fields, names = self.reader.read(s.attributes)
        own = TaskSpan.model_validate(_own(fields)) if _OWN_SPAN & fields.keys() else _EMPTY_SPAN
        event = self._blank(f"{s.trace_id}:{s.span_id}", s.source, fields, names, s.trace_id)
        event.start, event.at = self._time(s.start_ns, received), self._time(s.end_ns or s.start_ns, received)
        event.span_id = s.span_id
        judged = self._judged(copy(event), s, fields) if carries(s) else []
        event.start = min(event.start, event.at)
        event.parent_id = _id_if_any(s.parent_id, 16, "parent's span id")
        event.kind = classify(fields)
        if event.kind == Kind.SETUP and not event.parent_id and fields.get("inference_kind") == EVALUATOR:
            return judged
        event.error_type, waits = ending(s, fields)
        if waits and event.kind == Kind.TOOL_CALL:
            event.kind = Kind.STEP  # the call is made when the run goes on
        event.case_type = own.task_type or ""
        self._usage(event, fields, own.cost)
        event.scope = s.source.scope[:256]
        if own.outcome is not None:
            event.root, event.value, event.explicit = 1, str(own.outcome), 1
        elif not event.parent_id and not waits and _speaks_for_its_trace(event):
            event.root, event.value = 1, str(Outcome.FAILURE if s.failed else Outcome.SUCCESS)
        event.attributes |= self._allowed(s.attributes)
        if event.root:
            _profile(event, s.attributes)
        return [event, *judged]

    def _judged(self, about: Event, s: SpanRecord, fields: Fields) -> list[Event]:
        ignored = Ignored()
        session = ignored.text(fields, "session", self.limits.text_bytes)
        about.start = about.at
        return judged(about, s, self.judging, session)

    def _usage(self, event: Event, fields: Fields, own_cost: int | None) -> None:
        ignored = Ignored()
        limit = self.limits.text_bytes
        model = ignored.text(fields, "response_model", limit) or ignored.text(fields, "request_model", limit)
        event.model = "" if model == "unknown" else model
        event.name = ignored.text(fields, "tool", limit) if event.kind == Kind.TOOL_CALL else event.model
        event.response_id = ignored.text(fields, "call_id" if event.kind == Kind.TOOL_CALL else "response_id", limit)
        tokens = self.limits.tokens
        event.input_tokens = ignored.count(fields, "input_tokens", tokens)
        event.output_tokens = ignored.count(fields, "output_tokens", tokens)
        event.cache_read_tokens = ignored.count(fields, "cache_read_tokens", tokens)
        event.cache_write_tokens = ignored.count(fields, "cache_write_tokens", tokens)
        event.reasoning_tokens = ignored.count(fields, "reasoning_tokens", tokens)
        if own_cost is not None:
            self._within_limit(own_cost, "trueup.cost.usd")
            event.cost, event.cost_source = own_cost, "reported"
        elif event.kind in _MODEL_USE:
            self._cost(event, fields, ignored)
        if ignored.names:
            event.attributes[IGNORED] = ",".join(sorted(ignored.names))

    def _cost(self, event: Event, fields: Fields, ignored: Ignored) -> None:
        """The user's own price, else the cost that the instrumentation tells, else the price of the list."""
        usage = {name: getattr(event, name) for name in _USAGE}
        if event.kind == Kind.EMBEDDING and event.output_tokens is None:
            usage["output_tokens"] = 0
        price = None
        if event.input_tokens is not None:
            provider = ignored.text(fields, "provider", self.limits.text_bytes)
            price = self.prices.price(provider, event.model, event.at, usage)
        most = self.limits.cost_usd * NANO
        told = ignored.cost(fields, "told_cost", most) if fields.get("told_currency", "USD") == "USD" else None
        if price is not None and price.nano > most:
            ignored.names.add("price")
            price = None
        if told is not None and not (price and price.agreed):
            event.cost, event.cost_source = told, "reported"
        elif price is not None:
            event.cost, event.cost_source = price.nano, "priced"

    # --- log records -----------------------------------------------------------------------------

    def _log(self, r: LogRecord, received: int) -> list[Event]:
        model = EVENTS.get(r.event_name)
        if model is None:
            if r.event_name.startswith("trueup."):
                name = repr(r.event_name) if is_name(r.event_name) else described(r.event_name)
                raise Rejected(Reason.UNKNOWN_EVENT, f"{name} is not one of {', '.join(EVENTS)}")
            return []  # somebody else's log line: not telemetry of tasks
        fields, names = self.reader.read(r.attributes)
        said = model.model_validate(r.attributes | self.reader.renamed(fields))
        trace_id, span_id = _id_if_any(r.trace_id, 32, "trace id"), _id_if_any(r.span_id, 16, "span id")
        event_id = text_of(fields.get("event_id"), "trueup.event.id", self.limits.text_bytes)
        event = self._blank(event_id, r.source, fields, names, trace_id)
        if not event_id:
            event.event_id = record_id(r, event)
            event.hash = event_hash(event.event_id)
        event.at = event.start = self._time(r.time_ns, received)
        event.span_id = span_id
        event.attributes |= self._allowed(r.attributes)
        if isinstance(said, EvaluationResult):
            annotator = annotator_of(said.annotator, r.source.scope, r.attributes)
            events = learnt.evaluation(event, said, self.judging, annotator)
        else:
            events = [learnt.fill(event, said, self.human_usd_per_hour)]
            self._within_limit(event.cost or 0, "what is charged")
        self._young(event.at, received)  # a cost counts at the end of its period
        return events

    # --- both ------------------------------------------------------------------------------------

    def _blank(self, event_id: str, source: Source, fields: Fields, names: Mapping[str, str], trace_id: str) -> Event:
        """An event with its identity, task and dimensions; what a record says itself beats its resource."""
        limit = self.limits.text_bytes
        if self._resource.attributes is not source.attributes:
            self._resource = _Resource(self.reader, source.attributes, limit)
        of_resource = self._resource.text

        def text(name: str) -> str:
            return text_of(fields[name], names[name], limit) if name in fields else of_resource(name)

        task_id, task_source = (
            text_of(fields.get("task_id"), "trueup.task.id", limit),
            names.get("task_id", ""),
        )
        if not task_id:
            task_id, task_source = trace_id, BY_TRACE
        service = text("service")
        return Event(
            hash=event_hash(event_id), kind=Kind.OTHER, task_id=task_id, task_source=task_source, event_id=event_id,
            at=0, start=0, tenant=text("tenant"), workflow=text("workflow") or service, stage=_stage(text("stage")),
            environment=text("environment"), agent=text("agent") or service,
            agent_version=text("agent_version") or text("service_version"), case_type="", model="",
            trace_id=trace_id, span_id="", parent_id="", root=0, name="", error_type="", input_tokens=None,
            output_tokens=None, cache_read_tokens=None, cache_write_tokens=None, reasoning_tokens=None,
            cost=None, cost_source="", value="", explicit=0, number=None, weight=0, flag=None, attributes={},
            scope="", response_id="",
        )  # fmt: skip

    def _time(self, nanoseconds: int, received: int) -> int:
        at = nanoseconds // 1_000
        self._young(at, received)
        ahead = self.limits.future_minutes
        if at > received + ahead * MINUTE_US:
            raise Rejected(
                Reason.TIME_OUT_OF_RANGE, f"{at} µs is more than limits.future_minutes ({ahead}) after its message"
            )
        if at >= TIME_END:
            raise Rejected(Reason.TIME_OUT_OF_RANGE, f"{at} µs is in 2106 or later, which no event can be")
        return at

    def _within_limit(self, nano: int, what: str) -> None:
        most = self.limits.cost_usd
        if nano > most * NANO:
            raise Rejected(
                Reason.LIMIT_EXCEEDED, f"{what} is {nano / NANO:.2f} USD; limits.cost_usd allows {most} for one cost"
            )

    def _young(self, at: int, received: int) -> None:
        days = self.limits.oldest_days
        if at < received - days * DAY_US:
            raise Rejected(
                Reason.TIME_OUT_OF_RANGE, f"{at} µs is more than limits.oldest_days ({days}) before its message"
            )
        if at < 0:
            raise Rejected(Reason.TIME_OUT_OF_RANGE, f"{at} µs is before 1970")

    def _allowed(self, attributes: Mapping[str, Any]) -> dict[str, str]:
        if not self.allow:
            return {}
        kept = {name: attributes[name] for name in self.allow if name in attributes}
        return {name: str(value)[: self.limits.text_bytes] for name, value in kept.items() if value is not None}


_MODEL_USE = frozenset({Kind.MODEL_CALL, Kind.EMBEDDING})
_USAGE = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_OWN_FIELDS = {"task_type": "trueup.task.type", "outcome": "trueup.task.outcome", "cost": "trueup.cost.usd"}
_OWN_SPAN = _OWN_FIELDS.keys()
_EMPTY_SPAN = TaskSpan.model_validate({})


def _speaks_for_its_trace(event: Event) -> bool:
    """A call alone is a step of a task that others name; only where a trace is all there is, it is the task."""
    if event.kind == Kind.MODEL_CALL:
        return event.task_source == BY_TRACE
    return event.kind not in ACTIONS and event.kind != Kind.SETUP


def _profile(event: Event, attributes: Mapping[str, Any]) -> None:
    """Keep what a root span tells of the task's input, and note that something of it is no name or number."""
    kept, is_all = profile(attributes)
    event.attributes |= kept
    if not is_all:
        ignored = event.attributes.get(IGNORED)
        event.attributes[IGNORED] = f"{ignored},input" if ignored else "input"


def _own(fields: Fields) -> dict[str, Any]:
    return {attribute: fields[name] for name, attribute in _OWN_FIELDS.items() if name in fields}


def _stage(value: str) -> str:
    try:
        return str(Stage(value)) if value else str(Stage.PRODUCTION)
    except ValueError:
        raise Rejected(
            Reason.INVALID_ATTRIBUTE, f"trueup.stage is {described(value)}; it is pilot, production or control"
        ) from None


def _require_id(value: str, digits: int, what: str) -> None:
    if not is_id(value, digits):
        told = f"{value!r:.80}" if is_hexadecimal(value) else described(value)
        raise Rejected(Reason.NO_IDENTITY, f"the {what} is {told}; {digits} hexadecimal digits are needed")


def _id_if_any(value: str, digits: int, what: str) -> str:
    """An id that may be absent. All zeros are OpenTelemetry's invalid id: there is none."""
    if not value.strip("0"):
        return ""
    _require_id(value, digits, what)
    return value


def record_id(r: LogRecord, event: Event) -> str:
    """The identity of a log record that brings none: a hash of what it says.

    And, if it names no task, of what it is about: its resource may say so, and two workflows the same of themselves.
    """
    said: tuple[Any, ...] = (r.event_name, r.time_ns, r.trace_id, r.span_id, sorted(r.attributes.items()))
    if event.task_source in ("", BY_TRACE):
        said += (event.tenant, event.workflow, event.stage, event.environment)
    return xxhash.xxh3_128_hexdigest(msgspec.json.encode(said, enc_hook=str))


def explain(error: ValidationError) -> str:
    """What is wrong with which attribute, without repeating values that may be content."""
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'event'}: {e['msg']}"[:200] for e in error.errors()[:5])
