"""A real Prometheus and a real Alertmanager, with the configuration of deploy/monitoring and shorter intervals."""

import contextlib
import http.server
import json
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml

from tests.monitoring.monitoring_files import FOLDER, find_tool, rule_groups
from tests.servers.ports import free_port
from tests.servers.process import Server, start_process, with_leash


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus."""

    root: str

    async def query(self, http_client: httpx2.AsyncClient, expression: str) -> list[float]:
        """The values that an expression has now; those that are no number are left out."""
        response = await http_client.get(f"{self.root}/api/v1/query", params={"query": expression})
        assert response.status_code == 200, response.text
        values = [float(sample["value"][1]) for sample in response.json()["data"]["result"]]
        return [value for value in values if value == value]  # noqa: PLR0124 - NaN differs from itself


@contextlib.contextmanager
def running_prometheus(target: str, alertmanager: str) -> Iterator[Prometheus]:
    """Prometheus with all rules; it reads the metrics of `target` every second. Both are `host:port`."""
    program = find_tool("prometheus")
    folder, port = Path(tempfile.mkdtemp(prefix="prometheus-")), free_port()
    config = _read("prometheus.yaml")
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager]
    (scraped,) = config["scrape_configs"]
    scraped["static_configs"][0]["targets"] = [target]
    groups = [{**group, "interval": "1s"} for group in rule_groups()]
    (folder / "rules.yaml").write_text(json.dumps({"groups": groups}), encoding="utf-8")
    (folder / "prometheus.yaml").write_text(json.dumps(config), encoding="utf-8")
    command = [
        program, f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with _start("prometheus", command, port, folder) as server:
        yield Prometheus(server.base_url)


@contextlib.contextmanager
def running_alertmanager(webhook: str) -> Iterator[str]:
    """Alertmanager that tells `webhook` at once; its `host:port`."""
    program = find_tool("prometheus-alertmanager", "alertmanager")
    folder, port = Path(tempfile.mkdtemp(prefix="alertmanager-")), free_port()
    config = _read("alertmanager.yaml")
    config["route"]["group_wait"] = "0s"
    config["receivers"][0]["webhook_configs"][0]["url"] = webhook
    (folder / "alertmanager.yaml").write_text(json.dumps(config), encoding="utf-8")
    command = [
        program, f"--config.file={folder / 'alertmanager.yaml'}", f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
    ]  # fmt: skip
    with _start("alertmanager", command, port, folder):
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def running_webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A receiver of alerts: its URL, and all alerts that it has been told."""
    told: list[dict[str, Any]] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.extend(json.loads(self.rfile.read(int(self.headers["content-length"])))["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/alerts", told
        server.shutdown()


def _start(name: str, command: list[str], port: int, folder: Path) -> Server:
    return start_process(name, with_leash(command), f"http://127.0.0.1:{port}", ready_path="/-/ready", folder=folder)


def _read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
