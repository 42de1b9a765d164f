"""The frameworks that the examples show, at the versions of examples/requirements.lock: installed once, kept outside.

`python -m deploy.examples` installs them unless they are there, and prints the path of their Python.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_LOCK = Path(__file__).parents[1] / "examples" / "requirements.lock"
_INSTALL = "python -m deploy.examples"
_SECONDS = 600


class ExamplesUnavailableError(RuntimeError):
    """The frameworks are not on this machine, or cannot be installed here. The message says why and the fix."""


def locate() -> Path:
    """The Python that has the frameworks; ExamplesUnavailableError when they are not installed yet."""
    python = _python()
    if not python.exists():
        raise ExamplesUnavailableError(
            f"the frameworks of the examples are not installed on this machine yet; run `{_INSTALL}` (PyPI, 150 MB)"
        )
    return python


def missing() -> str | None:
    """Why the frameworks cannot be used here, with the command that provides them; None when they can."""
    try:
        locate()
    except ExamplesUnavailableError as error:
        return str(error)
    return None


def install() -> Path:
    """Install the frameworks unless they are there. ExamplesUnavailableError without uv or PyPI."""
    python = _python()
    if not python.exists():
        folder = python.parents[1]
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            made = Path(scratch) / "made"
            _uv("venv", "--quiet", "--relocatable", "--python", sys.executable, str(made))
            into = str(made / "bin" / "python")
            _uv("pip", "sync", "--quiet", "--require-hashes", "--python", into, str(_LOCK))
            made.rename(folder)
    return python


def _python() -> Path:
    """Another lock or another Python is another environment."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "trueup" / "examples" / f"{version}-{digest}" / "bin" / "python"


def _uv(*arguments: str) -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise ExamplesUnavailableError(
            f"they are installed with uv and there is none; run `make setup`, then `{_INSTALL}`"
        )
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and our own words
            [uv, *arguments], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ExamplesUnavailableError(
            f"`uv {arguments[0]}` took longer than {_SECONDS} s; run `{_INSTALL}` again"
        ) from None
    if done.returncode != 0:
        raise ExamplesUnavailableError(f"`uv {' '.join(arguments[:2])}` failed: {done.stderr.strip()[-1_000:]}")


def main() -> int:
    """0 with the path of their Python on stdout, 3 when they cannot be installed here."""
    try:
        sys.stdout.write(f"{install()}\n")
    except ExamplesUnavailableError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
