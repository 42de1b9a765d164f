"""The calls that emit the contract's events, and the rule that none of them raises into the agent.

A value that the contract does not allow is counted (`invalid`) and warned of, and the event is left out;
with `strict` it raises InvalidArgumentError instead, which is what tests and development want.
"""

from __future__ import annotations

import logging
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Final, NamedTuple

from opentelemetry import trace
from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.context import Context, get_current
from opentelemetry.trace import Tracer
from opentelemetry.util.types import AttributeValue

from trueup import attributes as names
from trueup import checks
from trueup.attributes import CostCategoryWord, InterventionWord, OutcomeWord, StageWord, VerdictWord
from trueup.checks import InvalidArgumentError
from trueup.drops import DropReason, Drops, RareWarning
from trueup.propagation import task_attributes
from trueup.tasks import Task, TaskArguments

logger = logging.getLogger(__name__)

SCOPE: Final = "trueup"
"""Instrumentation scope of what this library emits."""

Moment = datetime | int
"""An aware datetime, or nanoseconds since the epoch."""

_NO_SPAN: Final = trace.set_span_in_context(trace.INVALID_SPAN, Context())
_internal_error = RareWarning()


class _About(NamedTuple):
    """What an event is about: the context it is emitted in, and the attributes that say so."""

    context: Context
    attributes: dict[str, str]


class Emitter(ABC):
    """Emits tasks and events. `task_id` may be left out inside a `task` block: it is that task's.

    `at` is when it happened, if not now. `event_id` makes a call repeatable: the same id is the same event,
    however often it is sent.
    """

    strict: bool
    workflow: str | None
    stage: str | None
    refused: Drops

    @property
    @abstractmethod
    def tracer(self) -> Tracer:
        """Starts the root spans of tasks."""

    @property
    @abstractmethod
    def logger(self) -> Logger:
        """Emits the events."""

    def task(
        self,
        task_id: str | None = None,
        *,
        workflow: str | None = None,
        case_type: str | None = None,
        stage: StageWord | None = None,
        agent: str | None = None,
        agent_version: str | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> Task:
        """A task to work on in a `with` or `async with` block, or as a decorator (a new task for every call).

        Without `task_id` it gets a fresh one. `workflow` and `stage` default to those of the surrounding
        configuration or task. `attributes` go onto the root span.
        """
        return Task(self, TaskArguments(task_id, workflow, case_type, stage, agent, agent_version, attributes or {}))

    def claimed(
        self,
        task_id: str | None = None,
        outcome: OutcomeWord | None = None,
        *,
        workflow: str | None = None,
        at: Moment | None = None,
        event_id: str | None = None,
    ) -> None:
        """The agent says how the task ended, where there is no span to say it on."""
        with self.guard():
            claim = {names.TASK_OUTCOME: checks.one_of(names.Outcome, outcome, "outcome")}
            self._emit(names.EVENT_CLAIMED, self._task(task_id, workflow), claim, at, event_id)

    def verified(
        self,
        task_id: str | None = None,
        verdict: VerdictWord | None = None,
        *,
        verifier: str | None = None,
        inclusion_probability: float = 1.0,
        workflow: str | None = None,
        at: Moment | None = None,
        event_id: str | None = None,
    ) -> None:
        """Someone independent found how the task really ended. A later verdict replaces an earlier one.

        `inclusion_probability` (0.0001 to 1): the share of tasks that are verified, if this one was drawn.
        """
        with self.guard():
            finding: dict[str, AttributeValue] = {
                names.VERDICT: checks.one_of(names.Verdict, verdict, "verdict"),
                names.INCLUSION_PROBABILITY: checks.number(
                    inclusion_probability, checks.SMALLEST_PROBABILITY, 1, "inclusion_probability"
                ),
            }
            if verifier is not None:
                finding[names.VERIFIER] = checks.text(verifier, "verifier")
            self._emit(names.EVENT_VERIFIED, self._task(task_id, workflow), finding, at, event_id)

    def intervened(
        self,
        task_id: str | None = None,
        kind: InterventionWord | None = None,
        *,
        minutes: float | None = None,
        role: str | None = None,
        workflow: str | None = None,
        at: Moment | None = None,
        event_id: str | None = None,
    ) -> None:
        """A human stepped in. `minutes` of working time; `role` prices them."""
        with self.guard():
            step: dict[str, AttributeValue] = {names.INTERVENTION: checks.one_of(names.Intervention, kind, "kind")}
            if minutes is not None:
                step[names.HUMAN_MINUTES] = checks.number(minutes, 0, checks.MOST_MINUTES, "minutes")
            if role is not None:
                step[names.HUMAN_ROLE] = checks.text(role, "role")
            self._emit(names.EVENT_INTERVENED, self._task(task_id, workflow), step, at, event_id)

    def feedback(
        self,
        task_id: str | None = None,
        satisfaction: float | None = None,
        complaint: bool | None = None,
        *,
        workflow: str | None = None,
        at: Moment | None = None,
        event_id: str | None = None,
    ) -> None:
        """What the person served thought of it: `satisfaction` from 0 to 1, `complaint` or not, or both."""
        with self.guard():
            answer: dict[str, AttributeValue] = {}
            if satisfaction is not None:
                answer[names.SATISFACTION] = checks.number(satisfaction, 0, 1, "satisfaction")
            if complaint is not None:
                answer[names.COMPLAINT] = checks.flag(complaint, "complaint")
            if not answer:
                raise InvalidArgumentError("feedback says nothing; give satisfaction, complaint or both")
            self._emit(names.EVENT_FEEDBACK, self._task(task_id, workflow), answer, at, event_id)

    def cost(
        self,
        category: CostCategoryWord,
        usd: float,
        *,
        task_id: str | None = None,
        workflow: str | None = None,
        period: tuple[Moment, Moment] | None = None,
        at: Moment | None = None,
        event_id: str | None = None,
    ) -> None:
        """Money spent on a task, or with `period` (start, end) on a workflow as a whole. US dollars."""
        with self.guard():
            spent: dict[str, AttributeValue] = {
                names.COST_CATEGORY: checks.one_of(names.CostCategory, category, "category"),
                names.COST_USD: checks.number(usd, 0, checks.MOST_USD, "usd"),
            }
            if period is not None:
                if task_id is not None:
                    raise InvalidArgumentError("a task's cost has no period; leave out task_id or period")
                spent |= _period(period)
                about = self._whole_workflow(workflow)
            else:
                about = self._task(task_id, workflow)
            self._emit(names.EVENT_COST, about, spent, at, event_id)

    def outcome(
        self,
        name: str,
        value: float,
        *,
        task_id: str | None = None,
        workflow: str | None = None,
        at: Moment | None = None,
        event_id: str | None = None,
    ) -> None:
        """A business outcome: of the task, or of the workflow as a whole where `workflow` stands alone."""
        with self.guard():
            result: dict[str, AttributeValue] = {
                names.OUTCOME_NAME: checks.text(name, "name"),
                names.OUTCOME_VALUE: checks.number(value, -checks.LARGEST_VALUE, checks.LARGEST_VALUE, "value"),
            }
            whole = task_id is None and workflow is not None
            about = self._whole_workflow(workflow) if whole else self._task(task_id, workflow)
            self._emit(names.EVENT_OUTCOME, about, result, at, event_id)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """What happens inside does not raise into the agent, unless `strict` and the arguments are invalid."""
        try:
            yield
        except InvalidArgumentError as error:
            if self.strict:
                raise
            self.refused.add(DropReason.INVALID, 1, str(error))
        except Exception:
            self.refused.add(DropReason.INTERNAL)
            if _internal_error.due():
                logger.exception("telemetry failed; the agent is not affected")

    def _task(self, task_id: str | None, workflow: str | None) -> _About:
        """About a task: the given one, or the one of this context. Another task's event is not part of this trace."""
        current = task_attributes()
        if task_id is None and names.TASK_ID not in current:
            raise InvalidArgumentError("there is no task; pass task_id, or call this inside a task block")
        about = checks.text(task_id, "task_id") if task_id is not None else current[names.TASK_ID]
        here = current.get(names.TASK_ID) == about
        known = {**self._configured(), **(current if here else {}), names.TASK_ID: about}
        if workflow is not None:
            known[names.WORKFLOW] = checks.text(workflow, "workflow")
        return _About(get_current() if here else _NO_SPAN, known)

    def _whole_workflow(self, workflow: str | None) -> _About:
        known = self._configured()
        current = task_attributes().get(names.WORKFLOW)
        if workflow is not None or current is not None:
            known[names.WORKFLOW] = checks.text(workflow if workflow is not None else current, "workflow")
        if names.WORKFLOW not in known:
            raise InvalidArgumentError("there is no workflow; pass workflow, or give it to configure()")
        return _About(_NO_SPAN, known)

    def _configured(self) -> dict[str, str]:
        known = {names.WORKFLOW: self.workflow, names.STAGE: self.stage}
        return {name: value for name, value in known.items() if value is not None}

    def _emit(
        self,
        event_name: str,
        about: _About,
        attributes: Mapping[str, AttributeValue],
        at: Moment | None,
        event_id: str | None,
    ) -> None:
        identity = checks.text(event_id, "event_id") if event_id is not None else str(uuid.uuid4())
        self.logger.emit(
            timestamp=time.time_ns() if at is None else checks.nanoseconds(at, "at"),
            context=about.context,
            severity_number=SeverityNumber.INFO,
            event_name=event_name,
            attributes={names.EVENT_ID: identity, **about.attributes, **attributes},
        )


def _period(period: tuple[Moment, Moment]) -> dict[str, AttributeValue]:
    if not isinstance(period, tuple) or len(period) != 2:
        raise InvalidArgumentError("period must be a pair: (start, end)")
    start, end = checks.nanoseconds(period[0], "period start"), checks.nanoseconds(period[1], "period end")
    if end < start:
        raise InvalidArgumentError("period ends before it starts; it must be (start, end)")
    return {names.PERIOD_START: start, names.PERIOD_END: end}
