"""Task context: what says which task is being worked on, in this thread and across processes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, attach, detach
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from trueup.attributes import TASK_BAGGAGE

logger = logging.getLogger(__name__)

_w3c = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])


def task_attributes(context: Context | None = None) -> dict[str, str]:
    """Those of the four keys that the baggage of the context (default: the current one) has.

    Only these: other baggage may hold what must not reach telemetry.
    """
    carried = baggage.get_all(context)
    return {name: value for name in TASK_BAGGAGE if isinstance(value := carried.get(name), str)} if carried else {}


def with_task(attributes: Mapping[str, str | None], context: Context | None = None) -> Context:
    """The context with these baggage entries; None removes one, a name that is absent stays as it is."""
    for name, value in attributes.items():
        removed = baggage.remove_baggage(name, context)
        context = removed if value is None else baggage.set_baggage(name, value, removed)
    return context if context is not None else Context()


def carrier() -> dict[str, str]:
    """The current task and span as W3C `traceparent` and `baggage` headers, to send along with a message."""
    headers: dict[str, str] = {}
    _w3c.inject(headers)
    return headers


@contextmanager
def resume(headers: Mapping[str, str]) -> Iterator[None]:
    """Go on with a task in another process: spans and events inside belong to the task of `carrier()`.

    Headers without a task change nothing. Accept them only from whom you trust: they say which task it is.
    """
    try:
        context = _w3c.extract(dict(headers))
    except Exception:
        logger.exception("the carrier cannot be read; what follows is not linked to its task")
        context = None
    token = attach(context) if context is not None else None
    try:
        yield
    finally:
        if token is not None:
            detach(token)
