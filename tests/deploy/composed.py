"""docker-compose.yml without containers: each service's own command, on this machine's programs and ports."""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from deploy.kafka import distribution
from deploy.local.process import ChildProcess, free_port

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
KAFKA_TOOLS = {
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-broker-api-versions.sh": "org.apache.kafka.tools.BrokerApiVersionsCommand",
}
"""The image's scripts, and the class that each of them runs."""

CLICKHOUSE_CONFIG = """<clickhouse>
    <listen_host>127.0.0.1</listen_host><http_port>0</http_port><mysql_port>0</mysql_port>
    <users_config>USERS</users_config><default_database>_overlay</default_database>
    <logger><log>server.log</log></logger>
    <text_log><database>system</database><table>text_log</table></text_log>
</clickhouse>"""
CLICKHOUSE_USERS = """<clickhouse>
    <profiles><default><implicit_select>0</implicit_select></default></profiles>
    <users><default><password/><networks><ip>::/0</ip></networks></default></users>
    <quotas><default/></quotas>
</clickhouse>"""
ENGINE_USER = """<clickhouse><users><default>
    <password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
</default></users></clickhouse>"""
"""The embedded engine opens its port as `default`, which the configuration under test removes."""


def dockerfile_words(dockerfile: Path, instruction: str) -> list[str]:
    """The JSON list that ends the last `instruction` of a Dockerfile."""
    found: list[str] = re.findall(rf"^{instruction}[^\[]*(\[.*\])$", dockerfile.read_text(), re.MULTILINE)
    words: list[str] = yaml.safe_load(found[-1])
    return words


class Composed:
    """Runs services of the compose file in `folder`; hosts, ports and paths of the containers become ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ports = (f"127.0.0.1:{free_port()}" for _ in range(5))
        self.kafka, self.kafka_host, controller, self.worker_port, self.alerter_port = ports
        self._running: list[ChildProcess] = []
        self.replaced = {
            "kafka:19092": self.kafka,
            "0.0.0.0:19092": self.kafka,
            "0.0.0.0:9092": self.kafka_host,
            "127.0.0.1:9092": self.kafka_host,
            "127.0.0.1:9093": controller,
            "127.0.0.1:8080": self.worker_port,
            "127.0.0.1:8090": self.alerter_port,
            "/var/lib/kafka/data": str(folder / "kafka"),
            "/run/secrets": str(folder / "secrets"),
            "/etc/trueup/create-topics.sh": str(ROOT / "deploy" / "kafka" / "create-topics.sh"),
            "/etc/trueup/entrypoint.sh": str(ROOT / "deploy" / "clickhouse" / "entrypoint.sh"),
        }

    def here(self, text: str) -> str:
        """A command's word or a variable's value as it is on this machine."""
        for there, ours in self.replaced.items():
            text = text.replace(there, ours)
        return text

    def environment(self, service: str) -> dict[str, str]:
        """The service's variables, as they are on this machine."""
        return {name: self.here(value) for name, value in SERVICES[service].get("environment", {}).items()}

    def run(self, words: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = [self.here(word) for word in words]
        return subprocess.run(
            command, env={"PATH": "/usr/bin:/bin", **environment}, capture_output=True, text=True, check=False, cwd=ROOT
        )

    def start(self, name: str, words: Sequence[str], environment: dict[str, str]) -> ChildProcess:
        """Run a command until `stop`."""
        process = ChildProcess(name, words, environment)
        self._running.append(process)
        return process

    def stop(self) -> None:
        """End what was started, the last first."""
        for process in reversed(self._running):
            process.stop()

    def script(self, name: str) -> Path:
        """The image's /opt/kafka/bin/`name`, on the jars of this machine."""
        path = self.folder / name
        words = distribution.locate().command(KAFKA_TOOLS[name])
        path.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in words) + ' "$@"\n')
        path.chmod(0o755)
        return path

    def start_kafka(self) -> None:
        """What the image's start script does: KafkaDockerWrapper configures and formats, then the broker runs."""
        defaults, mounted, final = (self.folder / name for name in ("defaults", "mounted", "final"))
        for each in (defaults, mounted, final):
            each.mkdir()
        (defaults / "server.properties").touch()
        for name in ("log4j2.yaml", "tools-log4j2.yaml"):
            shutil.copy(ROOT / "deploy" / "kafka" / "log4j2.yaml", defaults / name)
        kafka = distribution.locate()
        folders = ("--default-configs-dir", str(defaults), "--mounted-configs-dir", str(mounted))
        setup = kafka.command("kafka.docker.KafkaDockerWrapper", "setup", *folders, "--final-configs-dir", str(final))
        made = self.run(setup, self.environment("kafka"))
        assert made.returncode == 0, made.stdout + made.stderr
        heap = SERVICES["kafka"]["environment"]["KAFKA_HEAP_OPTS"].split()
        broker = self.start(
            "kafka", kafka.command("kafka.Kafka", str(final / "server.properties"), jvm=tuple(heap)), {}
        )
        broker.wait_for_line("Kafka Server started", 60)

    def start_clickhouse(self, engine_user: str = ENGINE_USER) -> str:
        """The service's entry point, handing over to the embedded engine with the service's files; its URL."""
        etc = self.folder / "clickhouse-server"
        (etc / "users.d").mkdir(parents=True)
        (etc / "config.d").mkdir()
        (etc / "config.xml").write_text(CLICKHOUSE_CONFIG)
        (etc / "users.xml").write_text(CLICKHOUSE_USERS)
        (etc / "users.d" / "zz-engine.xml").write_text(engine_user)
        for volume in SERVICES["clickhouse"]["volumes"]:
            source, target = volume.split(":")[:2]
            if target.startswith("/etc/clickhouse-server/"):
                shutil.copy(ROOT / source, etc / target.removeprefix("/etc/clickhouse-server/"))
        entrypoint = [self.here(word) for word in SERVICES["clickhouse"]["entrypoint"]]
        server = [sys.executable, "-m", "tests.deploy.clickhouse_server", str(etc)]
        process = self.start(
            "clickhouse",
            [*entrypoint, *server],
            {"SECRETS_DIRECTORY": self.here("/run/secrets"), "PYTHONPATH": str(ROOT)},
        )
        url = process.wait_for_line(r"ready at (http://\S+),", 60)[1]
        self.replaced["http://clickhouse:8123"] = url
        self.replaced["http://127.0.0.1:8123"] = url
        return url
