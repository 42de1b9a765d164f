"""What other tools judge: verdicts, feedback and scores, on spans and in the standard's event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from pydantic import ValidationError

from schemas.contract import EvaluationResult
from schemas.event import BY_TRACE, Event, event_hash
from schemas.mapping import learnt
from schemas.mapping.table import ANNOTATORS, DEFAULT_ANNOTATORS, JUDGEMENTS, MODEL_EVALUATORS, Annotator, Target
from schemas.mapping.values import is_id
from schemas.otlp import SpanRecord

RESULT = "gen_ai.evaluation.result"
"""The standard's event, as a log record or within a span."""
MOST = 64
"""Judgements of one kind that are read off a span."""


class Judgement(NamedTuple):
    """One result found on a span."""

    key: str
    """Tells it from others of its span."""
    target: Target
    said: EvaluationResult
    annotator: Annotator | None


def carries(span: SpanRecord) -> bool:
    """Whether a span has any result. Most have none, so this is quick."""
    return (
        not span.attributes.keys().isdisjoint(_FIRST_NAMES)
        or any(event.name == RESULT for event in span.events)
    )  # fmt: skip


def judged(about: Event, span: SpanRecord, judging: learnt.Judging, session: str) -> list[Event]:
    """The events of the results that a span carries. `about` has the span's identity, task and dimensions.

    They are about the task of the span; those of a carrier, which has exactly one link, about the task of the
    linked trace, unless the carrier names a task. Those about a whole session are about no task.
    """
    made: list[Event] = []
    link = _link(span) if about.task_source == BY_TRACE else None
    for one in judgements(span):
        event_id = f"{about.event_id}#{one.key}"
        event = msgspec.structs.replace(about, event_id=event_id, hash=event_hash(event_id), attributes={})
        if one.target == Target.SESSION:
            event.task_id = event.task_source = ""
            event.attributes["session.id"] = session
        elif link is not None:
            event.task_id = event.trace_id = link[0]
            event.span_id = link[1]
        made += learnt.evaluation(event, one.said, judging, one.annotator)
    return made


def _link(span: SpanRecord) -> tuple[str, str] | None:
    if len(span.links) != 1:
        return None
    trace_id, span_id = span.links[0]
    return (trace_id, span_id) if is_id(trace_id, 32) and is_id(span_id, 16) else None


def judgements(span: SpanRecord) -> list[Judgement]:
    """Every result that a span carries; what is none is left out, since the span is work none the less."""
    found: list[Judgement] = []
    for key, target, values in _told(span):
        with suppress(ValidationError):
            said = EvaluationResult.model_validate(values)
            found.append(Judgement(key, target, said, annotator_of(said.annotator, span.source.scope, values)))
    return found


def annotator_of(told: str | None, scope: str, values: Mapping[str, Any]) -> Annotator | None:
    """Who judged: as it is told, else as the instrumentation `scope` implies. None: nobody knows."""
    if told is not None:
        return ANNOTATORS.get(told)
    return Annotator.MODEL if _evaluator(values) in MODEL_EVALUATORS else DEFAULT_ANNOTATORS.get(scope)


def _evaluator(values: Mapping[str, Any]) -> Any:
    """The class of a pydantic-evals evaluator, from a JSON attribute."""
    source = values.get("gen_ai.evaluation.evaluator.source")
    try:
        told = msgspec.json.decode(source) if isinstance(source, str) else None
    except (msgspec.DecodeError, RecursionError):
        return None
    name = told.get("name") if isinstance(told, dict) else None
    return name if isinstance(name, str) else None


def _told(span: SpanRecord) -> Iterator[tuple[str, Target, Mapping[str, Any]]]:
    """(key, target, attributes of the standard's event) of each result."""
    attributes = span.attributes
    for row in JUDGEMENTS:
        for n in range(MOST):
            item = f"{row.prefix}.{n}.{row.item}."
            if f"{item}name" not in attributes:
                break
            yield f"{row.prefix}.{n}", row.target, _standard(attributes, item)
    for n, event in enumerate(span.events[:MOST]):
        if event.name == RESULT:
            yield f"event.{n}", Target.TRACE, event.attributes
    name = attributes.get(_LOGFIRE)
    if isinstance(name, str):
        yield _LOGFIRE, Target.TRACE, _of_logfire(name, attributes.get(name))


def _standard(attributes: Mapping[str, Any], item: str) -> dict[str, Any]:
    said = {name: attributes.get(f"{item}{field}") for field, name in _FIELDS.items()}
    return {name: value for name, value in said.items() if value is not None}


_LOGFIRE = "logfire.feedback.name"
_FIRST_NAMES = frozenset({_LOGFIRE, *(f"{row.prefix}.0.{row.item}.name" for row in JUDGEMENTS)})
_FIELDS = {
    "name": "gen_ai.evaluation.name",
    "score": "gen_ai.evaluation.score.value",
    "label": "gen_ai.evaluation.score.label",
    "annotator_kind": "gen_ai.evaluation.evaluator.type",
}


def _of_logfire(name: str, value: Any) -> dict[str, Any]:
    """Numbers are scores, strings labels, booleans assertions (`logfire.experimental.annotations`)."""
    said: dict[str, Any] = {"gen_ai.evaluation.name": name}
    if isinstance(value, bool):
        said |= {
            "gen_ai.evaluation.score.value": int(value),
            "gen_ai.evaluation.score.label": "pass" if value else "fail",
        }
    elif isinstance(value, str):
        said["gen_ai.evaluation.score.label"] = value
    else:
        said["gen_ai.evaluation.score.value"] = value
    return said
