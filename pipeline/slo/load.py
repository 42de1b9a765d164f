"""YAML text to OpenSLO objects, and back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline.slo.explain import nearest, problems_of
from pipeline.slo.openslo import API_VERSION, KINDS, AnyObject
from pipeline.slo.source import Document, Problem, plain_scalar, read_documents


@dataclass(frozen=True, slots=True)
class Loaded:
    """An object and the document that it came from."""

    object: AnyObject
    document: Document

    @property
    def identity(self) -> tuple[str, str]:
        return self.object.kind, self.object.metadata.name


@dataclass(frozen=True, slots=True)
class Loading:
    """What was read. `broken` names objects that are there, but with problems of their own."""

    loaded: list[Loaded] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)


def load(sources: Iterable[tuple[str, str]]) -> Loading:
    """The OpenSLO objects of (file name, text) pairs, several documents a text, and everything wrong with them."""
    loading = Loading()
    first: dict[tuple[str, str], Document] = {}
    for file, text in sources:
        documents, unreadable = read_documents(text, file)
        loading.problems.extend(unreadable)
        if not documents and not unreadable:
            fix = "write OpenSLO documents into it, or leave it out"
            loading.problems.append(Problem(file, 1, 1, "there is nothing in this file", fix))
        for document in documents:
            each, wrong = _object_of(document)
            loading.problems.extend(wrong)
            if each is None:
                loading.broken.add(_name_of(document))
                continue
            earlier = first.setdefault(each.identity, document)
            if earlier is not document:
                kind, name = each.identity
                where = f"{earlier.file}:{earlier.marks[()][0]}"
                what = f"{kind} {name!r} is defined twice, first in {where}"
                loading.problems.append(document.problem(("metadata", "name"), what, "rename or remove one of them"))
                continue
            loading.loaded.append(each)
    return loading


def dump(objects: Iterable[AnyObject]) -> str:
    """The objects as YAML documents; `load` reads back the same objects."""
    values = [each.model_dump(by_alias=True, exclude_unset=True) for each in objects]
    ordered = [{"apiVersion": value.pop("apiVersion"), "kind": value.pop("kind"), **value} for value in values]
    text: str = yaml.dump_all(ordered, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


def _object_of(document: Document) -> tuple[Loaded | None, Sequence[Problem]]:
    value = document.value
    if not isinstance(value, dict):
        what = f"an OpenSLO document is a mapping, not {type(value).__name__}"
        return None, [document.problem((), what, f"start with `apiVersion: {API_VERSION}` and `kind:`")]
    version, kind = value.get("apiVersion"), value.get("kind")
    if version is not None and version != API_VERSION:
        what = f"apiVersion {version!r} is not supported"
        return None, [document.problem(("apiVersion",), what, f"write `apiVersion: {API_VERSION}`")]
    if not isinstance(kind, str) or kind not in KINDS:
        what = "kind is required" if kind is None else f"kind {kind!r} is unknown"
        return None, [document.problem(("kind",), what, nearest(str(kind), KINDS))]
    try:
        return Loaded(KINDS[kind].model_validate(value), document), []
    except ValidationError as error:
        return None, problems_of(error, document)


def _name_of(document: Document) -> str:
    value = document.value
    metadata = value.get("metadata") if isinstance(value, dict) else None
    return str(metadata.get("name")) if isinstance(metadata, dict) else ""


class _Dumper(yaml.SafeDumper):
    """Writes what `source` reads: exact decimals, and quotes where bare text would mean something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if text.isprintable() and plain_scalar(text) == text else '"'
    if "\n" in text and all(line.isprintable() for line in text.split("\n")):
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _write_decimal(dumper: yaml.SafeDumper, number: Decimal) -> yaml.ScalarNode:
    digits = format(number, "f")
    return dumper.represent_scalar(f"tag:yaml.org,2002:{'float' if '.' in digits else 'int'}", digits)


_Dumper.add_representer(str, _write_text)
_Dumper.add_representer(Decimal, _write_decimal)
