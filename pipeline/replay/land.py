"""Waits until what was sent is in ClickHouse: stage by stage, by what the consumer group has committed."""

from __future__ import annotations

import time
from collections.abc import Callable

from kafka import TopicPartition

from pipeline.config import Settings
from pipeline.kafka import Positions, Progress, producer
from pipeline.worker.clock import clock, mark

FAR_AHEAD_US = 100 * 365 * 86_400 * 1_000_000


class Stalled(Exception):
    """Nothing moves any more; the text says where it stopped."""


def wait_until_landed(
    settings: Settings,
    reached: Positions,
    *,
    end_of_time: bool = False,
    alive: Callable[[], bool] = lambda: True,
    waiting: Callable[[str, int], None] = lambda _stage, _left: None,
    patience: float = 120.0,
) -> None:
    """Return when the messages up to `reached` are normalised, folded and written.

    A mark closes each partition of agent.actions, so that its end is known. It lets no time pass: that is for the
    workers' clocks, which know how long each workflow may be silent. With `end_of_time` it lies far ahead, and what
    is still open counts as abandoned. Raises Stalled after `patience` seconds without progress, or when `alive`
    says that the worker has gone.
    """
    with Progress(settings) as progress:
        wait_for(progress, reached, "normalise", alive, waiting, patience)
        # What belongs to a task that was learnt late is sent on behind the first marks: so twice.
        for far in (False, end_of_time):
            wait_for(progress, _marks(settings, far), "fold", alive, waiting, patience)


def wait_for(
    progress: Progress,
    targets: Positions,
    stage: str,
    alive: Callable[[], bool],
    waiting: Callable[[str, int], None],
    patience: float,
) -> None:
    """Return when a stage has committed the messages up to `targets`. Raises Stalled."""
    best, since = None, time.monotonic()
    while left := progress.behind(targets):
        if best is None or left < best:
            best, since = left, time.monotonic()
        if not alive():
            raise Stalled(f"the worker has stopped with {left} messages to {stage}")
        if time.monotonic() - since > patience:
            raise Stalled(f"no progress for {patience:.0f} s with {left} messages to {stage}; is a worker running?")
        waiting(stage, left)
        time.sleep(0.05)


def _marks(settings: Settings, end_of_time: bool) -> Positions:
    """Put a mark at the end of each partition of the second hop, and say where it is."""
    k = settings.kafka
    payload = clock(settings, time.time_ns() // 1_000 + FAR_AHEAD_US) if end_of_time else mark()
    kafka = producer(settings)
    try:
        sent = [kafka.send(k.actions_topic, payload, partition=p) for p in range(k.partitions)]
        sent.append(kafka.send(k.deadletter_topic, b"", partition=0))
        kafka.flush()
        places = [future.get(timeout=60) for future in sent]
    finally:
        kafka.close()
    return {TopicPartition(place.topic, place.partition): place.offset + 1 for place in places}
