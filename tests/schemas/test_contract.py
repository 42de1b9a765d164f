"""The contract's models: what an attribute may be, and what its author is told when it is not."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from schemas import contract
from schemas.mapping.records import explain
from schemas.units import MICRO, NANO

GOOD = [
    (contract.TaskSpan, {}, {"task_type": None, "outcome": None, "cost": None}),
    (contract.TaskSpan, {"trueup.task.type": "refund", "trueup.cost.usd": 0.25}, {"cost": NANO // 4}),
    (contract.TaskSpan, {"trueup.cost.usd": "0.1"}, {"cost": NANO // 10}),
    (contract.TaskSpan, {"trueup.cost.usd": 0}, {"cost": 0}),
    (contract.TaskSpan, {"trueup.cost.usd": 10**9}, {"cost": 10**9 * NANO}),
    (contract.TaskClaimed, {"trueup.task.outcome": "gave_up"}, {"outcome": "gave_up"}),
    (
        contract.TaskVerified,
        {"trueup.verdict": "failure"},
        {"verdict": "failure", "verifier": "unknown", "inclusion_probability": MICRO},
    ),
    (
        contract.TaskVerified,
        {"trueup.verdict": "inconclusive", "trueup.inclusion_probability": 0.0001},
        {"verdict": "inconclusive", "inclusion_probability": 100},
    ),
    (
        contract.TaskIntervened,
        {"trueup.intervention": "taken_over", "trueup.human.minutes": 1.5, "trueup.human.role": "clerk"},
        {"intervention": "taken_over", "minutes": 1_500_000, "role": "clerk"},
    ),
    (contract.TaskFeedback, {"trueup.satisfaction": 1}, {"satisfaction": MICRO, "complaint": None}),
    (contract.TaskFeedback, {"trueup.complaint": False}, {"satisfaction": None, "complaint": False}),
    (
        contract.CostIncurred,
        {"trueup.cost.category": "human", "trueup.cost.usd": 12},
        {"category": "human", "cost": 12 * NANO, "period_start": None},
    ),
    (
        contract.CostIncurred,
        {
            "trueup.cost.category": "engineering",
            "trueup.cost.usd": 1e-9,
            "trueup.period.start": 5,
            "trueup.period.end": 5,
        },
        {"cost": 1, "period_start": 5, "period_end": 5},
    ),
    (
        contract.BusinessOutcome,
        {"trueup.outcome.name": "refund", "trueup.outcome.value": -3},
        {"name": "refund", "value": -3 * MICRO},
    ),
    (
        contract.EvaluationResult,
        {"gen_ai.evaluation.name": "judge", "gen_ai.evaluation.score.value": 0.5},
        {"name": "judge", "score": MICRO // 2, "label": None, "verifier": None},
    ),
]

VERIFIED = {"trueup.verdict": "success"}
CORRECTED = {"trueup.intervention": "corrected"}
SPENT = {"trueup.cost.category": "tool", "trueup.cost.usd": 1}
NAMED = {"gen_ai.evaluation.name": "judge"}
LATEST = 2**32 * NANO

BAD = [
    (contract.TaskSpan, {"trueup.cost.usd": float("nan")}, "trueup.cost.usd", "nan is not a finite number"),
    (contract.TaskSpan, {"trueup.cost.usd": "NaN"}, "trueup.cost.usd", "not a finite number"),
    (contract.TaskSpan, {"trueup.cost.usd": float("inf")}, "trueup.cost.usd", "not a finite number"),
    (contract.TaskSpan, {"trueup.cost.usd": -1}, "trueup.cost.usd", "-1 is outside 0..1000000000 USD"),
    (contract.TaskSpan, {"trueup.cost.usd": -1e-12}, "trueup.cost.usd", "outside 0..1000000000 USD"),
    (contract.TaskSpan, {"trueup.cost.usd": 1e9 + 1}, "trueup.cost.usd", "outside 0..1000000000 USD"),
    (contract.TaskSpan, {"trueup.cost.usd": True}, "trueup.cost.usd", "a bool is not a number"),
    (contract.TaskSpan, {"trueup.cost.usd": "cheap"}, "trueup.cost.usd", "a text of 5 characters is not a number"),
    (contract.TaskSpan, {"trueup.cost.usd": [0, [1, 2], 0]}, "trueup.cost.usd", "a list is not a number"),
    (contract.TaskSpan, {"trueup.task.type": 7}, "trueup.task.type", "valid string"),
    (contract.TaskSpan, {"trueup.task.type": ""}, "trueup.task.type", "at least 1 character"),
    (contract.TaskSpan, {"trueup.task.type": "x" * 257}, "trueup.task.type", "at most 256 characters"),
    (contract.TaskSpan, {"trueup.task.outcome": "done"}, "trueup.task.outcome", "'success', 'failure', 'escalated'"),
    (contract.TaskClaimed, {}, "trueup.task.outcome", "Field required"),
    (contract.TaskClaimed, {"outcome": "success"}, "trueup.task.outcome", "Field required"),
    (contract.TaskClaimed, {"trueup.task.outcome": True}, "trueup.task.outcome", "'success', 'failure', 'escalated'"),
    (contract.TaskVerified, {}, "trueup.verdict", "Field required"),
    (contract.TaskVerified, {"trueup.verdict": "ok"}, "trueup.verdict", "'success', 'failure' or 'inconclusive'"),
    (contract.TaskVerified, VERIFIED | {"trueup.verifier": ["qa"]}, "trueup.verifier", "valid string"),
    *(
        (
            contract.TaskVerified,
            VERIFIED | {"trueup.inclusion_probability": p},
            "trueup.inclusion_probability",
            "outside 0.0001..1",
        )
        for p in (0, -0.5, 1.01, 0.00009)
    ),
    (
        contract.TaskVerified,
        VERIFIED | {"trueup.inclusion_probability": float("nan")},
        "trueup.inclusion_probability",
        "not a finite number",
    ),
    (contract.TaskIntervened, {}, "trueup.intervention", "Field required"),
    (contract.TaskIntervened, {"trueup.intervention": "fired"}, "trueup.intervention", "'corrected', 'rejected'"),
    (contract.TaskIntervened, CORRECTED | {"trueup.human.minutes": -1}, "trueup.human.minutes", "outside 0..100000"),
    (contract.TaskIntervened, CORRECTED | {"trueup.human.role": 1}, "trueup.human.role", "valid string"),
    (contract.TaskFeedback, {}, "event", "set trueup.satisfaction or trueup.complaint"),
    (contract.TaskFeedback, {"trueup.satisfaction": 5}, "trueup.satisfaction", "5 is outside 0..1"),
    (contract.TaskFeedback, {"trueup.complaint": 1}, "trueup.complaint", "1 is not a boolean"),
    (
        contract.TaskFeedback,
        {"trueup.complaint": "false"},
        "trueup.complaint",
        "a text of 5 characters is not a boolean",
    ),
    (contract.CostIncurred, {"trueup.cost.category": "tool"}, "trueup.cost.usd", "Field required"),
    (contract.CostIncurred, SPENT | {"trueup.cost.category": "beer"}, "trueup.cost.category", "'model', 'tool'"),
    (contract.CostIncurred, SPENT | {"trueup.cost.usd": float("nan")}, "trueup.cost.usd", "not a finite number"),
    (contract.CostIncurred, SPENT | {"trueup.period.start": 1}, "event", "set both trueup.period.start and"),
    (
        contract.CostIncurred,
        SPENT | {"trueup.period.start": 2, "trueup.period.end": 1},
        "event",
        "trueup.period.end is before trueup.period.start",
    ),
    (
        contract.CostIncurred,
        SPENT | {"trueup.period.start": -1, "trueup.period.end": 1},
        "trueup.period.start",
        "greater than or equal to 0",
    ),
    (
        contract.CostIncurred,
        SPENT | {"trueup.period.start": 1, "trueup.period.end": LATEST},
        "trueup.period.end",
        f"less than {LATEST}",
    ),
    (contract.BusinessOutcome, {"trueup.outcome.value": 1}, "trueup.outcome.name", "Field required"),
    (
        contract.BusinessOutcome,
        {"trueup.outcome.name": "refund", "trueup.outcome.value": "many"},
        "trueup.outcome.value",
        "a text of 4 characters is not a number",
    ),
    (contract.EvaluationResult, {}, "gen_ai.evaluation.name", "Field required"),
    (
        contract.EvaluationResult,
        NAMED | {"gen_ai.evaluation.score.value": float("-inf")},
        "gen_ai.evaluation.score.value",
        "not a finite number",
    ),
    (
        contract.EvaluationResult,
        NAMED | {"gen_ai.evaluation.score.value": 1_000_001},
        "gen_ai.evaluation.score.value",
        "outside -1000000..1000000",
    ),
    (
        contract.EvaluationResult,
        NAMED | {"gen_ai.evaluation.score.label": True},
        "gen_ai.evaluation.score.label",
        "valid string",
    ),
]


def label(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else repr(value)[:60]


@pytest.mark.parametrize(("model", "attributes", "expected"), GOOD, ids=label)
def test_good_attributes_are_kept_in_exact_units(
    model: type[contract.Contract], attributes: dict[str, Any], expected: dict[str, Any]
) -> None:
    said = model.model_validate(attributes)
    assert {name: getattr(said, name) for name in expected} == expected


@pytest.mark.parametrize(("model", "attributes", "attribute", "why"), BAD, ids=label)
def test_a_bad_attribute_is_refused_and_named(
    model: type[contract.Contract], attributes: dict[str, Any], attribute: str, why: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(attributes)
    assert caught.value.error_count() == 1
    text = explain(caught.value)
    assert text.startswith(f"{attribute}: ")
    assert why in text


def test_attributes_of_others_are_ignored() -> None:
    said = contract.TaskClaimed.model_validate({"trueup.task.outcome": "success", "gen_ai.prompt": object()})
    assert said == contract.TaskClaimed.model_validate({"trueup.task.outcome": "success"})


def test_a_text_of_megabytes_is_not_repeated_in_the_message() -> None:
    with pytest.raises(ValidationError) as caught:
        contract.TaskSpan.model_validate({"trueup.cost.usd": "9" * 10_000_000, "trueup.task.type": "x" * 10_000_000})
    assert len(explain(caught.value)) < 500


@pytest.mark.parametrize(("model", "attributes", "expected"), GOOD, ids=label)
def test_the_json_schema_accepts_what_the_model_accepts(
    model: type[contract.Contract], attributes: dict[str, Any], expected: dict[str, Any]
) -> None:
    numbers = {k: float(v) if k == "trueup.cost.usd" else v for k, v in attributes.items()}
    jsonschema.validate(numbers, model.model_json_schema())


NOT_IN_A_SCHEMA = ("nan", "inf", "not a finite", "set both", "set trueup", "before trueup")


@pytest.mark.parametrize(
    ("model", "attributes", "attribute", "why"),
    [row for row in BAD if not any(word in row[3] for word in NOT_IN_A_SCHEMA)],
    ids=label,
)
def test_the_json_schema_refuses_what_the_model_refuses(
    model: type[contract.Contract], attributes: dict[str, Any], attribute: str, why: str
) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(attributes, model.model_json_schema())
