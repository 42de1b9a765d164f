"""Both hops: OTLP spans on Kafka, normalised to canonical events, folded to durable rows, by one worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

from bench.fold import Backlog, Result, drain, finish
from bench.lab import Lab
from bench.otlp import requests
from bench.work import Work
from schemas.units import MICRO


def run(spans: int, open_tasks: int, seed: int) -> Result:
    """Measure it: from the first OTLP message that is normalised and committed until every row is durable."""
    with Lab() as lab:
        topic, backlog = lab.settings.kafka.spans_topic, Backlog()
        work = Work(seed, time.time_ns() // 1_000 - 3_600 * MICRO, open_tasks)

        def sent() -> Iterator[tuple[int, bytes]]:
            for number, (n, payload) in enumerate(requests(islice(work.events(), spans))):
                partition = number % lab.settings.kafka.partitions
                backlog.add(partition, n)
                yield partition, payload

        lab.send(topic, sent())
        return finish(lab, drain(lab, topic, backlog, both_hops=True))
