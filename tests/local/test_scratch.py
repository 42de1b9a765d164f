"""Temporary folders, and those that a killed process left."""

import fcntl
import os
import tempfile
from pathlib import Path

import pytest

from deploy.local.scratch import scratch_folder

LONG_AGO = 1_700_000_000


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_behind(folder: Path, *, age: int | None = LONG_AGO) -> Path:
    folder.mkdir()
    (folder / "lock").touch()
    if age is not None:
        os.utime(folder, (age, age))
    return folder


def test_the_folder_is_private_and_removed_at_the_end(temporary: Path) -> None:
    with scratch_folder("test-") as folder:
        (folder / "data").mkdir()
        (folder / "data" / "file").write_text("x")
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(temporary.iterdir()) == []


def test_the_folder_of_a_process_that_is_gone_is_removed(temporary: Path) -> None:
    abandoned, foreign = left_behind(temporary / "test-abandoned"), left_behind(temporary / "another-program")
    with scratch_folder("test-"):
        assert not abandoned.exists()
        assert foreign.exists()


def test_the_folder_of_a_process_that_lives_is_kept(temporary: Path) -> None:
    folder = left_behind(temporary / "test-alive")
    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with scratch_folder("test-"):
            assert folder.exists()


def test_a_folder_that_may_not_have_its_lock_yet_is_kept(temporary: Path) -> None:
    folder = left_behind(temporary / "test-young", age=None)
    with scratch_folder("test-"):
        assert folder.exists()


def test_two_folders_can_be_used_at_once() -> None:
    with scratch_folder("test-") as one, scratch_folder("test-") as other:
        assert one != other
        assert one.exists()
