"""Which attribute says what: own names, then the user's aliases, then the conventions."""

from __future__ import annotations

import json

import pytest

from schemas.mapping.reader import Reader, classify
from schemas.mapping.table import KINDS, OWN, ROWS, KindRow, Row
from schemas.words import Kind

ALIASES = {"trueup.task.id": ["ticket.id", "metadata.task_id"], "trueup.task.type": ["metadata.case.type"]}
FIELDS = sorted({row.field for row in ROWS})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.attribute)
def test_every_row_of_the_table_is_read(row: Row) -> None:
    fields, names = Reader().read({row.attribute: "x", "other": 1})
    assert fields == {row.field: "x"}
    assert names == {row.field: row.attribute}


@pytest.mark.parametrize("field", FIELDS)
def test_of_several_attributes_the_first_of_the_table_wins(field: str) -> None:
    attributes = [row.attribute for row in ROWS if row.field == field]
    for told in (attributes, attributes[::-1]):
        fields, names = Reader().read({name: name for name in told})
        assert fields[field] == names[field] == attributes[0]


def test_no_attribute_gives_two_fields() -> None:
    assert len({row.attribute for row in ROWS}) == len(ROWS)


def test_own_names_beat_aliases_and_aliases_beat_conventions() -> None:
    reader = Reader({"trueup.workflow": ["flow"], "trueup.cost.usd": ["bill.usd"]})
    attributes = {"trueup.workflow": "own", "flow": "alias", "bill.usd": 2}
    assert reader.read(attributes) == (
        {"workflow": "own", "cost": 2},
        {"workflow": "trueup.workflow", "cost": "bill.usd"},
    )
    model = Reader({"trueup.tenant": ["gen_ai.agent.name"]})
    assert model.read({"gen_ai.agent.name": "a"})[0] == {"tenant": "a", "agent": "a"}


def test_of_several_aliases_the_first_of_the_list_wins() -> None:
    attributes = {"metadata": '{"task_id": "second"}', "ticket.id": "first"}
    assert Reader(ALIASES).read(attributes) == ({"task_id": "first"}, {"task_id": "ticket.id"})


@pytest.mark.parametrize(
    "metadata",
    ['{"task_id": "T-1", "more": [1, {"a": null}]}', ' \n{"task_id": "T-1"}', {"task_id": "T-1", "more": 1}],
)
def test_an_alias_reads_a_field_of_a_json_attribute(metadata: object) -> None:
    assert Reader(ALIASES).read({"metadata": metadata}) == ({"task_id": "T-1"}, {"task_id": "metadata.task_id"})


def test_an_alias_reads_an_attribute_of_its_whole_name() -> None:
    assert Reader(ALIASES).read({"metadata.task_id": "T-1"})[0] == {"task_id": "T-1"}


@pytest.mark.parametrize(
    "attributes",
    [
        {"metadata": {"case": {"type": "refund"}}},
        {"metadata": json.dumps({"case": {"type": "refund"}})},
        {"metadata.case": {"type": "refund"}},
        {"metadata.case": '{"type": "refund"}'},
        {"metadata.case.type": "refund"},
    ],
)
def test_an_alias_may_be_cut_at_any_dot(attributes: dict[str, object]) -> None:
    assert Reader(ALIASES).read(attributes) == ({"task_type": "refund"}, {"task_type": "metadata.case.type"})


@pytest.mark.parametrize(
    "metadata",
    [
        "no json",
        "{broken",
        '{"task_id": null}',
        '{"task_id": ""}',
        '{"task_id": {"a": 1}}',
        '{"task_id": ["T-1"]}',
        '{"Task_ID": "T-1"}',
        '{"task_id"' + ":[" * 5_000,
        '{"a":' * 5_000,
        ["task_id"],
        7,
        b'{"task_id": "T-1"}',
        None,
    ],
    ids=lambda v: repr(v)[:40],
)
def test_where_an_alias_finds_no_value_nothing_is_told(metadata: object) -> None:
    assert Reader(ALIASES).read({"metadata": metadata}) == ({}, {})


def test_an_empty_text_is_not_told() -> None:
    assert Reader(ALIASES).read({"trueup.task.id": "", "ticket.id": "T-1"})[0] == {"task_id": "T-1"}


def test_an_alias_of_what_is_no_attribute_of_the_contract_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^trueup.task is not an attribute of the contract: trueup.task.id, "):
        Reader({"trueup.task": ["x"]})


def test_every_own_attribute_may_have_an_alias() -> None:
    for row in ROWS:
        if row.convention == OWN:
            assert Reader({row.attribute: ["alias"]}).read({"alias": "x"})[0] == {row.field: "x"}


@pytest.mark.parametrize("row", KINDS, ids=lambda row: f"{row.field}={row.value}")
def test_every_row_of_the_kinds_is_used(row: KindRow) -> None:
    assert classify({row.field: row.value}) == row.kind


def test_the_first_row_that_fits_decides() -> None:
    assert classify({"operation": "execute_tool", "inference_kind": "LLM"}) == Kind.MODEL_CALL
    assert classify({"llmetry_kind": "tool", "operation": "invoke_agent"}) == Kind.AGENT_RUN
    assert classify({"operation": "execute_task", "llmetry_kind": "tool"}) == Kind.STEP


@pytest.mark.parametrize("fields", [{}, {"operation": "dance"}, {"operation": 7}, {"operation": ["chat"]}])
def test_a_span_that_no_row_fits_is_another(fields: dict[str, object]) -> None:
    assert classify(fields) == Kind.OTHER
