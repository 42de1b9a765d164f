"""From checked documents to new versions: one for each workflow of which something changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.slo.annotations import workflow_of
from pipeline.slo.load import dump, load
from pipeline.slo.openslo import SLO, AnyObject, Service
from sinks.objectives import Version

_REFERENCES = {
    "indicatorRef": "SLI",
    "metricSourceRef": "DataSource",
    "alertPolicyRef": "AlertPolicy",
    "conditionRef": "AlertCondition",
    "targetRef": "AlertNotificationTarget",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying some documents does. `dropped`: SLOs that a workflow had, by its name."""

    new: tuple[Version, ...]
    unchanged: tuple[str, ...]
    dropped: Mapping[str, Sequence[str]]


def plan(objects: Sequence[AnyObject], before: Iterable[Version], by: str, why: str, now: int) -> Plan:
    """New versions of the workflows of `objects`, which have no problems. `before`: all versions; `now`: microseconds.

    Raises:
        ValueError: nobody says who applies it, or why; the text says the fix.
    """
    if not by.strip() or not why.strip():
        raise ValueError("a commitment says who made it and why: give --by NAME and --why TEXT")
    latest = {version.workflow: version for version in before}
    new, unchanged, dropped = [], [], dict[str, list[str]]()
    for service in (each.metadata for each in objects if isinstance(each, Service)):
        workflow = workflow_of(service)
        held, text = latest.get(workflow), dump(documents_of(service.name, objects))
        if held is not None and held.text == text:
            unchanged.append(workflow)
            continue
        number = held.version + 1 if held else 1
        told = "\x1f".join((workflow, str(number), text, str(now), by, why))
        version_id = hashlib.sha256(told.encode()).hexdigest()[:16]
        new.append(Version(workflow, number, version_id, text, now, by.strip(), why.strip()))
        if held is not None and (gone := sorted(_slos(held.text) - _slos(text))):
            dropped[workflow] = gone
    return Plan(tuple(new), tuple(unchanged), dropped)


def documents_of(service: str, objects: Sequence[AnyObject]) -> list[AnyObject]:
    """A Service, its SLOs, and what they refer to; in an order that does not depend on the files."""
    mine: list[AnyObject] = [
        each
        for each in objects
        if (isinstance(each, Service) and each.metadata.name == service)
        or (isinstance(each, SLO) and each.spec.service == service)
    ]
    known: dict[tuple[str, str], AnyObject] = {(each.kind, each.metadata.name): each for each in objects}
    found: dict[tuple[str, str], AnyObject] = {(each.kind, each.metadata.name): each for each in mine}
    waiting = list(mine)
    while waiting:
        for reference in _references(waiting.pop().model_dump(by_alias=True, exclude_unset=True)):
            if reference in known and reference not in found:
                found[reference] = known[reference]
                waiting.append(known[reference])
    return [found[key] for key in sorted(found, key=lambda key: (_ORDER.get(key[0], len(_ORDER)), key))]


_ORDER = {"Service": 0, "SLO": 1}


def _references(value: Any) -> Iterable[tuple[str, str]]:
    """Kind and name of everything that a document refers to."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in _REFERENCES and isinstance(inner, str):
                yield _REFERENCES[key], inner
            else:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _slos(text: str) -> set[str]:
    return {each.object.metadata.name for each in load([("", text)]).loaded if isinstance(each.object, SLO)}
