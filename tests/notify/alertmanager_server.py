"""The real Alertmanager of Debian's package, with a webhook of the test as the one it notifies."""

from __future__ import annotations

import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import yaml

from deploy.local.process import ChildProcess, free_port
from tests.notify.http_server import HttpServer

PROGRAM = "prometheus-alertmanager"
INSTALL = f"{PROGRAM} is not installed: apt-get install -y --no-install-recommends {PROGRAM}"


def is_installed() -> bool:
    return shutil.which(PROGRAM) is not None


class AlertmanagerServer:
    """`with AlertmanagerServer(folder) as server: server.url`. Each alert is a group, told at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.webhook = HttpServer()

    def __enter__(self) -> Self:
        self.webhook.__enter__()
        route = {
            "receiver": "webhook",
            "group_by": ["..."],
            "group_wait": "0s",
            "group_interval": "1s",
            "repeat_interval": "1h",
        }
        receivers = [{"name": "webhook", "webhook_configs": [{"url": self.webhook.url, "send_resolved": True}]}]
        # Its own timeout is short: what stays is kept by what it is sent.
        config = {"global": {"resolve_timeout": "1s"}, "route": route, "receivers": receivers}
        file = self._folder / "alertmanager.yml"
        file.write_text(yaml.safe_dump(config))
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._command = [PROGRAM, f"--config.file={file}", f"--storage.path={self._folder / 'data'}"]
        self._command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
        self._start()
        return self

    def _start(self) -> None:
        self._process = ChildProcess("Alertmanager", self._command)
        self._process.wait_until(self._ready, 30)

    def restart(self) -> None:
        """End it and start it on the same port: it has forgotten its alerts."""
        self._process.stop()
        self._start()

    def __exit__(self, *_: object) -> None:
        self._process.stop()
        self.webhook.__exit__()

    def alerts(self, key: str) -> list[dict[str, Any]]:
        """What it has of an alert, the active and the suppressed; those that have ended are not shown."""
        all_: list[dict[str, Any]] = json.loads(self._call("/api/v2/alerts"))
        return [alert for alert in all_ if alert["labels"]["alert_key"] == key]

    def silence(self, key: str, starts_at: str, ends_at: str) -> None:
        """Silence an alert."""
        matcher = {"name": "alert_key", "value": key, "isRegex": False, "isEqual": True}
        body = {"matchers": [matcher], "startsAt": starts_at, "endsAt": ends_at, "createdBy": "ada", "comment": "known"}
        self._call("/api/v2/silences", json.dumps(body).encode())

    def notified(self, key: str) -> list[tuple[str, str]]:
        """Status and severity of what its webhook was told of an alert, in order."""
        told = [alert for request in list(self.webhook.requests) for alert in request.json["alerts"]]
        return [(a["status"], a["labels"]["severity"]) for a in told if a["labels"]["alert_key"] == key]

    def _ready(self) -> bool:
        try:
            return bool(self._call("/-/ready"))
        except (OSError, urllib.error.URLError):
            return False

    def _call(self, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - the URL is ours
            self.url + path, data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            read: bytes = answer.read()
            return read


def eventually(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Wait until a condition holds; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not in {seconds:g} s"
        time.sleep(0.02)
