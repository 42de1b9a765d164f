"""ClickHouse's disk is full: the worker holds, says so once, and catches up when there is space again."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from deploy.local.clickhouse import ClickHouse
from tests.e2e.lab import Lab, now_ns
from tests.e2e.rig import Rig, WorkerProcess, eventually
from tests.otlp import span, traces

DISK = "128m"
AWAY, BACK = "ClickHouse is away", "ClickHouse is back"


class OnSmallDisk(ClickHouse):
    """A server whose data is on a disk of its own: a tmpfs of DISK bytes, in a mount namespace that needs no rights."""

    def __init__(self, folder: Path) -> None:
        self._folder, data = folder, folder / "data"
        data.mkdir()
        super().__init__(data=data)

    def start(self) -> Self:
        python = self._folder / "python"
        python.write_text(
            "#!/bin/sh\n"
            f'[ -n "$MOUNTED" ] && exec {sys.executable} "$@"\n'
            "export MOUNTED=1\n"
            f"exec unshare --map-root-user --mount sh -c 'mount -t tmpfs -o size={DISK} tmpfs {self.data} && "
            f'exec {sys.executable} "$@"\' python "$@"\n'
        )
        python.chmod(0o700)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "executable", str(python))
            return super().start()

    @property
    def _ballast(self) -> Path:
        """A file on its disk, as seen from outside its namespace."""
        assert self.data is not None
        return Path(f"/proc/{self.pid}/root{self.data}/ballast")

    def fill(self) -> None:
        """Use every byte that is left."""
        full = pytest.raises(OSError, match=os.strerror(errno.ENOSPC))
        with self._ballast.open("ab", buffering=0) as file, full:
            while True:
                file.write(bytes(65_536))

    def make_space(self) -> None:
        """Free what `fill` used."""
        with suppress(FileNotFoundError):
            self._ballast.unlink()


def _has_namespaces() -> bool:
    command = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/tmp"]  # noqa: S108 - in a namespace of its own
    return (
        shutil.which("unshare") is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    if not _has_namespaces():
        pytest.skip("a disk of its own needs `unshare --map-root-user --mount`, which this machine does not allow")
    folder = tmp_path_factory.mktemp("rig")
    with Rig(folder, clickhouse=OnSmallDisk(folder)) as rig:
        yield rig


@pytest.fixture(scope="module")
def lab(rig: Rig) -> Iterator[Lab]:
    with Lab(rig) as lab:  # type: ignore[arg-type]
        yield lab


def task(number: int) -> bytes:
    """A finished task."""
    fields = {"trueup.task.id": f"full-{number}", "trueup.task.outcome": "success"}
    made = span(fields, traceId=f"{number + 1:032x}", spanId=f"{1:016x}", at=now_ns())
    return traces(made, resource={"trueup.workflow": "disk"})


def outages(worker: WorkerProcess) -> tuple[int, int]:
    """How often it has said that ClickHouse went, and that it is back."""
    return len(worker.logged(AWAY)), len(worker.logged(BACK))


def test_the_worker_holds_while_the_disk_is_full_and_catches_up_when_there_is_space(rig: Rig, lab: Lab) -> None:
    disk = rig.clickhouse
    assert isinstance(disk, OnSmallDisk)
    worker = rig.start_worker()
    worker.until_ready()
    lab.land(lab.spans(task(0)))
    disk.fill()
    try:
        places = [lab.spans(task(n)) for n in range(1, 21)]
        told = eventually(lambda: (ready := worker.ready()) and not ready["ready"] and ready, "/readyz tells of it")
        assert "ClickHouse has been away for" in told["why"][0]
        assert worker.running
        assert outages(worker) == (1, 0)
    finally:
        disk.make_space()
    lab.land(*places)
    eventually(lambda: worker.ready()["ready"], "the worker is ready again")
    assert [lab.task(f"full-{n}")["claim"] for n in range(21)] == ["success"] * 21
    assert outages(worker) == (1, 1)
    (away,) = worker.logged(AWAY)
    assert "space" in away["why"].lower(), away
    found = lab.audit()
    assert (found.differences, found.skipped) == ([], 0)
