"""A task as a block of code: its root span, its context for everything inside, and the agent's claim."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextvars import Token
from dataclasses import dataclass
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar, cast

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from trueup import attributes as names
from trueup import checks
from trueup.attributes import OutcomeWord, StageWord
from trueup.checks import InvalidArgumentError
from trueup.propagation import task_attributes, with_task

if TYPE_CHECKING:
    from trueup.emitter import Emitter

Params = ParamSpec("Params")
Result = TypeVar("Result")


@dataclass(frozen=True)
class TaskArguments:
    """What `task(...)` was called with; checked when the block is entered."""

    task_id: str | None
    workflow: str | None
    case_type: str | None
    stage: StageWord | None
    agent: str | None
    agent_version: str | None
    attributes: Mapping[str, AttributeValue]


class Task:
    """One unit of work. Enter it once; the spans and events inside carry its id, workflow, case type and stage.

    An exception that leaves the block is a failure, unless something else was claimed; it goes on. A block
    that is left without a claim claims nothing: the outcome is then read off the span's status.
    """

    def __init__(self, emitter: Emitter, arguments: TaskArguments) -> None:
        self._emitter = emitter
        self._arguments = arguments
        self._workflow: str | None = None
        self._claimed = False
        self._ended = False
        self._span: Span = trace.INVALID_SPAN
        self._token: Token[Context] | None = None
        self.id = ""
        """The task id, from the moment the block is entered."""

    def claim(self, outcome: OutcomeWord) -> None:
        """Say how the task ended. The last claim counts; after the block it is sent as an event."""
        with self._emitter.guard():
            word = names.Outcome(checks.one_of(names.Outcome, outcome, "outcome"))
            self._claimed = True
            if self._span.is_recording():
                self._span.set_attribute(names.TASK_OUTCOME, word.value)
            else:  # ended, or not sampled: the claim must not be lost with the span
                self._emitter.claimed(self.id, word, workflow=self._workflow)

    def cost(self, usd: float) -> None:
        """The agent's account of what the task's model calls cost in total, US dollars. The last one counts."""
        with self._emitter.guard():
            self._describe({names.COST_USD: checks.number(usd, 0, checks.MOST_USD, "usd")})

    def input_profile(
        self,
        *,
        present: Iterable[str] | None = None,
        missing: Iterable[str] | None = None,
        format: str | None = None,
        **sizes: int,
    ) -> None:
        """What the input looked like: names of fields with and without a value, format, sizes. Never content.

        `task.input_profile(present=["order_id"], missing=["receipt"], format="email", bytes=2048)`
        """
        with self._emitter.guard():
            profile: dict[str, AttributeValue] = {}
            if present is not None:
                profile[names.INPUT_FIELDS_PRESENT] = checks.texts(present, "present")
            if missing is not None:
                profile[names.INPUT_FIELDS_MISSING] = checks.texts(missing, "missing")
            if format is not None:
                profile[names.INPUT_FORMAT] = checks.text(format, "format")
            for what, size in sizes.items():
                profile[f"{names.INPUT_SIZE}.{what}"] = int(checks.number(size, 0, 2**53, what))
            self._describe(profile)

    def __enter__(self) -> Self:
        with self._emitter.guard():
            self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._emitter.guard():
            if error is not None and not _is_regular(error):
                self._fail(error)
        self._ended = True
        with self._emitter.guard():
            if self._token is not None:
                detach(self._token)
            self._span.end()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: Callable[Params, Result]) -> Callable[Params, Result]:
        """Make every call of a function, or of a coroutine function, a task of its own."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is a generator; use `with trueup.task(...)` inside it")
        if self._arguments.task_id is not None:
            raise TypeError(
                f"every call of {function.__qualname__} would be the one task {self._arguments.task_id!r}; "
                "leave the id out, or use `with trueup.task(id)` inside it"
            )
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def coroutine(*args: Params.args, **kwargs: Params.kwargs) -> object:
                with Task(self._emitter, self._arguments):
                    return await function(*args, **kwargs)

            return cast("Callable[Params, Result]", coroutine)

        @wraps(function)
        def call(*args: Params.args, **kwargs: Params.kwargs) -> Result:
            with Task(self._emitter, self._arguments):
                return function(*args, **kwargs)

        return call

    def _start(self) -> None:
        given, current = self._arguments, task_attributes()
        self.id = self._accepted(checks.text, given.task_id, "task_id") or str(uuid.uuid4())
        workflow = self._accepted(checks.text, given.workflow, "workflow") or self._emitter.workflow
        self._workflow = workflow or current.get(names.WORKFLOW)
        case_type = self._accepted(checks.text, given.case_type, "case_type")
        stage = self._accepted(lambda v, n: checks.one_of(names.Stage, v, n), given.stage, "stage")
        carried = {names.TASK_ID: self.id, names.TASK_TYPE: case_type}  # an outer task's must not leak in
        carried |= {names.WORKFLOW: self._workflow} if self._workflow else {}
        carried |= {names.STAGE: stage or self._emitter.stage} if stage or self._emitter.stage else {}
        context = with_task(carried)
        agent = {
            names.AGENT_NAME: self._accepted(checks.text, given.agent, "agent"),
            names.AGENT_VERSION: self._accepted(checks.text, given.agent_version, "agent_version"),
        }
        self._span = self._emitter.tracer.start_span(
            f"invoke_agent {agent[names.AGENT_NAME]}" if agent[names.AGENT_NAME] else "invoke_agent",
            context,
            SpanKind.INTERNAL,
            {
                **given.attributes,
                names.OPERATION_NAME: "invoke_agent",
                **{name: value for name, value in agent.items() if value is not None},
                **task_attributes(context),
            },
        )
        self._token = attach(trace.set_span_in_context(self._span, context))

    def _accepted(self, check: Callable[[object, str], str], value: object, name: str) -> str | None:
        """The value if it is allowed: a bad name costs itself, not the task."""
        if value is not None:
            with self._emitter.guard():
                return check(value, name)
        return None

    def _describe(self, attributes: Mapping[str, AttributeValue]) -> None:
        if self._ended:
            raise InvalidArgumentError(f"task {self.id} has ended; describe it inside its block")
        self._span.set_attributes(attributes)

    def _fail(self, error: BaseException) -> None:
        self._span.set_attribute(names.ERROR_TYPE, _error_type(error))
        self._span.set_status(Status(StatusCode.ERROR))  # without the message, which may quote content
        if not self._claimed:
            self.claim(names.Outcome.FAILURE)


def _is_regular(error: BaseException) -> bool:
    """Leaving by exit() without an error, or a generator that is closed: not failures."""
    return isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and not error.code)


def _error_type(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
