"""The OpenTelemetry Collector on loopback: `with Collector(kafka="127.0.0.1:9092") as it: it.http_url`."""

import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.collector.build import locate
from deploy.local.process import ChildProcess, free_port

CONFIG = Path(__file__).parents[1] / "collector" / "config.yaml"
_HOST = "127.0.0.1"
_START_SECONDS = 30.0


class Collector:
    """Takes OTLP over HTTP and gRPC, writes to `kafka` (host:port, several with commas) as config.yaml says.

    `encoding` is the exporter's, `otlp_proto` or `otlp_json`. `overlays` are more configuration files,
    merged over config.yaml; `environment` is what they refer to. Raises CollectorUnavailableError, with
    the fix, where the collector is not built.
    """

    def __init__(
        self,
        kafka: str,
        encoding: str = "otlp_proto",
        *,
        overlays: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._binary = locate()
        http, grpc, self._health = free_port(_HOST), free_port(_HOST), free_port(_HOST)
        self.http_url = f"http://{_HOST}:{http}"
        self.grpc_endpoint = f"{_HOST}:{grpc}"
        self._files = (CONFIG, *overlays)
        self._environment = {
            "TRUEUP_COLLECTOR_HOST": _HOST,
            "TRUEUP_COLLECTOR_HTTP_PORT": str(http),
            "TRUEUP_COLLECTOR_GRPC_PORT": str(grpc),
            "TRUEUP_COLLECTOR_HEALTH_PORT": str(self._health),
            "TRUEUP_COLLECTOR_ENCODING": encoding,
            "TRUEUP_KAFKA__BOOTSTRAP": kafka,
            **(environment or {}),
        }
        self._process: ChildProcess | None = None

    def start(self) -> Self:
        """Start it and return when its health check says that every part runs."""
        configuration = [f"--config={file}" for file in self._files]
        self._process = ChildProcess("OpenTelemetry Collector", [str(self._binary), *configuration], self._environment)
        self._process.wait_until(self._is_healthy, _START_SECONDS)
        return self

    def stop(self) -> None:
        """End it, after what it has taken is delivered."""
        if self._process:
            self._process.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{_HOST}:{self._health}/", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
