"""Real telemetry, damaged at random: what a broken exporter, a hostile client or a torn message would send."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from random import Random as Rng
from typing import Any

import msgspec

from schemas.contract import EVENTS
from schemas.mapping.table import JUDGEMENTS, KINDS, ROWS
from tests.captures.measured import CAPTURES, NAMES, requests

JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**30, -(10**30), 0.5, 1e308, "", "0", "-1", "1e9", "NaN",
    "Infinity", "unknown", "success", "failure", "pilot", "x" * 2_000, "\x00", "\ud800", "é" * 600, "{",
    '{"task_id": "T"}',
    '{"task_id": {"a": [1]}}', "00000000000000000000000000000000", "f" * 32, "g" * 32, "f" * 16,
    [], {}, [[]], [None, {"a": 1}], {"a": {"b": []}},
)  # fmt: skip
ATTRIBUTES = sorted(
    {row.attribute for row in ROWS}
    | {field.alias for model in EVENTS.values() for field in model.model_fields.values() if field.alias}
    | {f"{row.prefix}.{n}.{row.item}.{name}" for row in JUDGEMENTS for n in (0, 1)
       for name in ("name", "score", "label", "annotator_kind")}
    | {"logfire.feedback.name", "metadata", "trueup.limited", "trueup.ignored", "exception.type"}
)  # fmt: skip
TOLD = sorted(
    {row.value for row in KINDS} | {"HUMAN", "CODE", "LLM", "task_outcome", "openai", "gpt-4.1", "GraphInterrupt"}
)
VALUE_KINDS = (
    "stringValue", "boolValue", "intValue", "doubleValue", "bytesValue", "arrayValue", "kvlistValue", "oddValue",
)  # fmt: skip


def junk(rng: Rng) -> Any:
    """Anything at all."""
    return copy.deepcopy(rng.choice(JUNK))


def any_value(rng: Rng) -> Any:
    """An AnyValue that need not be one."""
    if rng.random() < 0.3:
        return rng.choice(
            [{"stringValue": rng.choice(TOLD)}, {"intValue": str(rng.randrange(10**6))}, {"doubleValue": 0.5}]
        )
    if rng.random() < 0.1:
        return junk(rng)
    return {rng.choice(VALUE_KINDS): junk(rng)}


def attribute(rng: Rng) -> Any:
    """An attribute that need not be one."""
    if rng.random() < 0.05:
        return junk(rng)
    return {"key": junk(rng) if rng.random() < 0.05 else rng.choice(ATTRIBUTES), "value": any_value(rng)}


def _attributes_of(record: dict[str, Any], rng: Rng) -> list[Any]:
    within = [record[name] for name in ("events", "links") if isinstance(record.get(name), list)]
    held = [record, *(item for items in within for item in items if isinstance(item, dict))]
    chosen = rng.choice(held)
    if not isinstance(chosen.get("attributes"), list):
        chosen["attributes"] = []
    found: list[Any] = chosen["attributes"]
    return found


def drop(record: dict[str, Any], rng: Rng) -> None:
    found = _attributes_of(record, rng)
    if found:
        del found[rng.randrange(len(found))]


def add(record: dict[str, Any], rng: Rng) -> None:
    _attributes_of(record, rng).append(attribute(rng))


def duplicate(record: dict[str, Any], rng: Rng) -> None:
    found = _attributes_of(record, rng)
    if found:
        found.append({**again, "value": any_value(rng)} if isinstance(again := rng.choice(found), dict) else again)


def replace(record: dict[str, Any], rng: Rng) -> None:
    found = _attributes_of(record, rng)
    if found:
        found[rng.randrange(len(found))] = attribute(rng)


def rename(record: dict[str, Any], rng: Rng) -> None:
    found = [a for a in _attributes_of(record, rng) if isinstance(a, dict)]
    if found:
        rng.choice(found)["key"] = rng.choice(ATTRIBUTES)


def break_field(record: dict[str, Any], rng: Rng) -> None:
    record[rng.choice([*record, "links", "events", "status", "eventName"])] = junk(rng)


def drop_field(record: dict[str, Any], rng: Rng) -> None:
    record.pop(rng.choice([*record, "name"]), None)


def link(record: dict[str, Any], rng: Rng) -> None:
    record["links"] = [{"traceId": "a" * 32, "spanId": "b" * 16} for _ in range(rng.randrange(3))]


def orphan(record: dict[str, Any], rng: Rng) -> None:
    record["parentSpanId"] = ""


def rename_event(record: dict[str, Any], rng: Rng) -> None:
    name = rng.choice([*EVENTS, "trueup.nonsense", ""])
    if "eventName" in record:
        record["eventName"] = name
    elif isinstance(record.get("events"), list):
        record["events"].append({"name": name, "attributes": [attribute(rng) for _ in range(3)]})


DAMAGES: tuple[Callable[[dict[str, Any], Rng], None], ...] = (
    drop, add, duplicate, replace, rename, break_field, drop_field, link, orphan, rename_event,
)  # fmt: skip


class Pool:
    """The records of every capture, and its payloads as they are."""

    def __init__(self) -> None:
        self.payloads = [(topic, payload) for name in NAMES for topic, payload in requests(name)]
        self.payloads += [
            ("otlp_logs" if path.parent.name == "logs_binpb" else "otlp_spans", path.read_bytes())
            for path in sorted(CAPTURES.glob("*/*binpb/*.binpb"))
        ]
        self.records: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        for _, payload in self.payloads:
            if payload.startswith(b"{"):
                self._take(msgspec.json.decode(payload))

    def _take(self, request: dict[str, Any]) -> None:
        for signal, scopes, items in (
            ("resourceSpans", "scopeSpans", "spans"),
            ("resourceLogs", "scopeLogs", "logRecords"),
        ):
            for group in request.get(signal) or ():
                for scoped in group[scopes]:
                    around = {"resource": group["resource"], scopes: [{"scope": scoped["scope"]}]}
                    self.records += [(signal, around, record) for record in scoped[items]]

    def damaged_record(self, seed: int) -> tuple[str, bytes]:
        """A request of one real record with some damage to it, and its topic."""
        rng = Rng(seed)  # noqa: S311 - damage, not secrets
        signal, around, record = rng.choice(self.records)
        around, record = copy.deepcopy(around), copy.deepcopy(record)
        for _ in range(rng.randrange(1, 7)):
            rng.choice(DAMAGES)(record, rng)
        if rng.random() < 0.1:
            add(around["resource"], rng)
        (scopes,) = around.keys() - {"resource"}
        around[scopes][0]["spans" if signal == "resourceSpans" else "logRecords"] = [record]
        return ("otlp_spans" if signal == "resourceSpans" else "otlp_logs"), _encode({signal: [around]})

    def damaged_bytes(self, seed: int) -> tuple[str, bytes]:
        """A real message, JSON or protobuf, cut off or with some bytes changed, and its topic."""
        rng = Rng(seed)  # noqa: S311 - damage, not secrets
        topic, payload = rng.choice(self.payloads)
        torn = bytearray(payload[: rng.randrange(len(payload) + 1)] if rng.random() < 0.3 else payload)
        for _ in range(rng.randrange(8) if torn else 0):
            at = rng.randrange(len(torn))
            torn[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
            torn = torn or bytearray(b"\x00")
        return rng.choice([topic, "otlp_spans", "otlp_logs"]), bytes(torn)


def _encode(value: Any) -> bytes:
    """JSON, with the lone surrogates that JSON can have and UTF-8 cannot."""
    return json.dumps(value).encode()
