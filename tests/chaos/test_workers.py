"""The supervisor starts again what ends by itself, and leaves alone what was told to stop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.lab import until
from chaos.proxy import Network
from chaos.workers import Supervisor, Worker
from deploy.local.process import free_port
from pipeline.config import Settings

pytestmark = pytest.mark.e2e
UNREACHABLE = 3


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """One that ends by itself, since there is no Kafka."""
    settings = Settings.model_validate({"kafka": {"bootstrap": f"127.0.0.1:{free_port()}"}})
    with Network() as network:
        yield Worker("worker", settings, network.proxy(free_port()), tmp_path)


def test_a_worker_that_ends_by_itself_is_started_again_and_counted(worker: Worker) -> None:
    with Supervisor() as supervisor:
        supervisor.add(worker)
        until(lambda: supervisor.deaths[UNREACHABLE] > 0 and worker.running, 60, "it is started again")
    assert not worker.running
    assert "does not answer" in worker.log.read_text()


def test_a_worker_that_was_killed_stays_so_until_it_is_started(worker: Worker) -> None:
    with Supervisor() as supervisor:
        supervisor.add(worker)
        worker.kill()
        assert not worker.running
        assert not worker.ready
        worker.start()
        assert worker.running
        supervisor.remove(worker)
        assert supervisor.present() == []
    assert not supervisor.deaths
