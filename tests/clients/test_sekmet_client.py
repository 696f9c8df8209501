"""The backend client of sekmet-fhir authenticates by a signed assertion and runs its conformance scenario."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.servers.sekmet import install
from tests.smart_server.running_server import BACKEND_KEY, RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


# The gateway refuses writes, so that a scenario that begins with a write gets only this far. The other steps need the
# patient that could not be created, or features that the CapabilityStatement does not declare.
SMOKE = {
    "CapabilityStatement": "passed",
    "Create Patient": "failed",
    "Conditional create does not duplicate": "failed",
    "Search by identifier finds exactly one": "failed",
    "Paging returns next link": "passed",
    "Invalid resource is rejected": "warning",
}


async def test_a_scenario_of_reading_passes_as_a_whole(server: RunningServer, tmp_path: Path) -> None:
    steps = await run(server, tmp_path, str(Path(__file__).parent / "reading.yaml"))
    assert {name: step["status"] for name, step in steps.items()} == dict.fromkeys(steps, "passed"), steps
    assert len(steps) >= 8


async def test_the_smoke_scenario_passes_where_it_reads_and_is_refused_where_it_writes(
    server: RunningServer, tmp_path: Path
) -> None:
    steps = await run(server, tmp_path, "conformance_smoke")
    assert {name: steps[name]["status"] for name in SMOKE} == SMOKE
    assert "403" in steps["Create Patient"]["message"]


async def run(server: RunningServer, folder: Path, scenario: str) -> dict[str, Any]:
    """The steps of a scenario as the report has them, by name."""
    key, settings, reports = folder / "key.pem", folder / "settings.yaml", folder / "reports"
    key.write_bytes(BACKEND_KEY.as_pem(private=True))
    auth = {"type": "smart", "client_id": "sekmet", "private_key_path": str(key), "kid": "backend-1"}
    configuration = {
        "base_url": "http://127.0.0.1:9/fhir",
        "db_path": ":memory:",
        "data_dir": str(folder),
        "simulator": {"enabled": False},
        "peers": {"gateway": {"base_url": server.base, "auth": auth}},
    }
    settings.write_text(json.dumps(configuration))
    process = await asyncio.create_subprocess_exec(
        str(await asyncio.to_thread(install)), "scenario", "run", scenario, "--peer", "gateway", "--no-serve",
        "--config", str(settings), "--report-dir", str(reports),
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    report = next(reports.rglob("results.json"), None)
    assert report is not None, output.decode()
    return {step["name"]: step for step in json.loads(report.read_text())[0]["steps"]}
