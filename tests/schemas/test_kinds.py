"""What kind of work a span is, by whichever convention says so."""

from __future__ import annotations

import pytest

from schemas.units import NANO
from schemas.words import Kind
from tests.schemas.mapped import of_span


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"openinference.span.kind": "RERANKER", "gen_ai.operation.name": "chat"}, Kind.STEP),
        ({"openinference.span.kind": "PROMPT"}, Kind.STEP),
        ({"openinference.span.kind": "UNKNOWN"}, Kind.OTHER),
        ({"openinference.span.kind": "UNKNOWN", "gen_ai.operation.name": "chat"}, Kind.MODEL_CALL),
        ({"llm.request.type": "embedding"}, Kind.EMBEDDING),
        ({"llm.request.type": "rerank"}, Kind.STEP),
        ({"llm.request.type": "unknown"}, Kind.OTHER),
        ({"gen_ai.operation.name": "search_memory"}, Kind.STEP),
        ({"gen_ai.operation.name": "delete_memory_store"}, Kind.STEP),
    ],
    ids=str,
)
def test_what_is_neither_a_call_nor_a_run_is_a_step_where_a_convention_says_what_it_is(
    values: dict[str, str], kind: Kind
) -> None:
    assert of_span(values).kind == kind


def test_an_embedding_of_an_old_instrumentation_tells_its_tokens_and_its_cost() -> None:
    values = {"llm.request.type": "embedding", "gen_ai.usage.input_tokens": 9, "gen_ai.usage.cost": 0.1}
    event = of_span(values)
    assert (event.kind, event.input_tokens, event.cost) == (Kind.EMBEDDING, 9, NANO // 10)
