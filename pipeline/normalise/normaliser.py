"""The first stage: OTLP in, canonical events out; what cannot be used becomes a dead letter. No I/O."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pipeline.config import Settings
from pipeline.normalise.cardinality import Cardinality
from pipeline.normalise.origin import Origin
from pipeline.normalise.redact import redact_bytes, redact_record
from pipeline.prices import prices_of
from schemas.event import BY_TRACE, Event, link, partition_of
from schemas.mapping.learnt import Judging
from schemas.mapping.records import Limits, Mapper
from schemas.mapping.values import Rejected
from schemas.message import Parted, parted
from schemas.otlp import Malformed, NotOtlp, decode
from schemas.rows import DeadLetter, Replay
from schemas.units import MICRO
from schemas.words import SPANS, Reason


@dataclass
class Packed:
    """What a batch of OTLP messages became."""

    parts: dict[int, list[Parted]] = field(default_factory=dict)
    """Partition of `agent.actions` -> encoded events."""
    dead_letters: list[DeadLetter] = field(default_factory=list)
    replays: list[Replay] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """`records`, `events`, `foreign` (log records that are not telemetry of tasks)."""
    limited: Counter[str] = field(default_factory=Counter)
    """Dimension -> events that lost their value of it, since it has too many."""


class Normaliser:
    """Maps the records of OTLP messages by the user's configuration."""

    def __init__(self, settings: Settings) -> None:
        self._partitions = settings.kafka.partitions
        self._signal = {settings.kafka.logs_topic: "logs"}
        self._links: dict[tuple[str, str], None] = {}
        self._cardinality = Cardinality(settings.limits.dimension_values)
        self._full = settings.privacy.dead_letters == "full"
        self._mapper = Mapper(
            aliases=settings.aliases,
            allow=frozenset(settings.privacy.allow),
            limits=Limits(**settings.limits.model_dump(include=set(Limits.__dataclass_fields__))),
            human_usd_per_hour=settings.human_usd_per_hour,
            prices=prices_of(settings),
            judging=_judging(settings),
        )

    def add(
        self,
        packed: Packed,
        topic: str,
        partition: int,
        offset: int,
        received: int,
        payload: bytes,
        origin: Origin | None = None,
    ) -> None:
        """Normalise one message (`received`: its Kafka timestamp in microseconds) into `packed`. Never raises.

        `origin`: that it is a copy of another message, whose dead letters it resolves or makes again.
        """
        where = DeadLetter(topic, partition, offset, -1, received, "", "", "")
        if origin is not None:
            where = DeadLetter(topic, origin.partition, origin.offset, -1, origin.received, "", "", "", received)
            packed.replays.append(Replay(topic, origin.partition, origin.offset, received))
        try:
            records = decode(payload, self._signal.get(topic, "traces"))
        except NotOtlp as error:
            packed.dead_letters.append(self._dead(where, -1, Reason.NOT_OTLP, str(error), payload))
            return
        for index, record in enumerate(records):
            packed.counts["records"] += 1
            try:
                events = self._mapper.events(record, received)
            except Rejected as rejected:
                packed.dead_letters.append(self._dead(where, index, rejected.reason, rejected.detail, record))
                continue
            if not events:
                packed.counts["foreign"] += 1
            for event in events:
                packed.counts["events"] += 1
                packed.limited.update(self._cardinality.limit(event))
                self._send(packed, event)
                self._link(packed, event)

    def _send(self, packed: Packed, event: Event) -> None:
        target = partition_of(event.task_id or f"workflow:{event.workflow}", self._partitions)
        packed.parts.setdefault(target, []).append(parted(event))

    def _link(self, packed: Packed, event: Event) -> None:
        """Tell a trace's partition which task it belongs to, the first time that both are seen together.

        Only spans tell: the trace of a verdict is that of the verifier, which may judge many tasks in one.
        """
        if event.kind not in SPANS:
            return
        if event.task_source == BY_TRACE or not event.trace_id or event.task_id in ("", event.trace_id):
            return
        known = (event.trace_id, event.task_id)
        if known in self._links:
            return
        self._links[known] = None
        if len(self._links) > LINKS_REMEMBERED:
            del self._links[next(iter(self._links))]
        self._send(packed, link(event.trace_id, event.task_id, event.at))

    def _dead(self, where: DeadLetter, index: int, reason: Reason, detail: str, what: Any) -> DeadLetter:
        if isinstance(what, bytes):
            payload = what if self._full else redact_bytes(what)
        else:
            payload = redact_record(what.item if isinstance(what, Malformed) else what, keep=self._full)
        return DeadLetter(
            where.topic, where.partition, where.offset, index, where.received, str(reason), detail[:1000],
            base64.b64encode(payload[:MAX_PAYLOAD]).decode(), where.replayed,
        )  # fmt: skip


def _judging(settings: Settings) -> Judging:
    scales = {name: (round(s.low * MICRO), round(s.high * MICRO)) for name, s in settings.feedback.items()}
    return Judging(frozenset(settings.verdicts), scales)


LINKS_REMEMBERED = 100_000
"""Links that are not sent again; one that is forgotten and sent again changes nothing."""

MAX_PAYLOAD = 65_536
"""Bytes of a payload that a dead letter keeps; its position says where the whole of it is."""
