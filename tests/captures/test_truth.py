"""What real frameworks emit, unchanged, gives what really happened; what it does not tell is unknown."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from schemas.words import Kind, TaskStatus
from tests.captures.measured import NAMES, Measured, compare, measure, requests, settings
from tests.captures.table import DOCUMENT

GUESSES_ALLOWED = ("status", "tool_calls", "tool_errors")
"""Of these, an instrumentation tells something that did not happen: a tool span of a call that was never made."""


@pytest.fixture(scope="module", params=NAMES)
def capture(request: pytest.FixtureRequest) -> tuple[str, Measured]:
    return request.param, measure(requests(request.param))


def test_what_the_telemetry_tells_is_exact(capture: tuple[str, Measured]) -> None:
    name, measured = capture
    wrong = [c for c in compare(name, measured.tasks) if c.told and c.got != c.should]
    assert wrong == []


def test_what_the_telemetry_does_not_tell_is_no_guess(capture: tuple[str, Measured]) -> None:
    name, measured = capture
    shared = {"DA-8", "DA-9"}  # one trace holds two runs: together they are right
    untold = [c for c in compare(name, measured.tasks) if not c.told and c.run not in shared]
    assert [c for c in untold if c.got not in (None, c.should) and c.number not in GUESSES_ALLOWED] == []


def test_nothing_of_it_is_a_dead_letter(capture: tuple[str, Measured]) -> None:
    assert capture[1].packed.dead_letters == []


def test_two_runs_of_one_trace_are_counted_once() -> None:
    compared = compare("smolagents-openinference", measure(requests("smolagents-openinference")).tasks)
    for number in ("model_calls", "input_tokens", "output_tokens"):
        one, other = (c for c in compared if c.run in ("DA-8", "DA-9") and c.number == number)
        assert one.got == other.got == one.should + other.should


@pytest.mark.parametrize("seed", [1, 2])
def test_all_captures_at_once_in_any_order_are_exact_too(seed: int) -> None:
    messages = [message for name in NAMES for message in requests(name)]
    Random(seed).shuffle(messages)  # noqa: S311 - an order, not a secret
    tasks = measure(messages).tasks
    wrong = [(name, c) for name in NAMES for c in compare(name, tasks) if c.told and c.got != c.should]
    assert wrong == []


# --- what others judged --------------------------------------------------------------------------


def verdicts(measured: Measured) -> dict[str, str | None]:
    return {task["task_id"]: task["verdict"] for task in measured.tasks}


def test_annotations_of_humans_and_code_are_verdicts_and_those_of_models_are_scores() -> None:
    measured = measure(requests("feedback-openinference"))
    assert verdicts(measured) == {"OI-1": None, "OI-2": "failure", "OI-3": None, "OI-4": "success"}
    rows = {row.task_id: row for row in measured.store.task_rows.values()}
    assert rows["OI-2"].verifier == "human:task_outcome"
    assert rows["OI-4"].verifier == "code:task_outcome"
    assert rows["OI-1"].scores == {"policy_check": 1_000_000}
    judges = [e for _, e in measured.store.raw.values() if e.task_id == "OI-4" and e.kind == Kind.SCORE]
    assert [(e.name, e.value) for e in judges] == [("task_outcome", "correct")] * 2


def each_span_apart(name: str) -> list[tuple[str, bytes]]:
    """A capture with a message for each of its spans."""
    found = []
    for topic, payload in requests(name):
        for group in msgspec.json.decode(payload)["resourceSpans"]:
            for scoped in group["scopeSpans"]:
                for span in scoped["spans"]:
                    alone = {**group, "scopeSpans": [{**scoped, "spans": [span]}]}
                    found.append((topic, msgspec.json.encode({"resourceSpans": [alone]})))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_judgement_may_come_before_or_after_what_it_judges(seed: int) -> None:
    messages = each_span_apart("feedback-openinference")
    Random(seed).shuffle(messages)  # noqa: S311 - an order, not a secret
    assert verdicts(measure(messages)) == {"OI-1": None, "OI-2": "failure", "OI-3": None, "OI-4": "success"}


def test_a_configured_name_is_a_verdict() -> None:
    measured = measure(requests("feedback-openinference"), settings(verdicts=["task_outcome", "policy_check"]))
    assert verdicts(measured)["OI-1"] == "success"


def test_feedback_about_a_session_is_kept_without_a_task() -> None:
    given = settings(feedback={"csat": {"low": 1, "high": 5}})
    measured = measure(requests("feedback-openinference"), given)
    (event,) = [e for _, e in measured.store.raw.values() if not e.task_id]
    assert (event.kind, event.name, event.number) == (Kind.FEEDBACK, "csat", 750_000)
    assert event.attributes == {"session.id": "sess-OI-3"}
    assert not any(row.answered for row in measured.store.task_rows.values())


def test_who_judges_is_no_task() -> None:
    measured = measure(requests("feedback-openinference"))
    assert sorted(task["task_id"] for task in measured.tasks) == ["OI-1", "OI-2", "OI-3", "OI-4"]


def test_a_framework_s_own_evaluators_are_verdicts_once_they_are_named() -> None:
    scored = measure(requests("feedback-pydantic-evals"))
    assert set(verdicts(scored).values()) == {None}
    rows = [row for row in scored.store.task_rows.values() if row.status == TaskStatus.FINISHED]
    assert [row.scores["Helpfulness"] for row in rows] == [800_000] * 3
    judged = measure(requests("feedback-pydantic-evals"), settings(verdicts=["DecisionMatchesRegistry"]))
    assert sorted(verdicts(judged).values(), key=str) == ["failure", "success", "success"]


# --- cost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("anthropic-otel-genai", True),
        ("openai-agents-openllmetry", True),
        ("google-adk", True),
        ("pydantic-ai", True),
        ("strands", False),
        ("smolagents-openinference", False),
        ("autogen", False),
    ],
)
def test_a_cost_is_known_where_provider_model_and_tokens_are(name: str, known: bool) -> None:
    """Pydantic AI reckons itself; Strands names itself as the provider; smolagents a model that no list has."""
    tasks = [task for task in measure(requests(name)).tasks if task["input_tokens"] != 0]
    assert tasks
    assert any(task["cost_usd"] is not None for task in tasks) == known


def test_an_alias_says_what_a_framework_s_models_are() -> None:
    """As docs/frameworks.md says of Strands."""
    model = "us.anthropic.claude-sonnet-4-20250514-v1:0"
    measured = measure(requests("strands"), settings(model_aliases={model: f"bedrock/{model}"}))
    assert all(task["cost_usd"] is not None for task in measured.tasks if task["model_calls"])
    assert f'"{model}": "bedrock/{model}"' in DOCUMENT.read_text()
