"""The simulated agents, with the real SDK, into a Kafka in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from trueup.telemetry import Telemetry
from trueup.testing import MemoryKafka, attributes_of

from pipeline.demo.agents import Agents, Pace
from pipeline.demo.figures import figures
from pipeline.demo.job import Feedback, Intervention, Job, Verdict
from tests.demo.samples import CALL, job


@pytest.fixture
def kafka() -> MemoryKafka:
    return MemoryKafka()


@pytest.fixture
def telemetry(kafka: MemoryKafka) -> Iterator[Telemetry]:
    with kafka.telemetry("booking-desk", workflow="flight-changes", service_version="3.1", strict=True) as handle:
        yield handle


def live(telemetry: Telemetry, *jobs: Job) -> None:
    """Let jobs happen at once, without any pause."""

    async def together() -> None:
        pace = Pace()
        pace.finish()
        agents = Agents(telemetry, figures().workflows["flight-changes"], pace)
        await asyncio.gather(*(agents.live(job) for job in jobs))

    asyncio.run(together())
    assert telemetry.flush()


def test_a_task_is_a_root_span_with_its_calls_below(telemetry: Telemetry, kafka: MemoryKafka) -> None:
    live(telemetry, job())
    *steps, root = kafka.spans()
    said = attributes_of(root.attributes)
    assert (root.name, said["trueup.task.outcome"]) == ("invoke_agent booking-desk", "success")
    assert (said["gen_ai.agent.version"], said["trueup.stage"]) == ("3.1", "production")
    assert [span.name for span in steps] == ["chat gpt-4o", "execute_tool lookup", "execute_tool write"]
    assert {span.parent_span_id for span in steps} == {root.span_id}
    for span in steps:
        assert attributes_of(span.attributes)["trueup.task.id"] == "flight-7"


def test_calls_tell_tokens_cost_and_errors(telemetry: Telemetry, kafka: MemoryKafka) -> None:
    live(telemetry, job())
    chat, _, write, _ = kafka.spans()
    said = attributes_of(chat.attributes)
    assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == (1_000, 50)
    assert said["trueup.cost.usd"] == 0.0025
    assert attributes_of(write.attributes)["error.type"] == "timeout"
    assert write.status.code == 2


def test_tasks_at_the_same_time_do_not_mix(telemetry: Telemetry, kafka: MemoryKafka) -> None:
    others = [replace(job(), task_id=f"flight-{n}", calls=(CALL,) * n) for n in range(1, 4)]
    live(telemetry, *others)
    for number, other in enumerate(others, 1):
        own = [s for s in kafka.spans() if attributes_of(s.attributes)["trueup.task.id"] == other.task_id]
        assert len(own) == 3 * number + 1
        assert len({span.trace_id for span in own}) == 1


def test_a_lost_agent_leaves_its_steps_without_a_root(telemetry: Telemetry, kafka: MemoryKafka) -> None:
    live(telemetry, job(claim=None))
    assert [span.name.split()[0] for span in kafka.spans()] == ["chat", "execute_tool", "execute_tool"]
    assert all(span.parent_span_id for span in kafka.spans())
    assert kafka.events() == []


def test_what_is_learnt_later_comes_as_events(telemetry: Telemetry, kafka: MemoryKafka) -> None:
    later = (
        Intervention(1, "corrected", 2.5, "service agent"),
        Verdict(2, "failure", 0.5, 1, 20_000_000),
        Feedback(3, 0.35, complaint=True),
    )
    live(telemetry, job(*later))
    said = [(event.event_name, attributes_of(event.attributes)) for event in kafka.events()]
    names = ["trueup.task.intervened", "trueup.task.verified", "trueup.cost", "trueup.task.feedback"]
    assert [name for name, _ in said] == names
    stepped_in, verified, paid, answered = (attributes for _, attributes in said)
    assert (stepped_in["trueup.intervention"], stepped_in["trueup.human.minutes"]) == ("corrected", 2.5)
    assert (verified["trueup.verdict"], verified["trueup.inclusion_probability"]) == ("failure", 0.5)
    assert verified["trueup.verifier"] == "booking-database"
    assert (paid["trueup.cost.category"], paid["trueup.cost.usd"]) == ("operations", 0.02)
    assert (answered["trueup.satisfaction"], answered["trueup.complaint"]) == (0.35, True)
    assert {attributes["trueup.task.id"] for _, attributes in said} == {"flight-7"}


def test_a_verdict_that_is_delivered_twice_is_the_same_event(telemetry: Telemetry, kafka: MemoryKafka) -> None:
    live(telemetry, job(Verdict(1, "success", 1, 2, 20_000_000)))
    verified = [event for event in kafka.events() if event.event_name == "trueup.task.verified"]
    assert len(verified) == 2
    assert len({attributes_of(event.attributes)["trueup.event.id"] for event in verified}) == 1


def test_a_correction_is_another_event_and_later(telemetry: Telemetry, kafka: MemoryKafka) -> None:
    live(telemetry, job(Verdict(1, "failure", 1, 1, 0), Verdict(2, "success", 1, 1, 0)))
    first, second = [event for event in kafka.events() if event.event_name == "trueup.task.verified"]
    assert first.time_unix_nano < second.time_unix_nano
    assert attributes_of(first.attributes)["trueup.event.id"] != attributes_of(second.attributes)["trueup.event.id"]


def test_when_it_is_over_nobody_waits_any_more() -> None:
    async def wait() -> None:
        pace = Pace()
        sleepers = [asyncio.create_task(pace.pause(1e6)), asyncio.create_task(pace.until(1e6))]
        await asyncio.sleep(0)
        pace.finish()
        await asyncio.wait_for(asyncio.gather(*sleepers, pace.pause(1e6)), 20)

    asyncio.run(wait())
