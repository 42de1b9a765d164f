"""The documentation that is made from the code: `python -m pipeline.docs` writes it into `docs/`.

`docs/schemas/` has the JSON Schema of each event, `docs/configuration.md` every setting, `docs/cli.md`
every command and option. A test keeps them in step with the code.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.cli.app import app
from pipeline.config import Settings, show_duration, variable
from schemas.contract import EVENTS, Common, CommonEvent, Contract, TaskSpan

MADE = "<!-- made by `python -m pipeline.docs`: change the code, then run it -->\n"


def generated() -> dict[str, str]:
    """Path below `docs/` -> text of every file that is made from the code."""
    schemas = {"span": schema("span", Common, TaskSpan)}
    schemas |= {name: schema(name, CommonEvent, model) for name, model in EVENTS.items()}
    return {
        **{f"schemas/{name}.json": text for name, text in schemas.items()},
        "configuration.md": configuration(),
        "cli.md": commands(),
    }


# --- events --------------------------------------------------------------------------------------


def schema(name: str, common: type[Contract], model: type[Contract]) -> str:
    """The JSON Schema of an event's attributes, as an agent team sends them: those of all, and its own."""
    shared, made = common.model_json_schema(), model.model_json_schema()
    attributes = shared["properties"] | made["properties"]
    properties = {attribute: _attribute(told) for attribute, told in attributes.items()}
    made["$defs"] = shared["$defs"] | made.get("$defs", {})
    return json.dumps(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": name,
            **{key: made[key] for key in ("description", "type")},
            "properties": properties,
            **{key: made[key] for key in ("required", "$defs") if key in made},
        },
        indent=1,
    )


def _attribute(told: dict[str, Any]) -> dict[str, Any]:
    """An attribute is there or not: OTLP has no null, so that is left out."""
    told = {key: value for key, value in told.items() if key != "title" and not (key == "default" and value is None)}
    options = told.pop("anyOf", None)
    if options is None:
        return told
    (only,) = (option for option in options if option != {"type": "null"})
    return {**only, **told}


# --- configuration -------------------------------------------------------------------------------

_CONFIGURATION = """
# Configuration

Everything has a default. What you set comes from the environment (`TRUEUP_KAFKA__BOOTSTRAP=broker:9092`),
else from the YAML file that `--config` or `TRUEUP_CONFIG` names, else from here. A name that does not exist
is an error, in the environment only below a section: `trueup config show` and `trueup doctor` tell of variables that
nearly have a name of ours. The SDK in an agent's process has its own, `TRUEUP_KAFKA_BOOTSTRAP` with one underscore
(sdk/README.md). `trueup config show` prints what is in force, `trueup config check` says what is wrong, and
`trueup config schema` is the JSON Schema for your editor.

Secrets are best given as files (`kafka.sasl_password_file`, `clickhouse.password_file`); they are never shown
and never logged. Durations are written `30s`, `15m`, `2h` or `1d`. Lists and maps in the environment are
JSON: `TRUEUP_ALIASES='{"trueup.task.id": ["metadata.task_id"]}'`.
"""


def configuration() -> str:
    """Every setting: its name in the file, its environment variable, its default and its meaning."""
    parts = [MADE, _CONFIGURATION]
    top = [(name, field) for name, field in Settings.model_fields.items() if not _section(field)]
    parts += ["\n## Of everything\n\n", *_settings("", top)]
    for name, field in Settings.model_fields.items():
        if model := _section(field):
            parts += [
                f"\n## {name}\n\n{_sentence(model)}\n\n",
                *_settings(f"{name}.", list(model.model_fields.items())),
            ]
    for title, model in _nested():
        parts += [f"\n## {title}\n\n{_sentence(model)}\n\n| name | default | meaning |\n|---|---|---|\n"]
        parts += [
            f"| `{name}` | {_default(field)} | {_meaning(field)} |\n" for name, field in model.model_fields.items()
        ]
    return "".join(parts)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _nested() -> Iterator[tuple[str, type[BaseModel]]]:
    """Models within maps and lists: `workflows.NAME`, `notify.receivers.N: webhook`."""
    sections = [("", Settings), *((f"{name}.", _section(field)) for name, field in Settings.model_fields.items())]
    for prefix, section in sections:
        for name, field in section.model_fields.items() if section else ():
            models = [] if _section(field) else list(_models(field.annotation))
            place = f"{prefix}{name}.{'NAME' if get_origin(field.annotation) is dict else 'N'}"
            for model in models:
                kind = f": {get_args(model.model_fields['type'].annotation)[0]}" if len(models) > 1 else ""
                yield place + kind, model


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for inner in get_args(kind):
        yield from _models(inner)


def _settings(prefix: str, fields: list[tuple[str, FieldInfo]]) -> Iterator[str]:
    yield "| name | environment | default | meaning |\n|---|---|---|---|\n"
    for name, field in fields:
        yield f"| `{prefix}{name}` | `{variable(prefix + name)}` | {_default(field)} | {_meaning(field)} |\n"


def _sentence(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip()


def _meaning(field: FieldInfo) -> str:
    return (field.description or "").replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, dict | list):
        plain = json.dumps(value, default=lambda model: model.model_dump(mode="json"))
        return f"`{plain}`" if value else ""
    if value is None or value == "":
        return ""
    return f"`{show_duration(value) if _is_duration(field) else value}`"


def _is_duration(field: FieldInfo) -> bool:
    return any(getattr(item, "func", None) is show_duration for item in field.metadata)


# --- commands ------------------------------------------------------------------------------------

_COMMANDS = """
# Commands

`trueup COMMAND --help` says the same. Results go to stdout, all else to stderr. Exit codes: 0 fine, 1 a
target is missed or a difference was found, 2 usage or configuration, 3 could not decide, because something
is down, 70 a defect of Trueup. `TRUEUP_DEBUG=1` shows where an error came from.
"""


def commands() -> str:
    """Every command with its arguments and options."""
    return "".join([MADE, _COMMANDS, *_command(typer.main.get_command(app), ["trueup"])])


def _command(command: Any, path: list[str]) -> Iterator[str]:
    if len(path) > 1:
        arguments = [p for p in command.params if _is_argument(p)]
        usage = " ".join([*path, *(p.metavar for p in arguments)])
        yield f"\n## {usage}\n\n{command.help}\n"
        if command.params:
            yield "\n| option | default | meaning |\n|---|---|---|\n"
        for p in command.params:
            spelled = f"`{p.metavar}`" if _is_argument(p) else ", ".join(f"`{o}`" for o in [*p.opts, *p.secondary_opts])
            yield f"| {spelled} | {_shown(p)} | {p.help.replace('|', chr(92) + '|')} |\n"
    for name, inner in getattr(command, "commands", {}).items():
        yield from _command(inner, [*path, name])


def _is_argument(parameter: Any) -> bool:
    return isinstance(parameter, typer.core.TyperArgument)


def _shown(parameter: Any) -> str:
    value = parameter.default
    if parameter.required:
        return "needed"
    if isinstance(value, bool) and parameter.secondary_opts:
        return f"`{(parameter.opts if value else parameter.secondary_opts)[0]}`"
    if value is None or value is False:
        return ""
    return f"`{value.value if isinstance(value, Enum) else value}`"


def main() -> None:
    """Write every generated file below `docs/` in the working directory."""
    for name, text in generated().items():
        path = Path("docs") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.rstrip("\n") + "\n")
        sys.stderr.write(f"{path}\n")


if __name__ == "__main__":
    main()
