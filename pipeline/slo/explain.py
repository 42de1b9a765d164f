"""What pydantic found wrong with a document, as problems that say how to put it right."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.slo.openslo import KINDS
from pipeline.slo.source import Document, Path, Problem

_NAME_RULE = "use 1 to 63 lowercase letters, digits and hyphens, a letter or digit first and last"


def problems_of(error: ValidationError, document: Document) -> list[Problem]:
    """One problem for each field that pydantic rejected, at the line of that field."""
    found: dict[tuple[Path, str], Problem] = {}
    for detail in error.errors(include_url=False):
        path = _path_in(document, detail["loc"])
        missing = detail["type"] == "missing"
        # A field that may have several types is rejected once for each: report it once.
        key = (path, str(detail["loc"][-1]) if missing else "")
        if key not in found:
            what, fix = _explain(detail, (*path, str(detail["loc"][-1])) if missing else path)
            if path == ("metadata", "name") and document.value.get("kind") == "Service":
                fix += "; the name that the telemetry has goes into the annotation trueup.dev/workflow"
            found[key] = document.problem(path, what, fix)
    return list(found.values())


def nearest(word: str, choices: Iterable[str]) -> str:
    """`did you mean x` if one of the choices is close, else the list of them."""
    known = sorted(str(choice) for choice in choices)
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}" if close else f"use one of {', '.join(known)}"


def dotted(path: Path) -> str:
    """`spec.objectives[0].target`"""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".") or "the document"


def _path_in(document: Document, location: tuple[int | str, ...]) -> Path:
    """The part of pydantic's location that is in the text; it also names the branches of unions."""
    path: Path = tuple(location)
    while path and path not in document.marks:
        path = path[:-1]
    return path


def _explain(detail: ErrorDetails, path: Path) -> tuple[str, str]:
    name = dotted(path)
    given = _shown(detail["input"])
    context: Mapping[str, Any] = detail.get("ctx", {})
    known = _EXPLANATIONS.get(detail["type"])
    if known:
        return known(name, given, context)
    return f"{name}: {detail['msg']}, not {given}", "see the OpenSLO v1 specification of this field"


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


Explanation = Callable[[str, str, Mapping[str, Any]], tuple[str, str]]


def _missing(name: str, _given: str, _context: Mapping[str, Any]) -> tuple[str, str]:
    return f"{name} is required", f"add `{name.rsplit('.', 1)[-1]}:` here"


def _unknown(name: str, _given: str, _context: Mapping[str, Any]) -> tuple[str, str]:
    field = name.rsplit(".", 1)[-1]
    close = get_close_matches(field, _all_fields(), n=1, cutoff=0.6)
    return f"{name} is not a field of OpenSLO v1", f"did you mean {close[0]!r}" if close else "remove it"


def _not_text(name: str, given: str, _context: Mapping[str, Any]) -> tuple[str, str]:
    return f"{name} must be text, not {given}", f'put it in quotes: "{given}"'


def _choice(name: str, given: str, context: Mapping[str, Any]) -> tuple[str, str]:
    return f"{name} must be {context['expected']}, not {given}", "write it exactly like that"


def _too_high(name: str, given: str, context: Mapping[str, Any]) -> tuple[str, str]:
    bound = context.get("lt", context.get("le"))
    if name.endswith(("target", "targetPercent")):
        return (
            f"{name} is {given}, but must be less than {bound}: without an error budget every failure breaks it",
            f"choose a target below {bound}, such as {'99.9' if name.endswith('Percent') else '0.999'}",
        )
    return f"{name} is {given}, but must be {'less than' if 'lt' in context else 'at most'} {bound}", "lower it"


def _too_low(name: str, given: str, context: Mapping[str, Any]) -> tuple[str, str]:
    bound = context.get("gt", context.get("ge"))
    return f"{name} is {given}, but must be {'more than' if 'gt' in context else 'at least'} {bound}", "raise it"


def _pattern(name: str, given: str, _context: Mapping[str, Any]) -> tuple[str, str]:
    return f"{name} is not a valid name: {given}", _NAME_RULE


def _length(name: str, _given: str, context: Mapping[str, Any]) -> tuple[str, str]:
    if "max_length" in context:
        limit = context["max_length"]
        return f"{name} is longer than {limit}", f"keep it to {limit}"
    return f"{name} is empty", "add an entry"


def _simple(what: str, fix: str) -> Explanation:
    return lambda name, given, _context: (f"{name} must be {what}, not {given}", fix)


def _said_by_us(name: str, _given: str, context: Mapping[str, Any]) -> tuple[str, str]:
    what, _, fix = str(context["error"]).partition(": ")
    return f"{name}: {what}", fix


_number = _simple("a number", "write a plain number without quotes")
_mapping = _simple("a mapping of fields", "indent its fields under it")

_EXPLANATIONS: dict[str, Explanation] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "string_type": _not_text,
    "literal_error": _choice,
    "less_than": _too_high,
    "less_than_equal": _too_high,
    "greater_than": _too_low,
    "greater_than_equal": _too_low,
    "string_pattern_mismatch": _pattern,
    "string_too_long": _length,
    "string_too_short": _length,
    "too_long": _length,
    "too_short": _length,
    "bool_type": _simple("true or false", "write true or false without quotes"),
    "is_instance_of": _number,
    "decimal_type": _number,
    "decimal_parsing": _number,
    "list_type": _simple("a list", "start each entry with a hyphen"),
    "dict_type": _mapping,
    "model_type": _mapping,
    "value_error": _said_by_us,
}


@lru_cache(maxsize=1)
def _all_fields() -> list[str]:
    """The name of every field of every kind."""
    pending: list[type[BaseModel]] = list(KINDS.values())
    seen: set[type[BaseModel]] = set()
    names: set[str] = set()
    while pending:
        model = pending.pop()
        if model in seen:
            continue
        seen.add(model)
        for field in model.model_fields.values():
            names.add(field.alias or "")
            pending += _models_in(field.annotation)
    return sorted(names)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]
