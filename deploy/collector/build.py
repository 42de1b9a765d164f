"""The OpenTelemetry Collector of builder.yaml: built with Go once, kept outside the repository.

`python -m deploy.collector.build` builds it unless it is there, and prints its path.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_HERE = Path(__file__).parent
_SOURCES = tuple(_HERE / name for name in ("builder.yaml", "build.sh", "go.mod", "go.sum"))
_BUILD = "python -m deploy.collector.build"
_GO_FOLDER = "/usr/local/go/bin"
"""Where Go's own installer puts it, often without adding it to the path."""
_SECONDS = 1800


class CollectorUnavailableError(RuntimeError):
    """The collector is not on this machine, or cannot be built here. The message says why and the fix."""


def locate() -> Path:
    """The built collector; CollectorUnavailableError when it is not built yet."""
    binary = _binary()
    if not binary.exists():
        raise CollectorUnavailableError(
            f"the OpenTelemetry Collector is not built on this machine yet; run `{_BUILD}` (Go, a few minutes)"
        )
    return binary


def missing() -> str | None:
    """Why the collector cannot run here, with the command that provides it; None when it can."""
    try:
        locate()
    except CollectorUnavailableError as error:
        return str(error)
    return None


def build() -> Path:
    """Build the collector unless it is there. CollectorUnavailableError without Go or its module proxy."""
    binary = _binary()
    if not binary.exists():
        binary.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=binary.parent) as scratch:
            built = Path(scratch) / binary.name
            _run(_HERE / "build.sh", built)
            built.rename(binary)
    return binary


def _binary() -> Path:
    version = re.search(r"^  version: (.+)$", _SOURCES[0].read_text(), re.MULTILINE)
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in _SOURCES)).hexdigest()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "trueup" / "collector" / f"{version[1] if version else ''}-{digest[:12]}" / "trueup-collector"


def _run(script: Path, output: Path) -> None:
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), _GO_FOLDER))
    if shutil.which("go", path=path) is None:
        raise CollectorUnavailableError(
            "the OpenTelemetry Collector is built with Go and there is no `go`; "
            f"install Go 1.25 or newer, then run `{_BUILD}`"
        )
    nice = shutil.which("nice")
    command = [*([nice, "-n", "19"] if nice else []), "/bin/sh", str(script), str(output)]
    environment = {**os.environ, "PATH": path}
    try:
        ran = subprocess.run(  # noqa: S603
            command, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired as expired:
        raise CollectorUnavailableError(
            f"the collector was not built in {_SECONDS} s; run `{_BUILD}` again: what was compiled is kept"
        ) from expired
    if ran.returncode != 0:
        errors = [line for line in ran.stderr.splitlines() if not line.startswith("go: downloading")]
        raise CollectorUnavailableError(
            "the collector could not be built; if the Go module proxy is out of reach, set GOPROXY, "
            f"then run `{_BUILD}`. It said:\n" + "\n".join(errors[-5:])
        )


def main() -> int:
    """0 with the path on stdout, 3 when it cannot be built here."""
    try:
        sys.stdout.write(f"{build()}\n")
    except CollectorUnavailableError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
