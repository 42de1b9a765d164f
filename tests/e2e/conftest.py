"""One local stack for all end-to-end tests: a broker, the ClickHouse engine and a worker process.

Each test has tasks and a workflow of its own, so none sees another's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from deploy.local import process
from pipeline.config import Settings
from pipeline.stack import Stack
from tests.captures.measured import ALIASES
from tests.e2e.lab import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The stack, with everything that its worker writes to stderr, and little room for closed tasks.

    It is configured as a user of the captured frameworks would configure it.
    """
    settings = Settings(kafka={"partitions": 4}, http={"port": 0}, worker={"rows_held": 100}, aliases=ALIASES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "_TAIL_LINES", 1_000_000)
        with Stack(settings) as stack, Lab(stack) as lab:
            lab.land()
            yield lab


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        if "/tests/e2e/" in item.path.as_posix():
            item.add_marker(pytest.mark.e2e)
