"""One stack for all end-to-end tests: a broker, the ClickHouse engine and a worker process.

Each test has tasks and a workflow of its own, so none sees another's.

The suite runs on two brokers: whatever needs the fixture `broker`, as `lab` does, is made twice. On Apache Kafka
the tests that are about what the broker does, marked `every_broker`, are of every run; the others on it are of the
long run (`pytest -m long`). Where the machine has no Apache Kafka they are skipped, with the command that fetches it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from deploy.kafka import distribution
from deploy.local import process
from pipeline.config import Settings
from tests.captures.measured import ALIASES
from tests.e2e.lab import Lab, lab_on
from tests.e2e.rig import BROKERS


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "every_broker: on Apache Kafka too in every run, not in the long one alone")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "broker" in metafunc.fixturenames:
        always = metafunc.definition.get_closest_marker("every_broker") is not None
        marks = {"apache": () if always else (pytest.mark.long,)}
        brokers = [pytest.param(name, marks=marks.get(name, ())) for name in BROKERS]
        metafunc.parametrize("broker", brokers, indirect=True, scope="session")


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> str:
    """One of BROKERS: what to start, since a test that harms its broker has one of its own."""
    name = str(request.param)
    if name == "apache" and (reason := distribution.missing()):
        pytest.skip(reason)
    return name


@pytest.fixture(scope="session")
def lab(broker: str) -> Iterator[Lab]:
    """The stack, with everything that its worker writes to stderr, and little room for closed tasks.

    It is configured as a user of the captured frameworks would configure it.
    """
    settings = Settings(kafka={"partitions": 4}, http={"port": 0}, worker={"rows_held": 100}, aliases=ALIASES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "_TAIL_LINES", 1_000_000)
        with lab_on(broker, settings) as lab:
            lab.land()
            yield lab


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        if "/tests/e2e/" in item.path.as_posix():
            item.add_marker(pytest.mark.e2e)
