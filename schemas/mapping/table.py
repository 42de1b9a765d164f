"""Which attribute of which convention says what. To add a convention, add rows (and a captured fixture).

Rows of one field are in the order of precedence: the first attribute that is present wins. Versions:
OpenTelemetry GenAI semantic conventions 1.42-dev and, where marked, 1.30 and before; OpenInference
0.1.42; OpenLLMetry semantic conventions 0.5.1; MCP SDK 2.3.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from schemas.words import Kind

VERSION: Final = "2026-11"


class Row(NamedTuple):
    """`attribute` of `convention` gives `field` of an event."""

    field: str
    attribute: str
    convention: str


OWN, GENAI, GENAI_OLD = "trueup", "OpenTelemetry GenAI", "OpenTelemetry GenAI 1.30"
COST_PROPOSAL = "OpenTelemetry GenAI, pull request 443"
INFERENCE, LLMETRY, OTEL = "OpenInference", "OpenLLMetry", "OpenTelemetry"

ROWS: Final = (
    Row("task_id", "trueup.task.id", OWN),
    Row("task_type", "trueup.task.type", OWN),
    Row("outcome", "trueup.task.outcome", OWN),
    Row("workflow", "trueup.workflow", OWN),
    Row("stage", "trueup.stage", OWN),
    Row("tenant", "trueup.tenant", OWN),
    Row("cost", "trueup.cost.usd", OWN),
    Row("environment", "deployment.environment.name", OTEL),
    Row("environment", "deployment.environment", OTEL),
    Row("service", "service.name", OTEL),
    Row("service_version", "service.version", OTEL),
    Row("error_type", "error.type", OTEL),
    Row("agent", "gen_ai.agent.name", GENAI),
    Row("agent", "agent.name", INFERENCE),
    Row("agent_version", "gen_ai.agent.version", GENAI),
    Row("response_model", "gen_ai.response.model", GENAI),
    Row("response_model", "llm.response.model_name", INFERENCE),
    Row("request_model", "gen_ai.request.model", GENAI),
    Row("request_model", "llm.model_name", INFERENCE),
    Row("request_model", "llm.request.model_name", INFERENCE),
    Row("provider", "gen_ai.provider.name", GENAI),
    Row("provider", "gen_ai.system", GENAI_OLD),
    Row("provider", "llm.provider", INFERENCE),
    Row("provider", "llm.system", INFERENCE),
    Row("tool", "gen_ai.tool.name", GENAI),
    Row("tool", "tool.name", INFERENCE),
    Row("response_id", "gen_ai.response.id", GENAI),
    Row("call_id", "gen_ai.tool.call.id", GENAI),
    Row("call_id", "tool.id", INFERENCE),
    Row("input_tokens", "gen_ai.usage.input_tokens", GENAI),
    Row("input_tokens", "gen_ai.usage.prompt_tokens", GENAI_OLD),
    Row("input_tokens", "llm.token_count.prompt", INFERENCE),
    Row("input_tokens", "llm.usage.prompt_tokens", LLMETRY),
    Row("output_tokens", "gen_ai.usage.output_tokens", GENAI),
    Row("output_tokens", "gen_ai.usage.completion_tokens", GENAI_OLD),
    Row("output_tokens", "llm.token_count.completion", INFERENCE),
    Row("output_tokens", "llm.usage.completion_tokens", LLMETRY),
    Row("cache_read_tokens", "gen_ai.usage.cache_read.input_tokens", GENAI),
    Row("cache_read_tokens", "gen_ai.usage.cache_read_input_tokens", LLMETRY),
    Row("cache_read_tokens", "llm.token_count.prompt_details.cache_read", INFERENCE),
    Row("cache_write_tokens", "gen_ai.usage.cache_write.input_tokens", GENAI),
    Row("cache_write_tokens", "gen_ai.usage.cache_creation.input_tokens", GENAI),
    Row("cache_write_tokens", "gen_ai.usage.cache_write_input_tokens", LLMETRY),
    Row("cache_write_tokens", "gen_ai.usage.cache_creation_input_tokens", LLMETRY),
    Row("cache_write_tokens", "llm.token_count.prompt_details.cache_write", INFERENCE),
    Row("reasoning_tokens", "gen_ai.usage.reasoning.output_tokens", GENAI),
    Row("reasoning_tokens", "gen_ai.usage.reasoning_tokens", LLMETRY),
    Row("reasoning_tokens", "llm.token_count.completion_details.reasoning", INFERENCE),
    Row("told_cost", "gen_ai.usage.cost.amount", COST_PROPOSAL),
    Row("told_cost", "llm.cost.total", INFERENCE),
    Row("told_cost", "operation.cost", "Pydantic AI"),
    Row("told_cost", "gen_ai.usage.cost", "OpenLIT"),
    Row("told_cost", "gen_ai.usage.total_cost", "OpenLIT"),
    Row("told_currency", "gen_ai.usage.cost.currency", COST_PROPOSAL),
    Row("event_id", "trueup.event.id", OWN),
    # what is learnt about a task
    Row("verdict", "trueup.verdict", OWN),
    Row("verifier", "trueup.verifier", OWN),
    Row("inclusion_probability", "trueup.inclusion_probability", OWN),
    Row("intervention", "trueup.intervention", OWN),
    Row("human_minutes", "trueup.human.minutes", OWN),
    Row("human_role", "trueup.human.role", OWN),
    Row("satisfaction", "trueup.satisfaction", OWN),
    Row("complaint", "trueup.complaint", OWN),
    Row("cost_category", "trueup.cost.category", OWN),
    Row("period_start", "trueup.period.start", OWN),
    Row("period_end", "trueup.period.end", OWN),
    Row("outcome_name", "trueup.outcome.name", OWN),
    Row("outcome_value", "trueup.outcome.value", OWN),
    # what a span is
    Row("inference_kind", "openinference.span.kind", INFERENCE),
    Row("llmetry_kind", "traceloop.span.kind", LLMETRY),
    Row("operation", "gen_ai.operation.name", GENAI),
    Row("request_type", "llm.request.type", LLMETRY),
    Row("mcp_method", "mcp.method.name", "MCP"),
    Row("span_type", "logfire.span_type", "Logfire"),
    # what a session-wide judgement is about
    Row("session", "session.id", INFERENCE),
)


class KindRow(NamedTuple):
    """A span whose `field` has the value `value` is of `kind`; the first row that fits decides."""

    field: str
    value: str
    kind: Kind


EVALUATOR: Final = "EVALUATOR"
"""OpenInference's kind of a span that judges. Where it has no parent it only carries judgements of other traces."""

KINDS: Final = (
    KindRow("inference_kind", "LLM", Kind.MODEL_CALL),
    KindRow("inference_kind", "TOOL", Kind.TOOL_CALL),
    KindRow("inference_kind", "AGENT", Kind.AGENT_RUN),
    KindRow("inference_kind", "RETRIEVER", Kind.RETRIEVAL),
    KindRow("inference_kind", "EMBEDDING", Kind.EMBEDDING),
    KindRow("inference_kind", "GUARDRAIL", Kind.GUARDRAIL),
    KindRow("inference_kind", EVALUATOR, Kind.SETUP),
    KindRow("inference_kind", "CHAIN", Kind.STEP),
    KindRow("inference_kind", "RERANKER", Kind.STEP),
    KindRow("inference_kind", "PROMPT", Kind.STEP),
    KindRow("inference_kind", "DECISION", Kind.STEP),
    KindRow("llmetry_kind", "workflow", Kind.WORKFLOW_RUN),
    KindRow("llmetry_kind", "task", Kind.STEP),
    KindRow("operation", "execute_task", Kind.STEP),
    KindRow("operation", "chat", Kind.MODEL_CALL),
    KindRow("operation", "generate_content", Kind.MODEL_CALL),
    KindRow("operation", "text_completion", Kind.MODEL_CALL),
    KindRow("operation", "execute_tool", Kind.TOOL_CALL),
    KindRow("operation", "invoke_agent", Kind.AGENT_RUN),
    KindRow("operation", "invoke_workflow", Kind.WORKFLOW_RUN),
    KindRow("operation", "retrieval", Kind.RETRIEVAL),
    KindRow("operation", "embeddings", Kind.EMBEDDING),
    KindRow("operation", "plan", Kind.STEP),
    KindRow("operation", "search_memory", Kind.STEP),
    KindRow("operation", "create_memory", Kind.STEP),
    KindRow("operation", "update_memory", Kind.STEP),
    KindRow("operation", "upsert_memory", Kind.STEP),
    KindRow("operation", "delete_memory", Kind.STEP),
    KindRow("operation", "create_memory_store", Kind.STEP),
    KindRow("operation", "delete_memory_store", Kind.STEP),
    KindRow("operation", "create_agent", Kind.SETUP),
    KindRow("operation", "fetch_response", Kind.SETUP),
    KindRow("llmetry_kind", "agent", Kind.AGENT_RUN),
    KindRow("llmetry_kind", "tool", Kind.TOOL_CALL),
    KindRow("request_type", "chat", Kind.MODEL_CALL),
    KindRow("request_type", "completion", Kind.MODEL_CALL),
    KindRow("request_type", "embedding", Kind.EMBEDDING),
    KindRow("request_type", "rerank", Kind.STEP),
    KindRow("mcp_method", "tools/call", Kind.TOOL_CALL),
    KindRow("span_type", "annotation", Kind.SETUP),
)


# --- who judges what -----------------------------------------------------------------------------


class Target(StrEnum):
    """What a judgement is about."""

    SPAN = "span"
    TRACE = "trace"
    SESSION = "session"
    """Several tasks, maybe: it is no judgement of any of them."""


class JudgementRow(NamedTuple):
    """`PREFIX.N.ITEM.name`, `.score`, `.label` and `.annotator_kind` (N from 0) judge a `target`."""

    prefix: str
    item: str
    target: Target
    convention: str


JUDGEMENTS: Final = (
    JudgementRow("annotations", "annotation", Target.SPAN, INFERENCE),
    JudgementRow("evaluations", "evaluation", Target.SPAN, INFERENCE),
    JudgementRow("trace.annotations", "annotation", Target.TRACE, INFERENCE),
    JudgementRow("trace.evaluations", "evaluation", Target.TRACE, INFERENCE),
    JudgementRow("session.annotations", "annotation", Target.SESSION, INFERENCE),
    JudgementRow("session.evaluations", "evaluation", Target.SESSION, INFERENCE),
)
"""OpenInference, specification "Annotations and Evaluations"."""


class Annotator(StrEnum):
    """Who judged."""

    HUMAN = "human"
    CODE = "code"
    MODEL = "model"


ANNOTATORS: Final = {
    # OpenInference, annotator_kind
    "HUMAN": Annotator.HUMAN,
    "CODE": Annotator.CODE,
    "LLM": Annotator.MODEL,
    # OpenTelemetry GenAI, gen_ai.evaluation.evaluator.type (pull request 359)
    "human": Annotator.HUMAN,
    "deterministic": Annotator.CODE,
    "llm_judge": Annotator.MODEL,
}
DEFAULT_ANNOTATORS: Final = {"pydantic-evals": Annotator.CODE, "logfire.feedback": Annotator.HUMAN}
"""By instrumentation scope, where nobody says who judged."""
MODEL_EVALUATORS: Final = frozenset({"LLMJudge", "GEval"})
"""Evaluators of pydantic-evals that ask a model."""


class InterruptRow(NamedTuple):
    """An exception by which a framework hands over control: the run waits, or goes on elsewhere. No failure."""

    exception: str
    """The class, without its module."""
    framework: str
    meaning: str


INTERRUPTS: Final = (
    InterruptRow("GraphInterrupt", "LangGraph, langgraph.errors", "interrupt() waits for a human"),
    InterruptRow("NodeInterrupt", "LangGraph, langgraph.errors, deprecated", "a node waits for a human"),
    InterruptRow("ParentCommand", "LangGraph, langgraph.errors", "a subgraph hands a command to its parent"),
    InterruptRow("GraphDrained", "LangGraph, langgraph.errors", "a run stops at a checkpoint and can be resumed"),
    InterruptRow("GraphBubbleUp", "LangGraph, langgraph.errors", "the base of those above"),
    InterruptRow("ApprovalRequired", "Pydantic AI, pydantic_ai.exceptions", "a tool call waits for approval"),
    InterruptRow("CallDeferred", "Pydantic AI, pydantic_ai.exceptions", "a tool call is done elsewhere"),
)
INTERRUPT_MESSAGES: Final = ("Interrupt(", "(Interrupt(", "Command(", "ParentCommand(")
"""How messages of such exceptions begin, where an instrumentation tells no class (OpenInference ignores some too)."""
