"""The documentation says what the code does."""

from __future__ import annotations

import json
import re
from itertools import takewhile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
import yaml

from pipeline.cli.app import app
from pipeline.config import Settings
from pipeline.docs import generated
from pipeline.report.metrics import RATES, WEIGHTED, action_metrics, metrics
from schemas.contract import EVENTS
from schemas.mapping.profile import PREFIX
from schemas.mapping.reader import Reader
from schemas.mapping.records import Mapper
from schemas.mapping.table import OWN, ROWS
from schemas.rows import COUNTS
from schemas.words import ACTION_DIMENSIONS, Reason
from sinks.clickhouse.actions import Actions
from sinks.clickhouse.reads import Counted
from tests.otlp import logs, record, span, traces
from tests.schemas.mapped import events_of

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def rows(text: str, columns: int) -> list[list[str]]:
    """The rows of every table with so many columns, without head and rule."""
    cells = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[c.strip() for c in row] for row in cells if len(row) == columns and not row[0].strip().startswith("---")]


def section(text: str, title: str) -> str:
    """What is under a heading, up to the next of its level."""
    (level,) = re.findall(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    after = text.split(f"{level} {title}\n", 1)[1].splitlines()
    return "\n".join(takewhile(lambda line: not re.match(rf"#{{1,{len(level)}}} ", line), after))


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# --- what is made from the code ------------------------------------------------------------------


@pytest.mark.parametrize("name", generated())
def test_what_is_made_from_the_code_is_up_to_date(name: str) -> None:
    written = (DOCS / name).read_text() if (DOCS / name).exists() else "nothing"
    assert written == generated()[name].rstrip("\n") + "\n", "run `python -m pipeline.docs`"


def test_there_is_no_schema_of_an_event_that_does_not_exist() -> None:
    schemas = {f"schemas/{path.name}" for path in (DOCS / "schemas").iterdir()}
    assert schemas == {name for name in generated() if name.startswith("schemas/")}


def schema(name: str) -> dict[str, Any]:
    return dict(json.loads(generated()[f"schemas/{name}.json"]))


def test_the_schemas_together_have_every_attribute_of_ours() -> None:
    told = {attribute for name in ("span", *EVENTS) for attribute in schema(name)["properties"]}
    assert {row.attribute for row in ROWS if row.convention == OWN} <= told


@pytest.mark.parametrize("name", ["span", *EVENTS])
def test_a_schema_has_what_any_span_or_event_may_say(name: str) -> None:
    common = {"trueup.task.id", "trueup.workflow", "trueup.stage", "trueup.tenant"}
    assert schema(name)["properties"].keys() >= common | ({"trueup.event.id"} if name in EVENTS else set())
    good = {"trueup.task.id": "T-1", "trueup.workflow": "refunds", "trueup.stage": "pilot", "trueup.tenant": "acme"}
    for bad in ({"trueup.stage": "prod"}, {"trueup.task.id": ["T-1"]}, {"trueup.tenant": True}):
        errors = jsonschema.Draft202012Validator(schema(name)).iter_errors({**good, **bad})
        assert {attribute for error in errors for attribute in error.path} == bad.keys()


# --- metrics -------------------------------------------------------------------------------------

METRICS = (DOCS / "metrics.md").read_text()


def test_every_rate_has_its_numerator_and_denominator() -> None:
    told = {code(row[0])[0]: (code(row[1]), code(row[2])) for row in rows(METRICS, 4)[1:] if code(row[0])}
    for rate in RATES:
        assert told[rate.name] == (list(rate.numerator), list(rate.denominator))
    for weighted in WEIGHTED:
        minus = [weighted.minus] if weighted.minus else []
        assert told[weighted.name] == ([weighted.numerator], [weighted.denominator, *minus])


def test_every_metric_is_defined_and_no_other() -> None:
    told = [code(row[0])[0] for row in rows(METRICS, 4) if code(row[0])]
    counted = Counted(None, {}, dict.fromkeys(COUNTS, 0), {}, {}, {})
    assert sorted(told) == sorted(metrics(counted))


def test_every_metric_and_dimension_of_actions_is_defined_and_no_other() -> None:
    dimensions, told = section(METRICS, "Actions").split("| metric |")
    assert [code(row[0])[0] for row in rows(dimensions, 2)[1:]] == list(ACTION_DIMENSIONS)
    assert [code(row[0])[0] for row in rows(told, 3)] == list(action_metrics(Actions(None, {})))


def test_every_count_is_defined_in_its_order() -> None:
    assert [code(row[0])[0] for row in rows(section(METRICS, "Counts"), 2)[1:]] == list(COUNTS)


# --- the contract --------------------------------------------------------------------------------

CONTRACT = (DOCS / "events.md").read_text()
EXAMPLES = re.findall(r"^```json ([a-z_ ]+)\n(.*?)^```", CONTRACT, re.MULTILINE | re.DOTALL)
SENT_AT = 1_795_000_000_000_000


@pytest.mark.parametrize(("kinds", "text"), EXAMPLES, ids=[kinds for kinds, _ in EXAMPLES])
def test_every_example_becomes_what_it_says(kinds: str, text: str) -> None:
    example = json.loads(text)
    if "span" in example:
        found = events_of(traces(span(example["span"])), "traces", Mapper(), SENT_AT)
    else:
        values = record(example["event_name"], example["attributes"], traceId="")
        found = events_of(logs(values), "logs", Mapper(), SENT_AT)
    assert [event.kind for event in found] == kinds.split()
    jsonschema.validate(example.get("span") or example["attributes"], schema(example.get("event_name", "span")))


def test_every_event_has_an_example_with_each_of_its_attributes() -> None:
    for name, model in EVENTS.items():
        told = section(CONTRACT, next(t for t in re.findall(r"^### (.*)$", CONTRACT, re.MULTILINE) if f"`{name}`" in t))
        for field in model.model_fields.values():
            if field.is_required():
                assert f'"{field.alias}"' in told, field.alias


def test_every_attribute_of_ours_is_told() -> None:
    for row in ROWS:
        if row.convention == OWN:
            assert row.attribute in CONTRACT, row.attribute
    assert f"`{PREFIX}*`" in CONTRACT


def test_every_reason_is_told() -> None:
    assert [code(row[0])[0] for row in rows(section(CONTRACT, "What cannot be used"), 2)[1:]] == list(Reason)


def test_the_example_of_aliases_can_be_used() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", CONTRACT, re.MULTILINE | re.DOTALL)
    settings = Settings(**yaml.safe_load(text))
    assert Reader(settings.aliases).read({"ticket.id": "T-1"})[0] == {"task_id": "T-1"}


# --- README --------------------------------------------------------------------------------------

README = (ROOT / "README.md").read_text()


def test_the_first_thing_in_the_readme_are_the_two_commands() -> None:
    _title, _, rest = README.partition("\n")
    assert rest.lstrip().startswith("```\nmake demo\nmake test\n```")


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        named = set(re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(), re.MULTILINE))
        assert named <= targets, path


def commands() -> set[str]:
    root = typer.main.get_command(app)
    groups = {name: getattr(command, "commands", {}) for name, command in root.commands.items()}
    return {*groups, *(f"{name} {inner}" for name, inners in groups.items() for inner in inners)}


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_command_and_link_of_a_document_exists(path: Path) -> None:
    text = path.read_text()
    for first, second in re.findall(r"`(?:\.venv/bin/)?trueup ([a-z]+)(?: ([a-z]+))?[` ]", text):
        assert first in commands(), first
        groups = {name.split()[0] for name in commands() if " " in name}
        if first in groups and second:
            assert f"{first} {second}" in commands()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / target).exists(), target


def test_the_table_of_commands_has_every_command_and_no_other() -> None:
    told = [code(row[0])[0].removeprefix("trueup ") for row in rows(section(README, "Commands"), 2)[1:]]
    assert sorted(told) == sorted(name for name in commands() if " " not in name)
