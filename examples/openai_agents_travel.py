# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "openai-agents>=0.24",
#   "opentelemetry-instrumentation-genai-openai>=1.3b0",
#   "opentelemetry-instrumentation-genai-openai-agents>=1.3b0",
#   "trueup-sdk",
# ]
#
# [tool.uv.sources]
# trueup-sdk = { path = "../sdk" }
# ///
"""OpenAI Agents with OpenTelemetry's own instrumentations, unchanged; two lines add the task.

A booking agent. The OpenAI client is the real one; its transport is scripted, so nothing leaves this process. The
first trip is booked; for the second the airline answers with an error and the agent hands over to a human.

In one terminal `make up`, or `trueup demo --kafka-port 9092 --clickhouse-port 8123`, in another, without a network:

    uv run examples/openai_agents_travel.py
    (or: pip install openai-agents 'opentelemetry-instrumentation-genai-openai>=1.3b0' \
             'opentelemetry-instrumentation-genai-openai-agents>=1.3b0' ./sdk
         && python examples/openai_agents_travel.py)

and then `trueup report --by case_type` or `trueup task trip-2`.
"""

from __future__ import annotations

import json
from typing import Any

import httpx2
import trueup
from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_trace_processors
from openai import AsyncOpenAI
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.instrumentation.genai.openai_agents import OpenAIAgentsInstrumentor

FULL = "LIS"


def scripted(request: httpx2.Request) -> httpx2.Response:
    """The model's API: first it asks for the tool, then it says what came of it."""
    messages = json.loads(request.content)["messages"]
    told = [m["content"] for m in messages if m["role"] == "tool"]
    message: dict[str, Any] = {"role": "assistant", "content": f"done: {told[-1]}" if told else None}
    if not told:
        place = messages[-1]["content"]
        function = {"name": "book_flight", "arguments": json.dumps({"to": place})}
        message["tool_calls"] = [{"id": f"call-{place}", "type": "function", "function": function}]
    answer = {
        "id": f"chatcmpl-{len(messages)}",
        "object": "chat.completion",
        "created": 1_795_000_000,
        "model": "gpt-4.1-2025-04-14",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop" if told else "tool_calls"}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 25, "total_tokens": 325},
    }
    return httpx2.Response(200, json=answer)


@function_tool
def book_flight(to: str) -> str:
    """Book a flight."""
    if to == FULL:
        raise LookupError("no seat left")
    return f"booked to {to}"


def main() -> None:
    with trueup.configure("travel-agent", workflow="travel"):
        set_trace_processors([])  # nothing to OpenAI's own tracing
        OpenAIInstrumentor().instrument()  # the models
        OpenAIAgentsInstrumentor().instrument()  # the agents and the tools
        client = AsyncOpenAI(
            api_key="none",
            base_url="http://scripted.invalid/v1",
            http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(scripted)),
        )
        model = OpenAIChatCompletionsModel("gpt-4.1", client)
        agent = Agent("booking-agent", instructions="Book the trip.", model=model, tools=[book_flight])

        for trip, place in (("trip-1", "VIE"), ("trip-2", FULL)):
            with trueup.task(trip, case_type="business trip", agent="booking-agent") as task:
                result = Runner.run_sync(agent, place)
                if "error" in str(result.final_output):
                    trueup.intervened(trip, "escalated")
                    task.claim("escalated")
                else:
                    task.claim("success")

        trueup.verified("trip-1", "success", verifier="airline")
    print("2 tasks of the workflow `travel` are on their way: trueup report --by case_type")


if __name__ == "__main__":
    main()
