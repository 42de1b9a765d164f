"""Captures with a mark in everything that people, models and tools said to each other."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from schemas.contract import EVENTS
from schemas.mapping.table import JUDGEMENTS, ROWS
from tests.captures.measured import ALIASES, requests

MARK = "marked-capture-content-5d1e"
"""In lower case: labels are."""

READ = (
    {row.attribute for row in ROWS}
    | {field.alias for model in EVENTS.values() for field in model.model_fields.values() if field.alias}
    | {f"{row.prefix}.{n}.{row.item}.{name}" for row in JUDGEMENTS for n in range(3)
       for name in ("name", "label", "annotator_kind")}
    | {name for names in ALIASES.values() for name in names}
    | {"exception.type", "event.name", "gen_ai.evaluation.evaluator.source"}
)  # fmt: skip
"""Attributes that are names and ids, and are meant to be kept or read. Everything else may be content."""


class Marked:
    """A capture's messages with marks; `marks` counts them."""

    def __init__(self, name: str) -> None:
        self.marks = 0
        self.messages = [(topic, self._request(msgspec.json.decode(payload))) for topic, payload in requests(name)]

    def _request(self, request: dict[str, Any]) -> bytes:
        for group in [*request.get("resourceSpans", ()), *request.get("resourceLogs", ())]:
            self._attributes(group["resource"])
            for scoped in [*group.get("scopeSpans", ()), *group.get("scopeLogs", ())]:
                for record in [*scoped.get("spans", ()), *scoped.get("logRecords", ())]:
                    self._record(record)
        return msgspec.json.encode(request)

    def _record(self, record: dict[str, Any]) -> None:
        if "spanId" in record and "name" in record:
            record["name"] = self._mark(record["name"])
        record["body"] = {"stringValue": self._mark("")}
        record.setdefault("attributes", []).extend(
            {"key": key, "value": {"stringValue": ""}}
            for key in ("gen_ai.input.messages", "input.value", "llm.prompts")
        )
        if record.get("status", {}).get("code") == 2:
            record["status"]["message"] = self._mark("")
        record.setdefault("events", []).append(
            {"name": "exception", "attributes": [{"key": "exception.stacktrace", "value": {"stringValue": ""}}]}
        )
        for holder in (record, *record["events"], *record.get("links", ())):
            self._attributes(holder)

    def _attributes(self, holder: dict[str, Any]) -> None:
        for attribute in holder.get("attributes", ()):
            if attribute["key"] not in READ:
                attribute["value"] = self._value(attribute["value"])

    def _value(self, value: Any) -> Any:
        match value:
            case {"stringValue": str(text)}:
                return {"stringValue": self._text(text)}
            case {"arrayValue": dict(array)}:
                return {"arrayValue": {"values": [self._value(v) for v in array.get("values", ())]}}
            case {"kvlistValue": dict(pairs)}:
                values = [{"key": p["key"], "value": self._value(p["value"])} for p in pairs.get("values", ())]
                return {"kvlistValue": {"values": values}}
            case _:
                return value

    def _text(self, text: str) -> str:
        """JSON stays JSON, so that aliases can look into it."""
        try:
            held = json.loads(text)
        except ValueError:
            held = None
        if isinstance(held, dict):
            return json.dumps(held | {"note": self._mark("")})
        return self._mark(text)

    def _mark(self, text: str) -> str:
        self.marks += 1
        return f"{MARK}-{self.marks} {text}"


def broken(payload: bytes) -> bytes:
    """The same request with ids that no record can have: every record is a dead letter."""
    request = msgspec.json.decode(payload)
    for group in [*request.get("resourceSpans", ()), *request.get("resourceLogs", ())]:
        for scoped in [*group.get("scopeSpans", ()), *group.get("scopeLogs", ())]:
            for record in [*scoped.get("spans", ()), *scoped.get("logRecords", ())]:
                record["traceId"] = "broken"
                record["eventName"] = "trueup.task.claimed"
    return msgspec.json.encode(request)
