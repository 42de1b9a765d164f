"""A span as a canonical event."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.event import TIME_END, event_hash
from schemas.mapping.records import DAY_US, Limits, Mapper, Price
from schemas.mapping.values import Rejected
from schemas.prices import Usage
from schemas.units import MINUTE_US, NANO
from schemas.words import Kind, Reason
from tests.otlp import NOW_NS, SECOND_NS, SPAN, TRACE, span, traces
from tests.schemas.mapped import CHAT, RECEIVED, events_of, of_span

TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}


def test_a_span_is_known_by_its_trace_and_span_id() -> None:
    event = of_span()
    assert (event.event_id, event.hash) == (f"{TRACE}:{SPAN}", event_hash(f"{TRACE}:{SPAN}"))
    assert of_span({"changed": "yes"}, name="other", at=NOW_NS + SECOND_NS).hash == event.hash
    assert of_span(spanId="1" * 16).hash != event.hash


def test_times_are_microseconds() -> None:
    event = of_span(startTimeUnixNano=str(NOW_NS - 1_999), endTimeUnixNano=str(NOW_NS + 999))
    assert (event.start, event.at) == (NOW_NS // 1_000 - 2, NOW_NS // 1_000)


def test_a_span_without_end_ends_as_it_starts_and_none_ends_before() -> None:
    assert of_span(endTimeUnixNano="0").at == of_span().start
    backwards = of_span(startTimeUnixNano=str(NOW_NS), endTimeUnixNano=str(NOW_NS - SECOND_NS))
    assert (backwards.start, backwards.at) == (NOW_NS // 1_000 - 1_000_000,) * 2


@pytest.mark.parametrize(
    ("values", "resource", "expected"),
    [
        ({}, {}, {"workflow": "agent", "agent": "agent", "stage": "production", "tenant": "", "environment": ""}),
        ({}, {"trueup.workflow": "refunds", "trueup.stage": "pilot"}, {"workflow": "refunds", "stage": "pilot"}),
        ({"trueup.workflow": "mine"}, {"trueup.workflow": "refunds"}, {"workflow": "mine", "agent": "agent"}),
        ({"trueup.stage": "control"}, {"trueup.stage": "pilot"}, {"stage": "control"}),
        ({"gen_ai.agent.name": "desk"}, {}, {"agent": "desk", "workflow": "agent"}),
        ({}, {"service.version": "1.2"}, {"agent_version": "1.2"}),
        ({"gen_ai.agent.version": "2"}, {"service.version": "1.2"}, {"agent_version": "2"}),
        ({}, {"deployment.environment.name": "staging"}, {"environment": "staging"}),
        ({}, {"deployment.environment": "old"}, {"environment": "old"}),
        ({}, {"trueup.tenant": "acme"}, {"tenant": "acme"}),
        ({"trueup.tenant": 7}, {}, {"tenant": "7"}),
    ],
    ids=str,
)
def test_dimensions_come_from_the_span_else_its_resource(
    values: dict[str, Any], resource: dict[str, Any], expected: dict[str, str]
) -> None:
    event = of_span(values, resource=resource)
    assert {name: getattr(event, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("values", "aliases", "task_id", "source"),
    [
        ({}, {}, TRACE, "trace"),
        ({"trueup.task.id": ""}, {}, TRACE, "trace"),
        ({"trueup.task.id": "T-1"}, {}, "T-1", "trueup.task.id"),
        ({"trueup.task.id": 17}, {}, "17", "trueup.task.id"),
        ({"metadata": '{"task_id": "T-2"}'}, {"trueup.task.id": ["metadata.task_id"]}, "T-2", "metadata.task_id"),
        ({"ticket": "T-3", "trueup.task.id": "T-1"}, {"trueup.task.id": ["ticket"]}, "T-1", "trueup.task.id"),
    ],
    ids=str,
)
def test_the_task_is_the_one_named_else_the_trace_and_the_source_is_kept(
    values: dict[str, Any], aliases: dict[str, list[str]], task_id: str, source: str
) -> None:
    event = of_span(values, mapper=Mapper(aliases=aliases))
    assert (event.task_id, event.task_source) == (task_id, source)


@pytest.mark.parametrize(
    ("values", "fields", "claim"),
    [
        ({"trueup.task.outcome": "escalated"}, {}, ("escalated", 1, 1)),
        ({"trueup.task.outcome": "success"}, {"status": {"code": 2}}, ("success", 1, 1)),
        ({"trueup.task.outcome": "gave_up"}, {"parentSpanId": "1" * 16}, ("gave_up", 1, 1)),
        ({}, {}, ("success", 0, 1)),
        ({}, {"status": {"code": 2}}, ("failure", 0, 1)),
        ({}, {"parentSpanId": "0" * 16}, ("success", 0, 1)),
        ({}, {"parentSpanId": "1" * 16}, ("", 0, 0)),
        ({}, {"parentSpanId": "1" * 16, "status": {"code": 2}}, ("", 0, 0)),
        (TOOL, {}, ("", 0, 0)),
        (CHAT | {"trueup.task.id": "T-1"}, {}, ("", 0, 0)),
        (CHAT, {}, ("success", 0, 1)),
        (TOOL | {"trueup.task.outcome": "failure"}, {}, ("failure", 1, 1)),
    ],
    ids=str,
)
def test_the_claim_is_stated_else_read_off_the_status_of_a_root(
    values: dict[str, Any], fields: dict[str, Any], claim: tuple[str, int, int]
) -> None:
    event = of_span(values, **fields)
    assert (event.value, event.explicit, event.root) == claim


EXCEPTION = {"name": "exception", "attributes": [{"key": "exception.type", "value": {"stringValue": "TimeoutError"}}]}


@pytest.mark.parametrize(
    ("values", "fields", "error"),
    [
        ({}, {}, ""),
        ({"error.type": "rate_limit"}, {}, "rate_limit"),
        ({"error.type": "rate_limit"}, {"status": {"code": 2}, "events": [EXCEPTION]}, "rate_limit"),
        ({}, {"status": {"code": 2}, "events": [{"name": "retry"}, EXCEPTION]}, "TimeoutError"),
        ({}, {"status": {"code": 2}}, "_OTHER"),
        ({}, {"events": [EXCEPTION]}, ""),
        ({"error.type": 5}, {"status": {"code": 2}}, "_OTHER"),
        ({"error.type": "x" * 1_000}, {}, "x" * 256),
    ],
    ids=lambda v: str(v)[:60],
)
def test_the_error_class_comes_from_the_attribute_the_exception_or_the_status(
    values: dict[str, Any], fields: dict[str, Any], error: str
) -> None:
    assert of_span(values, **fields).error_type == error


def test_a_model_call_tells_its_model_and_tokens_in_any_spelling() -> None:
    usage = {
        "gen_ai.response.model": "m-1",
        "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": "120",
        "gen_ai.usage.output_tokens": 15.0,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.reasoning_tokens": 2,
    }
    event = of_span(CHAT | usage)
    assert (event.kind, event.model, event.name) == (Kind.MODEL_CALL, "m-1", "m-1")
    assert (event.input_tokens, event.output_tokens) == (120, 15)
    assert (event.cache_read_tokens, event.cache_write_tokens, event.reasoning_tokens) == (0, None, 2)
    assert event.attributes == {}


@pytest.mark.parametrize("value", [-1, 10**9 + 1, 2**60, 1.5, "many", True, [5], "9" * 400], ids=lambda v: repr(v)[:20])
def test_a_token_count_that_is_none_is_not_told_and_noted(value: object) -> None:
    event = of_span(CHAT | {"gen_ai.usage.input_tokens": value, "gen_ai.usage.output_tokens": 3})
    assert (event.input_tokens, event.output_tokens) == (None, 3)
    assert event.attributes == {"trueup.ignored": "input_tokens"}


def test_a_call_has_at_most_as_many_tokens_as_the_limit_says() -> None:
    most = {f"gen_ai.usage.{kind}": 10**9 for kind in ("input_tokens", "output_tokens", "reasoning_tokens")}
    event = of_span(CHAT | most)
    assert (event.input_tokens, event.output_tokens, event.reasoning_tokens) == (10**9,) * 3
    event = of_span(CHAT | most, mapper=Mapper(limits=Limits(tokens=10**9 - 1)))
    assert (event.input_tokens, event.output_tokens, event.reasoning_tokens) == (None,) * 3
    assert event.attributes == {"trueup.ignored": "input_tokens,output_tokens,reasoning_tokens"}


def test_a_tool_call_tells_its_tool() -> None:
    event = of_span(TOOL | {"gen_ai.tool.call.id": "c-1"})
    assert (event.kind, event.name, event.response_id) == (Kind.TOOL_CALL, "search", "c-1")


def test_a_reported_cost_is_exact() -> None:
    event = of_span(CHAT | {"trueup.cost.usd": 0.00123456789})
    assert (event.cost, event.cost_source) == (1_234_568, "reported")


class Fixed:
    """A price of one nano-dollar a token."""

    def __init__(self, *, agreed: bool = False) -> None:
        self.asked: list[tuple[str, str, int]] = []
        self._agreed = agreed

    def price(self, provider: str, model: str, at: int, usage: Usage) -> Price | None:
        self.asked.append((provider, model, at))
        return Price(usage["input_tokens"] or 0, self._agreed) if model == "m" else None


PAID = CHAT | {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 7}


def test_a_cost_that_is_not_told_is_priced_from_tokens() -> None:
    prices = Fixed()
    mapper = Mapper(prices=prices)
    told = CHAT | {"gen_ai.provider.name": "openai", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 7}
    event = of_span(told, mapper=mapper)
    assert (event.cost, event.cost_source) == (7, "priced")
    assert prices.asked == [("openai", "m", event.at)]
    assert of_span(told | {"trueup.cost.usd": 0}, mapper=mapper).cost == 0


@pytest.mark.parametrize(
    "values",
    [
        {"gen_ai.usage.cost.amount": 0.25},
        {"gen_ai.usage.cost.amount": 0.25, "gen_ai.usage.cost.currency": "USD"},
        {"llm.cost.total": 0.25},
        {"operation.cost": 0.25},
        {"gen_ai.usage.cost": "0.25"},
        {"gen_ai.usage.total_cost": 0.25},
    ],
)
def test_an_instrumentations_own_reckoning_beats_the_price_list(values: dict[str, Any]) -> None:
    event = of_span(PAID | values, mapper=Mapper(prices=Fixed()))
    assert (event.cost, event.cost_source) == (250_000_000, "reported")
    assert of_span({"gen_ai.operation.name": "invoke_agent"} | values).cost is None


def test_the_users_own_price_beats_an_instrumentations_reckoning_and_the_agent_beats_both() -> None:
    mapper = Mapper(prices=Fixed(agreed=True))
    told = PAID | {"operation.cost": 0.25}
    assert (of_span(told, mapper=mapper).cost, of_span(told, mapper=mapper).cost_source) == (7, "priced")
    assert of_span(told | {"trueup.cost.usd": 0.5}, mapper=mapper).cost == 500_000_000


@pytest.mark.parametrize("values", [{"gen_ai.usage.cost.currency": "EUR"}, {"gen_ai.usage.cost.amount": -1}])
def test_a_cost_in_another_currency_or_below_0_is_not_told(values: dict[str, Any]) -> None:
    event = of_span(CHAT | {"gen_ai.usage.cost.amount": 0.25} | values)
    assert (event.cost, event.cost_source) == (None, "")


def test_an_embedding_has_no_output_and_a_cost_all_the_same() -> None:
    embedding = PAID | {"gen_ai.operation.name": "embeddings"}
    assert of_span(embedding, mapper=Mapper(prices=Fixed())).cost == 7


@pytest.mark.parametrize(
    "values",
    [
        CHAT | {"gen_ai.request.model": "m"},
        CHAT | {"gen_ai.request.model": "other", "gen_ai.usage.input_tokens": 7},
        TOOL | {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 7},
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 7},
    ],
    ids=["no tokens", "no price", "a tool", "a roll-up"],
)
def test_where_no_price_can_be_the_cost_is_unknown_not_0(values: dict[str, Any]) -> None:
    event = of_span(values, mapper=Mapper(prices=Fixed()))
    assert (event.cost, event.cost_source) == (None, "")


def test_a_cost_above_the_limit_is_rejected_and_the_limit_named() -> None:
    mapper = Mapper(limits=Limits(cost_usd=5))
    assert of_span({"trueup.cost.usd": 5}, mapper=mapper).cost == 5 * NANO
    with pytest.raises(Rejected, match=r"trueup\.cost\.usd is 5\.01 USD; limits\.cost_usd allows 5") as caught:
        of_span({"trueup.cost.usd": 5.01}, mapper=mapper)
    assert caught.value.reason == Reason.LIMIT_EXCEEDED


def test_an_instrumentations_reckoning_above_the_limit_is_not_told() -> None:
    values = CHAT | {"gen_ai.usage.cost.amount": 5.01}
    event = of_span(values, mapper=Mapper(limits=Limits(cost_usd=5)))
    assert (event.cost, event.attributes) == (None, {"trueup.ignored": "told_cost"})


def test_a_price_above_the_limit_is_no_price() -> None:
    dear = PAID | {"gen_ai.usage.input_tokens": 5 * NANO + 1}
    event = of_span(dear, mapper=Mapper(limits=Limits(cost_usd=5, tokens=10 * NANO), prices=Fixed()))
    assert (event.cost, event.attributes) == (None, {"trueup.ignored": "price"})


def test_only_attributes_that_are_allowed_are_kept() -> None:
    values = {"region": "eu", "size": 3, "gen_ai.input.messages": "a prompt", "note": "n" * 2_000}
    assert of_span(values).attributes == {}
    kept = of_span(values, mapper=Mapper(allow=frozenset({"region", "size", "note", "absent"})))
    assert kept.attributes == {"region": "eu", "size": "3", "note": "n" * 1_024}


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"traceId": ""}, "the trace id is ''; 32 hexadecimal digits are needed"),
        ({"traceId": "0" * 32}, "the trace id is '00000000000000000000000000000000'"),
        ({"traceId": "a" * 31}, "32 hexadecimal digits are needed"),
        ({"traceId": "g" * 32}, "the trace id is a text of 32 characters; 32 hexadecimal digits are needed"),
        ({"traceId": "é" * 32}, "32 hexadecimal digits are needed"),
        ({"spanId": ""}, "the span id is ''; 16 hexadecimal digits are needed"),
        ({"spanId": "0" * 16}, "the span id is '0000000000000000'"),
        ({"spanId": "a" * 17}, "16 hexadecimal digits are needed"),
        ({"spanId": "a" * 10_000_000}, "16 hexadecimal digits are needed"),
        ({"parentSpanId": "a" * 10_000_000}, "the parent's span id is 'aaaa"),
        ({"parentSpanId": "no"}, "16 hexadecimal digits are needed"),
    ],
    ids=lambda v: str(v)[:40],
)
def test_a_span_that_has_no_identity_is_rejected(fields: dict[str, Any], what: str) -> None:
    with pytest.raises(Rejected) as caught:
        of_span(**fields)
    assert caught.value.reason == Reason.NO_IDENTITY
    assert what in caught.value.detail
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize(
    ("at", "limit"),
    [
        (1, "limits.oldest_days (400)"),
        (RECEIVED - 400 * DAY_US - 1, "limits.oldest_days (400)"),
        (RECEIVED + 60 * MINUTE_US + 1, "limits.future_minutes (60)"),
        (2**32 * 1_000_000, "limits.future_minutes (60)"),
        (2**64 // 1_000, "limits.future_minutes (60)"),
    ],
)
def test_a_time_outside_the_limits_is_rejected_and_the_limit_named(at: int, limit: str) -> None:
    for fields in ({"startTimeUnixNano": str(at * 1_000)}, {"endTimeUnixNano": str(at * 1_000)}):
        with pytest.raises(Rejected) as caught:
            of_span(**fields)
        assert caught.value.reason == Reason.TIME_OUT_OF_RANGE
        assert f"{at} µs" in caught.value.detail
        assert limit in caught.value.detail


def test_times_at_the_limits_are_taken() -> None:
    for at in (RECEIVED - 400 * DAY_US, RECEIVED + 60 * MINUTE_US):
        assert of_span(startTimeUnixNano=str(at * 1_000), endTimeUnixNano=str(at * 1_000)).at == at


def test_before_1970_no_limit_helps() -> None:
    mapper = Mapper(limits=Limits(oldest_days=36_500))
    assert of_span(startTimeUnixNano="0", endTimeUnixNano="0", mapper=mapper).at == 0
    with pytest.raises(Rejected, match="-1 µs is before 1970"):
        of_span(startTimeUnixNano="-1", endTimeUnixNano="0", mapper=mapper)


def test_what_an_event_cannot_hold_is_rejected_whatever_the_time_of_its_message() -> None:
    last = TIME_END - 1
    at = {"startTimeUnixNano": str(last * 1_000), "endTimeUnixNano": str(last * 1_000)}
    assert [event.at for event in events_of(traces(span(**at)), received=last)] == [last]
    for field in at:
        with pytest.raises(Rejected, match="is in 2106 or later") as caught:
            events_of(traces(span(**{**at, field: str(TIME_END * 1_000)})), received=last)
        assert caught.value.reason == Reason.TIME_OUT_OF_RANGE


@pytest.mark.parametrize(
    ("values", "reason", "detail"),
    [
        ({"trueup.stage": "prod"}, Reason.INVALID_ATTRIBUTE, "trueup.stage is a text of 4 characters; it is pilot"),
        ({"trueup.task.id": True}, Reason.INVALID_ATTRIBUTE, "trueup.task.id is a bool; it must be a string"),
        ({"trueup.task.id": 2**64}, Reason.INVALID_ATTRIBUTE, "trueup.task.id is a int; it must be a string"),
        ({"trueup.task.id": ["T-1"]}, Reason.INVALID_ATTRIBUTE, "trueup.task.id is a list; it must be a string"),
        ({"trueup.workflow": 1.5}, Reason.INVALID_ATTRIBUTE, "trueup.workflow is a float"),
        ({"gen_ai.agent.name": ["a"]}, Reason.INVALID_ATTRIBUTE, "gen_ai.agent.name is a list"),
        ({"trueup.cost.usd": float("nan")}, Reason.INVALID_ATTRIBUTE, "trueup.cost.usd: Value error, nan is not a"),
        ({"trueup.cost.usd": -1.0}, Reason.INVALID_ATTRIBUTE, "trueup.cost.usd: Value error, -1.0 is outside 0.."),
        ({"trueup.task.outcome": "done"}, Reason.INVALID_ATTRIBUTE, "trueup.task.outcome: Input should be 'success'"),
        ({"trueup.task.type": "x" * 300}, Reason.INVALID_ATTRIBUTE, "trueup.task.type: String should have at most 256"),
        ({"trueup.task.id": "x" * 1_025}, Reason.LIMIT_EXCEEDED, "limits.text_bytes allows 1024 bytes"),
        ({"trueup.task.id": "é" * 513}, Reason.LIMIT_EXCEEDED, "limits.text_bytes allows 1024 bytes"),
        ({"trueup.workflow": "x" * 10_000_000}, Reason.LIMIT_EXCEEDED, "trueup.workflow has 10000000 characters"),
        ({f"a{i}": 1 for i in range(20_001)}, Reason.LIMIT_EXCEEDED, "20001 attributes in a record; limits.attributes"),
    ],
    ids=lambda v: str(v)[:40],
)
def test_a_value_that_cannot_be_used_is_rejected_by_name(values: dict[str, Any], reason: Reason, detail: str) -> None:
    with pytest.raises(Rejected) as caught:
        of_span(values)
    assert caught.value.reason == reason
    assert detail in caught.value.detail
    assert len(caught.value.detail) < 400


def test_texts_and_attributes_at_the_limits_are_taken() -> None:
    assert of_span({"trueup.task.id": "é" * 512}).task_id == "é" * 512
    assert of_span({f"a{i}": 1 for i in range(20_000)}).kind == Kind.OTHER


def test_a_foreign_attribute_of_any_size_or_shape_does_no_harm() -> None:
    values = {"gen_ai.input.messages": "x" * 10_000_000, "gen_ai.request.model": "m" * 2_000, "gen_ai.tool.name": [1]}
    event = of_span(TOOL | values)
    assert (event.model, event.name) == ("", "")
    assert event.attributes == {"trueup.ignored": "request_model,tool"}
