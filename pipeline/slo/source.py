"""YAML text to plain values that remember their lines, and problems that name file, line, what and fix.

The scalars are those of YAML 1.2: `yes`, `12:30:00` and `2026-01-15` are strings, and a decimal number keeps its
digits (`Decimal`), so that a target of 0.999 is exactly that.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

Path = tuple[str | int, ...]

_FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_NODES = 100_000
_MAX_DEPTH = 40
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_DECIMAL = re.compile(r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}(\.[0-9]{0,18})?)([eE][-+]?[0-9]{1,2})?", re.ASCII)
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{tag}" for tag in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq")
)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something wrong in a file, for people: where, what, and how to put it right. Lines and columns start at 1."""

    file: str
    line: int
    column: int
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.what}. Fix: {self.fix}."


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value, and the place of every node by its path of keys and indices."""

    file: str
    value: Any
    marks: dict[Path, tuple[int, int]]

    def problem(self, path: Path, what: str, fix: str) -> Problem:
        """A problem at a node, or at its nearest parent that is in the text."""
        while path and path not in self.marks:
            path = path[:-1]
        return Problem(self.file, *self.marks[path], what, fix)


@dataclass(frozen=True, slots=True)
class Findings:
    """Collects the problems of one document."""

    document: Document
    problems: list[Problem] = field(default_factory=list)

    def report(self, path: Path, what: str, fix: str) -> None:
        """Add a problem at a node."""
        self.problems.append(self.document.problem(path, what, fix))


def read_documents(text: str, file: str) -> tuple[list[Document], list[Problem]]:
    """The documents of a YAML text. A syntax error ends the reading; the documents before it are returned."""
    try:
        if "\t" not in text and _is_shallow(text):  # the slow parser refuses tabs in more places
            return _read(yaml.compose_all(text, Loader=_FAST), file, [], [])
    except yaml.YAMLError:
        pass
    return _explained(text, file)


def _is_shallow(text: str) -> bool:
    """Whether it is not nested too deeply. libyaml's composer ends the process if it is; its parser does not."""
    depth = 0
    for event in yaml.parse(text, Loader=_FAST):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            return False
    return True


def _read(
    nodes: Iterable[yaml.Node], file: str, documents: list[Document], problems: list[Problem]
) -> tuple[list[Document], list[Problem]]:
    """Adds to what is given, so that it is there when an error of the syntax ends it."""
    for node in nodes:
        reader = _Reader(file)
        value = reader.value(node, ())
        problems += reader.problems
        if value is not None and not reader.problems:
            documents.append(Document(file, value, reader.marks))
    return documents, problems


def _explained(text: str, file: str) -> tuple[list[Document], list[Problem]]:
    """The same by the slow parser, which says better what is wrong, and where."""
    documents: list[Document] = []
    problems: list[Problem] = []
    try:
        _read(yaml.compose_all(text, Loader=yaml.SafeLoader), file, documents, problems)
    except yaml.MarkedYAMLError as error:
        problems.append(_syntax_problem(error, file))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"the character {chr(error.character)!r} is not allowed in YAML"
        problems.append(Problem(file, line, 1, what, "remove it, or save the file as UTF-8 text"))
    except RecursionError:
        problems.append(Problem(file, 1, 1, "the text is nested too deeply", f"nest at most {_MAX_DEPTH} levels"))
    return documents, problems


def plain_scalar(text: str) -> str | int | bool | Decimal | None:
    """What an unquoted scalar means."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return Decimal(text) if _DECIMAL.fullmatch(text) else text


def _syntax_problem(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    context = f" {error.context}" if error.context else ""
    what = f"this is not YAML: {error.problem or 'unreadable'}{context}"
    fix = (
        "indent with spaces"
        if "'\\t'" in what
        else "check the indentation, brackets, colons and quotes of this line and the one before"
    )
    return Problem(file, line, column, what, fix)


@dataclass(slots=True)
class _Reader:
    file: str
    marks: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.marks.setdefault(path, _place(node))
        # Aliases may repeat a node, even inside itself: these bounds end that.
        if len(self.marks) > _MAX_NODES or len(path) > _MAX_DEPTH:
            if not self.problems:
                self._report(node, "the document is too large or refers to itself", "write it out without aliases")
            return None
        if node.tag not in _PLAIN_TAGS and node.tag.startswith(
            ("!", "tag:yaml.org,2002:python", "tag:yaml.org,2002:b")
        ):
            self._report(node, f"the tag {node.tag} is not understood", "remove the tag")
            return None
        if isinstance(node, yaml.MappingNode):
            return dict(self._entries(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, at)) for at, item in enumerate(node.value)]
        quoted = isinstance(node, yaml.ScalarNode) and bool(node.style)
        return node.value if quoted else plain_scalar(node.value)

    def _entries(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        seen: dict[str, yaml.Node] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
                self._report(key, "only plain names can be keys", "write the name of a field before the colon")
                continue
            name: str = key.value
            if name in seen:
                first = _place(seen[name])[0]
                self._report(key, f"{name!r} is given twice, first in line {first}", "remove one of them")
                continue
            seen[name] = key
            self.marks[(*path, name)] = _place(key)
            yield name, self.value(item, (*path, name))

    def _report(self, node: yaml.Node, what: str, fix: str) -> None:
        self.problems.append(Problem(self.file, *_place(node), what, fix))


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
