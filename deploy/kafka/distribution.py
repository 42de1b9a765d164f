"""Apache Kafka's jars: pinned in pom.xml, fetched by Maven once, kept outside the repository."""

import functools
import os
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_POM = _HERE / "pom.xml"
_FETCH = "python -m deploy.local.kafka --fetch-only"
_JAVA_NEEDED = 17
_MAVEN_SECONDS = 540


class KafkaUnavailableError(RuntimeError):
    """Apache Kafka cannot run on this machine as it is. The message says why and the fix."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """What it takes to run a class of Apache Kafka: a Java of at least version 17, and the jars."""

    java: Path
    jars: tuple[Path, ...]

    @property
    def class_archive(self) -> Path:
        """Where the JVM keeps the broker's classes ready to map (class data sharing), once prepared."""
        return self.jars[0].parent / "classes.jsa"

    def command(self, main: str, *arguments: str, jvm: tuple[str, ...] = ()) -> list[str]:
        """The command that runs class `main`, set up to start fast rather than to run at peak speed."""
        sharing = (f"-XX:SharedArchiveFile={self.class_archive}",) if self.class_archive.exists() else ()
        return [
            *(
                str(self.java),
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-XX:-UsePerfData",
                "-Xshare:auto",
            ),
            *(
                "-Xlog:disable",
                "-Xlog:all=error:stderr",
                f"-Dlog4j2.configurationFile={_HERE / 'log4j2.yaml'}",
            ),
            *(*sharing, *jvm, "-cp", os.pathsep.join(map(str, self.jars)), main, *arguments),
        ]


def version() -> str:
    """The pinned version of Apache Kafka, from pom.xml."""
    found = ET.parse(_POM).findtext(".//{*}kafka.version")  # noqa: S314 - our own file
    if found is None:
        raise KafkaUnavailableError(f"{_POM} has no kafka.version; restore the file")
    return found


def locate() -> Distribution:
    """The fetched distribution.

    Raises KafkaUnavailableError when Java or the jars are missing.
    """
    java = _java()
    jars = tuple(sorted(_directory().glob("*.jar")))
    if not jars:
        raise KafkaUnavailableError(
            f"Apache Kafka {version()} is not on this machine yet; run `{_FETCH}` (Java {_JAVA_NEEDED}, Maven, 45 MB)"
        )
    return Distribution(java, jars)


def missing() -> str | None:
    """Why Apache Kafka cannot run here, with the command that provides it; None when it can."""
    try:
        locate()
    except KafkaUnavailableError as error:
        return str(error)
    return None


def fetch() -> Distribution:
    """Download the jars unless they are there.

    Raises KafkaUnavailableError when Java, Maven or Maven Central is missing.
    """
    directory = _directory()
    if not directory.exists():
        _java()
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent) as scratch:
            _copy_dependencies(Path(scratch) / "jars")
            # Whoever fetched the same version at the same time was as right as we are.
            if not directory.exists():
                (Path(scratch) / "jars").rename(directory)
    return locate()


def _directory() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "trueup" / "kafka" / version()


def _java() -> Path:
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    fix = f"install it (Debian, Ubuntu: apt-get install openjdk-{_JAVA_NEEDED}-jdk-headless), or set JAVA_HOME"
    if found is None:
        raise KafkaUnavailableError(f"Apache Kafka needs Java {_JAVA_NEEDED} or newer and there is no `java`; {fix}")
    printed = _version_line(found)
    number = re.search(r'version "(\d+)', printed)
    if number is None or int(number[1]) < _JAVA_NEEDED:
        raise KafkaUnavailableError(f"Apache Kafka needs Java {_JAVA_NEEDED} or newer, {found} is {printed}; {fix}")
    return Path(found)


@functools.cache
def _version_line(java: str) -> str:
    printed = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    return printed.partition("\n")[0]


def _copy_dependencies(target: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailableError(
            "Apache Kafka is fetched with Maven and there is no `mvn`; install it "
            f"(Debian, Ubuntu: apt-get install maven), then run `{_FETCH}`"
        )
    goal = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={target}")
    command = [
        maven,
        "--batch-mode",
        "--no-transfer-progress",
        "--strict-checksums",
        "--file",
        str(_POM),
        *goal,
    ]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_MAVEN_SECONDS)  # noqa: S603
    except subprocess.TimeoutExpired as expired:
        raise KafkaUnavailableError(
            f"Maven did not finish in {_MAVEN_SECONDS} s; look at the network, then run `{_FETCH}` again"
        ) from expired
    if ran.returncode != 0:
        errors = [line for line in ran.stdout.splitlines() if line.startswith("[ERROR]")]
        raise KafkaUnavailableError(
            f"Maven could not fetch Apache Kafka {version()}; if Maven Central is out of reach, give Maven a mirror "
            f"of it in ~/.m2/settings.xml, then run `{_FETCH}`. It said:\n" + "\n".join(errors[:3])
        )
