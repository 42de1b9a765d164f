"""What is global to a process: configure(), OpenTelemetry's own configurator, and the end of the interpreter."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

IN_MEMORY = """
import sys
import trueup
from trueup import exporter
from trueup.testing import MemoryKafka, attributes_of

kafka = MemoryKafka()
for kind in (exporter.KafkaSpanExporter, exporter.KafkaLogExporter):
    kind.__init__.__kwdefaults__["connect"] = kafka.connect   # what the exporters connect to by default

def spans():
    return sorted((span.name, attributes_of(span.attributes).get("trueup.task.id")) for span in kafka.spans())
"""


@pytest.fixture
def python(run_script: Run) -> Callable[..., str]:
    """Run a script that must succeed in silence; what it printed."""

    def run(code: str, **environment: str) -> str:
        result = run_script(IN_MEMORY + code, **environment)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    return run


def test_configure_makes_the_global_providers(python: Callable[..., str]) -> None:
    assert (
        python("""
from opentelemetry import trace
telemetry = trueup.configure("refund-agent", workflow="refunds", stage="pilot")
with trueup.task("t1") as task:
    trace.get_tracer("framework").start_span("chat").end()
    trueup.verified(verdict="success")
assert telemetry.flush()
print(spans(), [e.event_name for e in kafka.events()], kafka.resources()[0]["service.name"], kafka.connections)
""")
        == "[('chat', 't1'), ('invoke_agent', 't1')] ['trueup.task.verified'] refund-agent 1\n"
    )


def test_configure_adds_to_providers_that_exist(python: Callable[..., str]) -> None:
    assert (
        python("""
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
provider = TracerProvider()
trace.set_tracer_provider(provider)
with trueup.configure(workflow="refunds"):
    with trueup.task("t1"):
        trace.get_tracer("framework").start_span("chat").end()
assert trace.get_tracer_provider() is provider
print(spans())
""")
        == "[('chat', 't1'), ('invoke_agent', 't1')]\n"
    )


def test_a_name_that_comes_too_late_is_said(run_script: Run) -> None:
    result = run_script(
        IN_MEMORY
        + """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
trueup.configure("refund-agent")
"""
    )
    assert "spans keep service.name 'unknown_service:python'" in result.stderr


def test_configuring_again_replaces_what_was_there(python: Callable[..., str]) -> None:
    assert (
        python("""
first = trueup.configure("a", workflow="wa")
second = trueup.configure(workflow="wb", strict=True)
with trueup.task("t1"):
    pass
second.shutdown()
try:
    trueup.claimed("t1", "done")
except trueup.InvalidArgumentError:
    print(spans(), attributes_of(kafka.spans()[0].attributes)["trueup.workflow"])
""")
        == "[('invoke_agent', 't1')] wb\n"
    )


def test_a_task_can_be_decorated_before_telemetry_is_configured(python: Callable[..., str]) -> None:
    assert (
        python("""
@trueup.task(case_type="refund")
def handle():
    pass
with trueup.configure("a"):
    handle()
print(len(spans()))
""")
        == "1\n"
    )


def test_without_telemetry_the_agent_runs_and_is_told_once(run_script: Run) -> None:
    result = run_script("""
import trueup
for _ in range(3):
    with trueup.task("t1") as task:
        trueup.verified(verdict="success")
        task.claim("success")
print("done")
""")
    assert (result.returncode, result.stdout) == (0, "done\n")
    assert result.stderr.count("telemetry goes nowhere: call trueup.configure()") == 1


EXPORTERS = {"OTEL_TRACES_EXPORTER": "trueup_kafka", "OTEL_LOGS_EXPORTER": "trueup_kafka"}


def test_opentelemetrys_configurator_finds_the_exporters_and_tasks_need_nothing_else(
    python: Callable[..., str],
) -> None:
    """What `opentelemetry-instrument` does, without the instrumentations."""
    code = """
from opentelemetry import _logs, trace
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
_OTelSDKConfigurator().configure(auto_instrumentation_version="1")
with trueup.task("t1", case_type="refund") as task:
    trace.get_tracer("framework").start_span("chat").end()
    trueup.verified(verdict="success")
    task.claim("success")
trace.get_tracer_provider().shutdown()
_logs.get_logger_provider().shutdown()
print(spans(), [attributes_of(e.attributes)["trueup.task.id"] for e in kafka.events()], kafka.connections, kafka.open)
"""
    printed = python(code, OTEL_SERVICE_NAME="refund-agent", **EXPORTERS)
    assert printed == "[('chat', 't1'), ('invoke_agent', 't1')] ['t1'] 1 0\n"


def test_the_configurator_may_pass_arguments_to_the_exporters(python: Callable[..., str]) -> None:
    assert (
        python(
            """
from opentelemetry import trace
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
settings = trueup.KafkaSettings(spans_topic="elsewhere")
_OTelSDKConfigurator().configure(exporter_args_map={trueup.KafkaSpanExporter: {"settings": settings}})
trace.get_tracer("framework").start_span("chat").end()
trace.get_tracer_provider().shutdown()
print([message.topic for message in kafka.acknowledged])
""",
            **EXPORTERS,
        )
        == "['elsewhere']\n"
    )


def test_settings_come_from_the_environment(python: Callable[..., str]) -> None:
    variables = {"TRUEUP_KAFKA_BOOTSTRAP": "k1:9092,k2:9092", "TRUEUP_KAFKA_SPANS_TOPIC": "spans"}
    assert (
        python(
            """
with trueup.configure("a"):
    with trueup.task():
        pass
print([message.topic for message in kafka.acknowledged], trueup.KafkaSettings.from_env().servers)
""",
            **variables,
        )
        == "['spans'] ('k1:9092', 'k2:9092')\n"
    )


AT_EXIT = """
import atexit
atexit.register(lambda: print(spans(), [e.event_name for e in kafka.events()]))   # runs last
"""


@pytest.mark.parametrize("ending", ["", "raise SystemExit(0)"], ids=["falls off its end", "exits"])
def test_what_is_not_delivered_yet_is_flushed_when_the_interpreter_ends(
    python: Callable[..., str], ending: str
) -> None:
    code = """
trueup.configure("a")
with trueup.task("t1"):
    trueup.verified(verdict="success")
"""
    assert python(AT_EXIT + code + ending) == "[('invoke_agent', 't1')] ['trueup.task.verified']\n"


def test_entry_point_exporters_flush_when_the_interpreter_ends(python: Callable[..., str]) -> None:
    code = """
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
_OTelSDKConfigurator().configure()
with trueup.task("t1"):
    trueup.verified(verdict="success")
"""
    assert python(AT_EXIT + code, **EXPORTERS) == "[('invoke_agent', 't1')] ['trueup.task.verified']\n"


def test_an_agent_that_fails_still_says_so(run_script: Run) -> None:
    result = run_script(
        IN_MEMORY
        + """
import atexit
atexit.register(lambda: print(attributes_of(kafka.spans()[0].attributes)["error.type"]))
trueup.configure("a")
with trueup.task("t1"):
    raise ZeroDivisionError
"""
    )
    assert (result.returncode, result.stdout) == (1, "ZeroDivisionError\n")


def test_without_a_broker_the_process_ends_in_time_and_says_what_it_lost(run_script: Run) -> None:
    """The real client, and a port where nobody listens."""
    result = run_script(
        """
import time, trueup
started = time.monotonic()
trueup.configure("a", bootstrap="127.0.0.1:1")
with trueup.task("t1") as task:
    task.claim("success")
print("agent done" if time.monotonic() - started < 1.5 else "the agent was held up")
""",
        TRUEUP_KAFKA_EXIT_TIMEOUT="0.2",
    )
    assert (result.returncode, result.stdout) == (0, "agent done\n")
    assert "no connection to Kafka at 127.0.0.1:1" in result.stderr
    assert "dropped spans: 1 broker_unreachable" in result.stderr


def test_a_forked_child_has_telemetry_of_its_own(run_script: Run) -> None:
    """The child makes its own connection, and does not send again what the parent holds."""
    result = run_script(
        IN_MEMORY
        + """
import os
telemetry = trueup.configure("a")
kafka.silent = True
with trueup.task("parent"):
    pass
telemetry.flush(0.05)
child = os.fork()
if child == 0:
    kafka.silent = False
    with trueup.task("child"):
        pass
    telemetry.shutdown(20)
    ok = spans() == [("invoke_agent", "child")] and telemetry.dropped.total() == 0 and kafka.connections == 2
    os._exit(0 if ok else 1)
telemetry.shutdown(0.05)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), telemetry.dropped.total(), kafka.connections)
"""
    )
    assert result.stdout == "0 1 1\n", result.stderr
