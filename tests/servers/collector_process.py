"""A real OpenTelemetry Collector, built from its Go modules: it receives spans by OTLP, and passes them on."""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from scripts.install_once import CACHE, install_once, say
from tests.servers.ports import free_ports
from tests.servers.process import Server, require_tools, start_process, with_leash

SOURCE = Path(__file__).parent / "collector"
_FILES = ("main.go", "go.mod", "go.sum")


def build() -> Path:
    """The collector, built again when its source has changed. Raises `NotAvailable` without Go."""
    require_tools("go")
    stamp = "\n".join((SOURCE / name).read_text() for name in _FILES)
    return install_once(CACHE / "collector", stamp, _build) / "collector"


def _build(folder: Path) -> None:
    say("Building the OpenTelemetry Collector from its Go modules (once, 3 minutes of CPU) ...")
    environment = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
    command = ["go", "build", "-p", "2", "-trimpath", "-ldflags", "-s -w", "-o", str(folder / "collector"), "."]
    subprocess.run(command, cwd=SOURCE, env=environment, check=True)


@dataclass(frozen=True, slots=True)
class Collector:
    """A running collector, and where it receives spans."""

    server: Server
    endpoint: str


def start_collector(onward: str) -> Collector:
    """Start a collector that passes spans on to `onward`, one export for each that it gets.

    Raises `NotAvailable` without Go, `StartError` when it does not come up.
    """
    program, (port, pages) = build(), free_ports(2)
    folder = Path(tempfile.mkdtemp(prefix="collector-"))
    config = folder / "collector.yaml"
    values = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"otlp_http": {"traces_endpoint": onward, "sending_queue": {"enabled": False}}},
        "extensions": {"zpages": {"endpoint": f"127.0.0.1:{pages}"}},
        "service": {
            "extensions": ["zpages"],
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_http"]}},
        },
    }
    config.write_text(json.dumps(values), encoding="utf-8")
    command = with_leash([str(program), "--config", str(config)])
    base_url = f"http://127.0.0.1:{pages}"
    server = start_process("collector", command, base_url, ready_path="/debug/servicez", folder=folder)
    return Collector(server, f"http://127.0.0.1:{port}/v1/traces")
