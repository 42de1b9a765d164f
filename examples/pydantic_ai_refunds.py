# /// script
# requires-python = ">=3.11"
# dependencies = ["pydantic-ai-slim>=2.60", "trueup-sdk"]
#
# [tool.uv.sources]
# trueup-sdk = { path = "../sdk" }
# ///
"""Pydantic AI, unchanged: its own instrumentation tells models, tokens and tools; two lines add the task.

A refund agent with a scripted model (`FunctionModel`): one refund goes well, in one the payment service is down,
and one that the agent thinks it paid was not.

In one terminal `make up`, or `trueup demo --kafka-port 9092 --clickhouse-port 8123`, in another, without a network:

    uv run examples/pydantic_ai_refunds.py
    (or: pip install pydantic-ai-slim ./sdk && python examples/pydantic_ai_refunds.py)

and then `trueup report --by case_type` or `trueup task refund-3`.
"""

from __future__ import annotations

import trueup
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

PAID_OUT = {"refund-1": True, "refund-2": False, "refund-3": True}
"""Whether the payment service answers."""


def scripted(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """The model: first it asks for the tool, then it says what came of it."""
    returned = [p for m in messages for p in m.parts if isinstance(p, ToolReturnPart)]
    if not returned:
        order = next(str(p.content) for m in messages for p in m.parts if p.part_kind == "user-prompt")
        return ModelResponse([ToolCallPart("pay_refund", {"order": order})])
    return ModelResponse([TextPart(f"done: {returned[-1].content}")])


agent = Agent(FunctionModel(scripted, model_name="gpt-4.1-mini"), name="refund-agent")


@agent.tool_plain
def pay_refund(order: str) -> str:
    """Pay a refund."""
    if not PAID_OUT[order]:
        raise ConnectionError("the payment service does not answer")
    return "paid"


def main() -> None:
    with trueup.configure("refund-agent", workflow="refunds"):
        Agent.instrument_all()
        for order in PAID_OUT:
            try:
                with trueup.task(order, case_type="refund", agent="refund-agent", agent_version="1.4") as task:
                    agent.run_sync(order)
                    task.claim("success")
            except ConnectionError as error:
                print(f"{order}: {error}")  # the task has claimed failure

        # Later, the bank statement is there.
        trueup.verified("refund-1", "success", verifier="bank-statement")
        trueup.verified("refund-3", "failure", verifier="bank-statement")
        trueup.feedback("refund-3", satisfaction=0.1, complaint=True)
    print("3 tasks of the workflow `refunds` are on their way: trueup report --by case_type")


if __name__ == "__main__":
    main()
