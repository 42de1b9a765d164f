# /// script
# requires-python = ">=3.11"
# dependencies = ["langchain>=1.4", "langgraph>=1.2", "openinference-instrumentation-langchain>=0.1.80", "trueup-sdk"]
#
# [tool.uv.sources]
# trueup-sdk = { path = "../sdk" }
# ///
"""LangGraph with OpenInference's instrumentation, unchanged; two lines add the task.

A claims agent with a scripted chat model. Paying needs a human's approval, for which the graph is interrupted: the
first claim is approved and paid, the second is rejected, which is an override. The interrupt itself is no error.

In one terminal `make up`, or `trueup demo --kafka-port 9092 --clickhouse-port 8123`, in another, without a network:

    uv run examples/langgraph_claims.py
    (or: pip install langchain langgraph openinference-instrumentation-langchain ./sdk
         && python examples/langgraph_claims.py)

and then `trueup report --by case_type` or `trueup task claim-2`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import trueup
from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt
from openinference.instrumentation.langchain import LangChainInstrumentor


class ScriptedModel(BaseChatModel):
    """First it asks for the tool, then it says what came of it."""

    model_name: str = "claude-sonnet-4-5"

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        """What LangChain tells instrumentations of a model: so its provider, and then its price, is known."""
        return {"ls_provider": "anthropic", "ls_model_name": self.model_name, "ls_model_type": "chat"}

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> ScriptedModel:
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        told = [m for m in messages if isinstance(m, ToolMessage)]
        usage = {"input_tokens": 900, "output_tokens": 60, "total_tokens": 960}
        if told:
            answer = AIMessage(f"done: {told[-1].content}", usage_metadata=usage)
        else:
            call = {"name": "pay_claim", "args": {"amount": 120}, "id": "call-1"}
            answer = AIMessage("", tool_calls=[call], usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=answer)])


@tool
def pay_claim(amount: int) -> str:
    """Pay a claim, if a human approves."""
    return f"paid {amount}" if interrupt({"amount": amount}) == "approve" else "rejected"


def main() -> None:
    with trueup.configure("claims-agent", workflow="claims"):
        LangChainInstrumentor().instrument()
        agent = create_agent(ScriptedModel(), [pay_claim], checkpointer=InMemorySaver(), name="claims-agent")

        for claim, decision in (("claim-1", "approve"), ("claim-2", "reject")):
            thread = {"configurable": {"thread_id": claim}}
            with trueup.task(claim, case_type="water damage", agent="claims-agent") as task:
                agent.invoke({"messages": [("user", f"settle {claim}")]}, thread)
                # The graph is interrupted. A human decides, and the same task goes on. What the task costs is unknown
                # until somebody configures what the human's time costs (`human_usd_per_hour`).
                trueup.intervened(claim, "approved" if decision == "approve" else "rejected", minutes=2)
                agent.invoke(Command(resume=decision), thread)
                task.claim("success" if decision == "approve" else "gave_up")

        trueup.verified("claim-1", "success", verifier="audit")
    print("2 tasks of the workflow `claims` are on their way: trueup report --by case_type")


if __name__ == "__main__":
    main()
