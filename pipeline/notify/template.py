"""Messages as data: a YAML file says how a notification becomes the JSON of a receiver.

    escape: mrkdwn | none           how values are made harmless
    limits: {title: 250}            most characters of a value, before escaping
    states: {page: {word: PAGE}}    more values, by state: page, ticket, alert (neither), resolved
    message: {...}                  the JSON. `{name}` in a text stands for a value

A text whose values are all empty is left out, with its name. A map `{each: links, of: {...}}` is a list with one
entry for each of `links` or `failed_tasks`, whose values are `text`, `url` and `link`; with `join: ", "` a text. A map
with `needs: name` is left out while that value is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from pipeline.notify.escape import ESCAPES
from pipeline.notify.notification import Notification
from pipeline.notify.values import ITEM, LISTS, STATES, TEXTS, URLS, state_of, values_of
from pipeline.section import ConfigError, Section

_PLACE = re.compile(r"\{([a-z_]+)\}")


class Template(Section):
    """A message of one kind of receiver. `secrets` names the values that its receiver adds."""

    secrets: tuple[str, ...] = ()
    escape: str = Field(pattern=f"^({'|'.join(ESCAPES)})$")
    limits: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    states: dict[str, dict[str, str]] = Field(default_factory=dict)
    message: dict[str, Any]

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        if unknown := sorted(set(self.states) - set(STATES)):
            raise ValueError(f"there is no state {', '.join(unknown)}; write {', '.join(STATES)}")
        of_states = set.intersection(*(set(self.states.get(state, ())) for state in STATES))
        known = TEXTS | URLS | of_states | set(self.secrets)
        if problem := next(_problems(self.message, known), None):
            raise ValueError(problem)
        return self

    def render(self, notification: Notification, secrets: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The message of a notification, in JSON's types."""
        values = values_of(notification, self.escape, self.limits)
        of_state = self.states.get(state_of(notification), {})
        return _map(self.message, {**values, **of_state, **(secrets or {})}) or {}


def shipped(name: str, secrets: Sequence[str] = ()) -> Template:
    """A template of ours: `slack` or `pagerduty`."""
    return parse(files(__package__).joinpath("templates", f"{name}.yaml").read_text(), name, secrets)


def of_file(path: Path, secrets: Sequence[str] = ()) -> Template:
    """A template of yours. Raises ConfigError."""
    try:
        return parse(path.read_text(), str(path), secrets)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the template {path} ({error}); check the path and its rights") from None


def parse(text: str, name: str, secrets: Sequence[str] = ()) -> Template:
    """A template from its YAML. Raises ConfigError."""
    try:
        return Template(**(yaml.safe_load(text) or {}), secrets=tuple(secrets))
    except (yaml.YAMLError, TypeError) as error:
        raise ConfigError(f"the template {name} is no YAML map of escape, limits, states, message: {error}") from None
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, each['loc'])) or name}: {each['msg']}" for each in error.errors())
        raise ConfigError(f"the template {name} cannot be used: {told}; see docs/notifications.md") from None


# --- what a template may say ---------------------------------------------------------------------


def _problems(node: Any, known: set[str] | frozenset[str]) -> Iterator[str]:
    """What would go wrong when the message is made, found before an alert depends on it."""
    if isinstance(node, str):
        yield from (f"{{{name}}} is no value" for name in _PLACE.findall(node) if name not in known)
    elif isinstance(node, list):
        for each in node:
            yield from _problems(each, known)
    elif isinstance(node, dict):
        yield from _problems_of_map(node, known)


def _problems_of_map(node: dict[str, Any], known: set[str] | frozenset[str]) -> Iterator[str]:
    if not all(isinstance(name, str) for name in node):
        yield f"the names of {node} are not all texts"
    elif "each" in node:
        if node["each"] not in LISTS:
            yield f"each: {node['each']} is no list; write one of {', '.join(sorted(LISTS))}"
        elif not {"of"} <= set(node) <= {"each", "of", "join"}:
            yield f"each: {node['each']} takes `of` and, for a text, `join`"
        elif "join" in node and not (isinstance(node["join"], str) and isinstance(node["of"], str)):
            yield f"each: {node['each']} with `join` needs texts in both `join` and `of`"
        yield from _problems(node.get("of"), known | ITEM)
    else:
        if "needs" in node and node["needs"] not in known | LISTS:
            yield f"needs: {node['needs']} is no value"
        for name, value in node.items():
            if name != "needs":
                yield from _problems(value, known)


# --- making the message --------------------------------------------------------------------------


def _made(node: Any, values: Mapping[str, Any]) -> Any:
    """A node of the template with its values, None: left out."""
    if isinstance(node, str):
        return _text(node, values)
    if isinstance(node, list):
        return [made for each in node if (made := _made(each, values)) is not None]
    if isinstance(node, dict):
        return _each(node, values) if "each" in node else _map(node, values)
    return node


def _map(node: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any] | None:
    if "needs" in node and not values[node["needs"]]:
        return None
    made = {name: _made(value, values) for name, value in node.items() if name != "needs"}
    return {name: value for name, value in made.items() if value is not None}


def _each(node: dict[str, Any], values: Mapping[str, Any]) -> Any:
    made = [_made(node["of"], {**values, **item}) for item in values[node["each"]]]
    kept = [each for each in made if each is not None]
    if not kept:
        return None
    return node["join"].join(kept) if "join" in node else kept


def _text(text: str, values: Mapping[str, Any]) -> str | None:
    names = _PLACE.findall(text)
    if names and not any(values[name] for name in names):
        return None
    return _PLACE.sub(lambda place: str(values[place[1]]), text)
