"""Temporary folders that do not pile up: also those of a process that was killed are removed, by the next one."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = "lock"
_SETTLE_SECONDS = 60.0
"""A folder younger than this may not have got its lock yet, and is left alone."""


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """A new private folder in the system's temporary folder, removed at the end.

    First removes the folders with this prefix whose process is gone.
    """
    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        _remove_if_abandoned(path)
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_if_abandoned(folder: Path) -> None:
    with suppress(OSError), (folder / _LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises while the owner lives
        if time.time() - folder.stat().st_mtime > _SETTLE_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
